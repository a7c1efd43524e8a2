"""What the reports process holds for its whole life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from reports.config import Settings
from reports.pdf import PdfPool
from reports.render import Renderer
from reports.service import ReportsService
from shared.clients.results import ResultsClient
from shared.database import Database
from shared.messaging import Bus, OutboxRelay
from shared.objects import ObjectStore
from shared.web.app import Check


@dataclass(frozen=True, slots=True)
class Context:
    """Clients and the service built on them."""

    settings: Settings
    database: Database
    objects: ObjectStore
    bus: Bus
    service: ReportsService

    def checks(self) -> dict[str, Check]:
        """Return what must work before the service takes requests."""
        return {"database": self.database.check, "objects": self.objects.check, "bus": self.bus.check}


@asynccontextmanager
async def open_context(
    settings: Settings, bus: Bus, objects: ObjectStore, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[Context]:
    """Open database, client and renderer, start the relay, and close them in reverse order at the end."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value(), schema="reports")
        stack.push_async_callback(database.close)
        results = ResultsClient("results", settings.results_url, settings.signing_secret(), transport)
        stack.push_async_callback(results.close)
        pool = PdfPool(
            workers=settings.report_workers,
            timeout_seconds=settings.report_seconds,
            memory_bytes=settings.report_memory_bytes,
        )
        stack.push_async_callback(pool.close)
        relay = OutboxRelay(database, bus)
        stack.push_async_callback(relay.close)
        await relay.start()
        service = ReportsService(database, objects, results, Renderer(pool), settings.report_formats)
        yield Context(settings, database, objects, bus, service)
