"""Composition root of the results service: `python -m results.main` is the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from results.config import Settings
from results.consumers import create_event_router
from results.context import open_context
from results.handlers import router
from shared.messaging import Bus, running_bus
from shared.objects import open_objects
from shared.web import create_service_app, run_service


def create_app(settings: Settings, bus: Bus | None = None) -> FastAPI:
    """Return the app. With a `bus` it is used and left open, else one is opened from the settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus, open_objects(settings.objects_url)) as context,
        ):
            app.state.context = context
            events = create_event_router(context.service)
            await events.start(live_bus, service="results")
            try:
                yield
            finally:
                await events.close()

    return create_service_app("results", settings, lifespan, [router])


if __name__ == "__main__":
    run_service(create_app, Settings)
