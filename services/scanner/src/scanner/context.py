"""What the scanner process holds for its whole life."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scanner.config import Settings
from scanner.engine import ScanEngine
from scanner.service import ScannerService
from shared.database import Database
from shared.messaging import Bus, OutboxRelay
from shared.objects import ObjectStore
from shared.web.app import Check


@dataclass(frozen=True, slots=True)
class Context:
    """Clients, the engine and the service built on them."""

    settings: Settings
    database: Database
    objects: ObjectStore
    bus: Bus
    engine: ScanEngine
    service: ScannerService

    def checks(self) -> dict[str, Check]:
        """Return what must work before files are scanned."""
        return {
            "database": self.database.check,
            "objects": self.objects.check,
            "bus": self.bus.check,
            "models": self.engine.check,
        }


@asynccontextmanager
async def open_context(settings: Settings, bus: Bus, objects: ObjectStore) -> AsyncIterator[Context]:
    """Load the engine, open the database, start the relay, and close all at the end."""
    engine = await ScanEngine.start(settings)
    database = Database(settings.database_url.get_secret_value(), schema="scanner")
    relay = OutboxRelay(database, bus)
    await relay.start()
    try:
        work_dir = settings.work_dir or Path(tempfile.gettempdir())
        service = ScannerService(database, objects, bus, engine, work_dir)
        yield Context(settings, database, objects, bus, engine, service)
    finally:
        await relay.close()
        await database.close()
        await engine.close()
