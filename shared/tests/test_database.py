"""A service's database: what a read sees, the same on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.database import Database
from shared.messaging.tables import PROCESSED_EVENTS, add_messaging_tables


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{tmp_path}/service.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("database_url_for")("reports"))
    database = Database(url, schema="reports")
    metadata = sa.MetaData()
    add_messaging_tables(metadata)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


async def mark(database: Database, event_id: str) -> None:
    async with database.transaction() as transaction:
        await transaction.first_time(event_id)


COUNT = sa.select(sa.func.count()).select_from(PROCESSED_EVENTS)


async def test_each_statement_of_a_read_sees_what_is_committed_by_then(database: Database) -> None:
    async with database.read() as session:
        before = await session.scalar(COUNT)
        await mark(database, "1")
        after = await session.scalar(COUNT)

    assert (before, after) == (0, 1)


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.integration)], indirect=True)
async def test_each_statement_of_a_read_is_a_transaction_of_its_own(database: Database) -> None:
    async with database.read() as session:
        begun = [await session.scalar(sa.select(sa.func.now())) for _ in range(2)]

    assert begun[0] != begun[1]
