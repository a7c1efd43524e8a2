"""Composition root of the reports service: `python -m reports.main` is the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from reports.config import Settings
from reports.consumers import create_event_router
from reports.context import open_context
from reports.handlers import router
from shared.messaging import Bus, running_bus
from shared.objects import open_objects
from shared.web import create_service_app, run_service


def create_app(
    settings: Settings, bus: Bus | None = None, transports: Mapping[str, httpx.AsyncBaseTransport] | None = None
) -> FastAPI:
    """Return the app. With a `bus` it is used and left open, else one is opened from the settings.

    `transports` holds, by service, how to call one that runs in this process.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        transport = (transports or {}).get("results")
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus, open_objects(settings.objects_url), transport) as context,
        ):
            app.state.context = context
            events = create_event_router(context.service)
            await events.start(live_bus, service="reports", prefetch=settings.report_workers)
            try:
                yield
            finally:
                await events.close()

    return create_service_app("reports", settings, lifespan, [router])


if __name__ == "__main__":
    run_service(create_app, Settings)
