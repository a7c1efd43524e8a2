"""SQLite with one change of threads for each statement.

A connection has a thread of its own, since a commit waits for the disk. SQLAlchemy asks the driver for a
cursor, has it execute, fetch and close, and aiosqlite goes to the thread and back for each of the four, for the
beginning of a transaction as for every other statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, cast

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override

T = TypeVar("T")

NO_TRANSACTION = {"sqlite_begin": False}
"""Execution options for statements that are not to be in a transaction."""

_BUSY_TIMEOUT_SECONDS = 30
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


def create_engine(url: str, pool_size: int) -> AsyncEngine:
    """Return an engine with as many connections at most, which begins a transaction before any statement."""

    async def connect() -> aiosqlite.Connection:
        return await Connection(sa.make_url(url).database or "")

    # No overflow: a connection beyond the pool would be opened, with its thread, for one use.
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, async_creator=connect)

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("sqlite_begin", True):
            cast("Connection", connection.connection.driver_connection).begin()

    return engine


class Connection(aiosqlite.Connection):
    """A connection as SQLAlchemy uses it (`async_creator`), in transactions only where `begin` was called."""

    def __init__(self, path: str) -> None:
        super().__init__(lambda: _connect(path), iter_chunk_size=0)
        self._thread.daemon = True
        self._begun = self._begins = False

    def begin(self) -> None:
        """Begin a transaction with the next statement.

        It takes the lock of the one writer at once, because a read that turns into a write cannot wait for it.
        """
        self._begun = self._begins = True

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what the work returns, done in the thread of the connection."""
        begins, self._begins = self._begins, False
        result: T = await self._execute(_run, self._conn, work, begins=begins)  # type: ignore[no-untyped-call]
        return result

    @override
    def cursor(self) -> Cursor:  # type: ignore[override]  # SQLAlchemy enters it at once, which needs no thread here
        return Cursor(self)

    @override
    async def commit(self) -> None:
        if self._ends():
            await super().commit()

    @override
    async def rollback(self) -> None:
        if self._ends():
            await super().rollback()

    def _ends(self) -> bool:
        begun, self._begun, self._begins = self._begun, False, False
        return begun


class Cursor:
    """The outcome of one statement, fetched with it."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        await self._connection.run(lambda connection: self._keep(connection.execute(statement, parameters)))

    async def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement with each of several parameters."""
        await self._connection.run(lambda connection: self._keep(connection.executemany(statement, rows)))

    async def fetchall(self) -> list[Any]:
        """Return the rows of the statement."""
        return self._rows

    async def close(self) -> None:
        """Do nothing: the statement is done."""

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall()
        # Known only after the last row.
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        cursor.close()


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _run(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], *, begins: bool) -> T:
    if begins:
        connection.execute("BEGIN IMMEDIATE")
    return work(connection)
