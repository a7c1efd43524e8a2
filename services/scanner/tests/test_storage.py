"""Migrations make the tables of the code, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from scanner.schema import METADATA
from scanner.storage import is_handled
from shared.alembic import schema_differences
from shared.database import Database
from shared.migration import migrate


@pytest.fixture
async def postgres(database_url_for: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database(database_url_for("scanner"), schema="scanner")
    await migrate(database)
    yield database
    await database.close()


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    assert await schema_differences(database, METADATA) == []


@pytest.mark.integration
async def test_the_migrations_make_the_tables_of_the_code_on_postgresql(postgres: Database) -> None:
    await asyncio.gather(migrate(postgres), migrate(postgres))

    assert await schema_differences(postgres, METADATA) == []


@pytest.mark.integration
async def test_handled_events_are_known_on_postgresql(postgres: Database) -> None:
    async with postgres.transaction() as transaction:
        assert await transaction.first_time("event-1")
        assert not await transaction.first_time("event-1")

    async with postgres.read() as session:
        assert await is_handled(session, "event-1")
        assert not await is_handled(session, "event-2")
