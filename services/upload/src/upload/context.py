"""What the upload process holds for its whole life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.database import Database
from shared.messaging import Bus, OutboxRelay
from shared.objects import ObjectStore
from shared.web.app import Check
from upload.config import Settings
from upload.receive import remove_abandoned
from upload.service import UploadService


@dataclass(frozen=True, slots=True)
class Context:
    """Clients and the service built on them."""

    settings: Settings
    database: Database
    objects: ObjectStore
    bus: Bus
    service: UploadService

    def checks(self) -> dict[str, Check]:
        """Return what must work before the service takes requests."""
        return {"database": self.database.check, "objects": self.objects.check}


@asynccontextmanager
async def open_context(settings: Settings, bus: Bus, objects: ObjectStore) -> AsyncIterator[Context]:
    """Open the database, start the relay, and close both at the end."""
    database = Database(settings.database_url.get_secret_value(), schema="upload")
    await asyncio.to_thread(remove_abandoned, objects.spool_directory())
    relay = OutboxRelay(database, bus)
    await relay.start()
    try:
        service = UploadService(database, objects, settings.scan_deadline_seconds)
        yield Context(settings, database, objects, bus, service)
    finally:
        await relay.close()
        await database.close()
