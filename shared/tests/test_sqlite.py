"""The driver of the embedded database: few changes of threads, one writer at a time, no trace of a rollback."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shared.database import Database
from shared.errors import UnavailableError

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{path}", schema="reports")
    async with database.engine.begin() as connection:
        await connection.run_sync(NOTES.create)
    yield database
    await database.close()


@pytest.fixture
def other_process(path: Path, database: Database) -> Iterator[sqlite3.Connection]:
    """Give a connection that nobody here knows of, and that waits for no lock."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
async def returns(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what comes back from other threads from now on."""
    seen: list[Any] = []
    loop = asyncio.get_running_loop()
    back = loop.call_soon_threadsafe

    def note(callback: Callable[..., Any], *arguments: Any, **options: Any) -> asyncio.Handle:
        seen.append(callback)
        return back(callback, *arguments, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", note)
    return seen


async def notes(database: Database) -> list[str | None]:
    async with database.read() as session:
        return list(await session.scalars(sa.select(NOTES.c.text).order_by(NOTES.c.id)))


async def test_a_read_goes_to_the_thread_once(database: Database, returns: list[Any]) -> None:
    assert await notes(database) == []

    assert len(returns) == 1


async def test_a_transaction_goes_to_the_thread_for_each_statement_and_the_commit(
    database: Database, returns: list[Any]
) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(sa.insert(NOTES).values(text="one"))
        await transaction.session.execute(sa.insert(NOTES), [{"text": "two"}, {"text": "three"}])

    assert len(returns) == 3
    assert await notes(database) == ["one", "two", "three"]


async def test_a_statement_tells_its_rows_and_how_many_it_changed(database: Database) -> None:
    async with database.transaction() as transaction:
        session = transaction.session
        inserted = await session.execute(sa.insert(NOTES).values(text="one"))
        assert inserted.inserted_primary_key == (1,)  # type: ignore[attr-defined]
        returned = await session.execute(sa.insert(NOTES).values(text="two").returning(NOTES.c.id, NOTES.c.text))
        assert returned.all() == [(2, "two")]
        changed = await session.execute(sa.update(NOTES).values(text="new"))
        assert changed.rowcount == 2  # type: ignore[attr-defined]


async def test_a_writer_has_the_lock_before_it_reads(database: Database, other_process: sqlite3.Connection) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(sa.select(NOTES))

        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other_process.execute("BEGIN IMMEDIATE")

    other_process.execute("BEGIN IMMEDIATE")


async def test_a_reader_has_no_lock(database: Database, other_process: sqlite3.Connection) -> None:
    async with database.read() as session:
        await session.execute(sa.select(NOTES))
        other_process.execute("INSERT INTO notes (text) VALUES ('meanwhile')")

        assert await session.scalar(sa.select(NOTES.c.text)) == "meanwhile"


async def test_a_rollback_leaves_nothing(database: Database) -> None:
    with suppress(RuntimeError):
        async with database.transaction() as transaction:
            await transaction.session.execute(sa.insert(NOTES).values(text="one"))
            raise RuntimeError

    assert await notes(database) == []


async def test_a_writer_waits_for_another_process(database: Database, other_process: sqlite3.Connection) -> None:
    other_process.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(_write(database))
    await asyncio.sleep(0.2)
    other_process.execute("COMMIT")

    await writing

    assert await notes(database) == ["written"]


async def test_a_writer_that_is_cancelled_leaves_nothing(database: Database, other_process: sqlite3.Connection) -> None:
    other_process.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(_write(database))
    await asyncio.sleep(0.2)
    writing.cancel()
    await asyncio.sleep(0.1)
    other_process.execute("COMMIT")
    with suppress(asyncio.CancelledError):
        await writing

    await _write(database)

    assert await notes(database) == ["written"]


async def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/missing/service.db", schema="reports")

    with pytest.raises(UnavailableError):
        await database.check()

    await database.close()
    await asyncio.sleep(0.1)  # the driver does not wait for the thread of a connection that failed


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
async def test_what_a_commit_promises_is_set(database: Database, pragma: str, value: object) -> None:
    async with database.read() as session:
        assert await session.scalar(sa.text(f"PRAGMA {pragma}")) == value


async def _write(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(sa.insert(NOTES).values(text="written"))
