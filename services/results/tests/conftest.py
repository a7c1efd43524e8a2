"""A results service on a SQLite file, an in-memory bus and objects in a folder."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from results.consumers import create_event_router
from results.schema import SCANS
from results.service import RescanService, ResultsService
from shared.database import Database
from shared.events import Event
from shared.messaging import EventRouter, LocalBus
from shared.migration import migrate
from shared.objects import FileObjectStore
from shared.testing.bus import envelope

Feed = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture
async def database(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """SQLite, or what a test's `parametrize("database", ..., indirect=True)` says."""
    url = f"sqlite+aiosqlite:///{tmp_path}/results.sqlite3"
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("database_url_for")("results")
    database = Database(url, schema="results")
    await migrate(database)
    yield database
    await database.close()


@pytest.fixture
def objects(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "objects")


@pytest.fixture
async def bus() -> AsyncIterator[LocalBus]:
    bus = LocalBus(None)
    await bus.start()
    yield bus
    await bus.close()


@pytest.fixture
def rescans(database: Database, objects: FileObjectStore) -> RescanService:
    return RescanService(database, objects, lifetime=timedelta(seconds=900), outstanding=3)


@pytest.fixture
def service(database: Database, objects: FileObjectStore, bus: LocalBus) -> ResultsService:
    return ResultsService(database, objects, bus)


@pytest.fixture
def router(service: ResultsService) -> EventRouter:
    return create_event_router(service)


@pytest.fixture
def feed(router: EventRouter) -> Feed:
    """Return a function that hands an event to its consumer; the same id is the same message."""

    async def feed(event: Event, event_id: str | None = None) -> None:
        await router.handle(envelope(event, event_id=event_id))

    return feed


@pytest.fixture
def rows(database: Database) -> Rows:
    """Return a function that reads a table in the order of its primary key."""

    async def rows(table: sa.Table = SCANS) -> list[dict[str, Any]]:
        async with database.read() as session:
            found = (await session.execute(sa.select(table).order_by(*table.primary_key))).mappings()
            return [dict(row) for row in found]

    return rows
