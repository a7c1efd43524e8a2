"""Sessions in the database: they outlive the process, and end when they must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.auth import kept_sessions
from gateway.auth.kept_sessions import KeptSessions
from gateway.schema import SESSIONS
from shared.clock import now
from shared.database import Database
from shared.migration import migrate

IDLE, LIFETIME = timedelta(hours=1), timedelta(days=7)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db", schema="gateway")
    await migrate(database)
    yield database
    await database.close()


def open_sessions(database: Database) -> KeptSessions:
    return KeptSessions(
        database, idle_seconds=int(IDLE.total_seconds()), lifetime_seconds=int(LIFETIME.total_seconds())
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The present moment, to be changed."""
    moment = [now()]
    monkeypatch.setattr(kept_sessions, "now", lambda: moment[0])
    return moment


async def rows(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(sa.select(SESSIONS.c.id_hash)))


async def test_a_session_is_found_by_the_next_process(database: Database) -> None:
    session_id = await open_sessions(database).start("alice")

    found = await open_sessions(database).find(session_id)

    assert found is not None
    assert found.user_id == "alice"
    assert await open_sessions(database).find("another") is None


async def test_the_database_holds_no_session_id(database: Database) -> None:
    session_id = await open_sessions(database).start("alice")

    assert session_id not in await rows(database)


async def test_a_session_that_was_ended_is_gone(database: Database) -> None:
    sessions = open_sessions(database)
    session_id = await sessions.start("alice")
    await sessions.end(session_id)

    assert await sessions.find(session_id) is None


async def test_use_keeps_it_alive_and_idleness_ends_it(database: Database, clock: list[datetime]) -> None:
    sessions = open_sessions(database)
    session_id = await sessions.start("alice")
    for _ in range(3):
        clock[0] += IDLE * 0.9
        assert await sessions.find(session_id) is not None
    clock[0] += IDLE * 0.9
    assert await sessions.find(session_id, keep_alive=False) is not None
    clock[0] += IDLE * 0.2

    assert await sessions.find(session_id) is None
    assert await rows(database) == []


async def test_it_ends_at_its_full_age_however_busy(database: Database, clock: list[datetime]) -> None:
    sessions = open_sessions(database)
    session_id = await sessions.start("alice")
    end = clock[0] + LIFETIME
    while clock[0] + IDLE * 0.9 < end:
        clock[0] += IDLE * 0.9
        assert await sessions.find(session_id) is not None
    clock[0] = end

    assert await sessions.find(session_id) is None


async def test_what_nobody_came_back_to_is_forgotten(database: Database, clock: list[datetime]) -> None:
    sessions = open_sessions(database)
    await sessions.start("alice")
    clock[0] += IDLE * 2
    await sessions.start("bob")

    assert len(await rows(database)) == 1
