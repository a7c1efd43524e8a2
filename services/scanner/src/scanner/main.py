"""Composition root of the scanner service: `python -m scanner.main` is the process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from scanner.config import Settings
from scanner.consumers import create_rescan_router, create_upload_router
from scanner.context import open_context
from scanner.engine import ScanEngine
from shared.errors import UnavailableError
from shared.messaging import Bus, running_bus
from shared.objects import open_objects
from shared.web import create_service_app, run_service

_CHECK_SECONDS = 5.0
_logger = logging.getLogger(__name__)


def create_app(settings: Settings, bus: Bus | None = None) -> FastAPI:
    """Return the app. With a `bus` it is used and left open, else one is opened from the settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus, open_objects(settings.objects_url)) as context,
        ):
            app.state.context = context
            uploads, rescans = create_upload_router(context.service), create_rescan_router(context.service)
            await uploads.start(live_bus, service="scanner", prefetch=settings.scans_in_flight)
            await rescans.start(live_bus, service="scanner", prefetch=settings.rescans_in_flight)
            watching = asyncio.create_task(_end_when_models_fail(context.engine)) if bus is None else None
            try:
                yield
            finally:
                if watching is not None:
                    watching.cancel()
                await uploads.close()
                await rescans.close()

    return create_service_app("scanner", settings, lifespan, [])


async def _end_when_models_fail(engine: ScanEngine) -> None:
    """End the process, so that it is started again, once its GPU is lost; its files go back to the queue."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        try:
            await engine.check()
        except UnavailableError as error:
            _logger.critical(error.message)
            signal.raise_signal(signal.SIGTERM)
            return


if __name__ == "__main__":
    run_service(create_app, Settings)
