"""Composition root of the notifier: `python -m notifier.main` is the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from notifier.config import Settings
from notifier.consumers import create_event_router
from notifier.context import open_context
from notifier.handlers import router
from shared.messaging import Bus, running_bus
from shared.web import create_service_app, run_service


def create_app(settings: Settings, bus: Bus | None = None) -> FastAPI:
    """Return the app. With a `bus` it is used and left open, else one is opened from the settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus) as context,
        ):
            app.state.context = context
            events = create_event_router(context.service)
            await events.start(live_bus, service="notifier")
            try:
                yield
            finally:
                await events.close()

    return create_service_app("notifier", settings, lifespan, [router])


if __name__ == "__main__":
    run_service(create_app, Settings)
