"""Composition root of the upload service: `python -m upload.main` is the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared.messaging import Bus, running_bus
from shared.objects import open_objects
from shared.web import create_service_app, run_service
from upload.config import Settings
from upload.context import open_context
from upload.handlers import router


def create_app(settings: Settings, bus: Bus | None = None) -> FastAPI:
    """Return the app. With a `bus` it is used and left open, else one is opened from the settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            running_bus(settings.bus_url.get_secret_value(), given=bus) as live_bus,
            open_context(settings, live_bus, open_objects(settings.objects_url)) as context,
        ):
            app.state.context = context
            yield

    return create_service_app("upload", settings, lifespan, [router])


if __name__ == "__main__":
    run_service(create_app, Settings)
