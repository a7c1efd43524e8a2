"""Migrations make the tables of the code, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scanner.schema import METADATA
from scanner.storage import WORK_PREFIX, is_handled, remove_leftovers
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


def test_only_what_killed_scanners_left_is_removed(tmp_path: Path) -> None:
    for name in (f"{WORK_PREFIX}old", f"{WORK_PREFIX}new", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
    for name in (f"{WORK_PREFIX}old", "another"):
        os.utime(tmp_path / name, (0, 0))

    assert remove_leftovers(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"{WORK_PREFIX}new", "another"}


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
