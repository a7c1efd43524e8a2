"""A service's own database: engine, transactions, outbox rows and processed events.

`sqlite+aiosqlite:///path` is the embedded default (one file per service);
`postgresql+asyncpg://` uses one schema and one role per service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, cast
from uuid import uuid4

import sqlalchemy as sa
from opentelemetry import propagate
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from shared import sqlite
from shared.clock import now
from shared.errors import UnavailableError
from shared.events import Event
from shared.messaging.tables import OUTBOX, PROCESSED_EVENTS

Insert = PostgresqlInsert | SqliteInsert

_OVERFLOW = 5


class Transaction:
    """One unit of work: rows, outgoing events and the mark that an incoming event is handled."""

    def __init__(self, session: AsyncSession, source: str) -> None:
        self.session = session
        self.has_events = False
        self._source = source

    async def publish(self, event: Event) -> str:
        """Queue an event for publication if this transaction commits; return its id (UUID)."""
        headers: dict[str, str] = {}
        propagate.inject(headers)
        event_id = str(uuid4())
        row = {
            "event_id": event_id,
            "type": event.type,
            "source": self._source,
            "time": now(),
            "headers": headers,
            "body": event.model_dump_json().encode(),
        }
        await self.session.execute(sa.insert(OUTBOX), row)
        self.has_events = True
        return event_id

    async def first_time(self, event_id: str) -> bool:
        """Record that this service handles the event; False if it already did."""
        statement = insert(self.session, PROCESSED_EVENTS).on_conflict_do_nothing()
        mark = {"event_id": event_id, "processed_at": now()}
        result = cast("sa.CursorResult[Any]", await self.session.execute(statement, mark))
        return result.rowcount == 1


class Database:
    """The engine of one service. `schema` is also the name of the service."""

    def __init__(self, url: str, *, schema: str, pool_size: int = 10) -> None:
        self.schema = schema
        self.engine = _create_engine(url, schema, pool_size)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._reading = self.engine.execution_options(
            **sqlite.NO_TRANSACTION if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        )
        self.on_events_committed: Callable[[], None] = lambda: None
        self._writer = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit what the block did, or nothing of it. Raises UnavailableError if the server is away."""
        async with AsyncExitStack() as stack:
            if self.is_sqlite:
                await stack.enter_async_context(self._writer)
            with _unavailable_when_disconnected():
                session = await stack.enter_async_context(AsyncSession(self.engine, expire_on_commit=False))
                async with session.begin():
                    transaction = Transaction(session, source=f"/fumehood/{self.schema}")
                    yield transaction
        if transaction.has_events:
            self.on_events_committed()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading, without a transaction: each statement sees what is committed by then."""
        with _unavailable_when_disconnected():
            async with AsyncSession(self._reading, expire_on_commit=False) as session:
                yield session

    async def check(self) -> None:
        """Raise UnavailableError unless the database answers."""
        async with self.read() as session:
            await session.execute(sa.text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def insert(session: AsyncSession, table: sa.Table) -> Insert:
    """Return an insert that can say what to do on a conflict, which each database has in its own dialect.

    Values are best given where it is executed: a statement that holds none need not be built anew for each row.
    """
    return _insert(session.get_bind().dialect.name, table)


@cache
def _insert(dialect: str, table: sa.Table) -> Insert:
    return SqliteInsert(table) if dialect == "sqlite" else PostgresqlInsert(table)


class _unavailable_when_disconnected:  # noqa: N801 - reads as a phrase in `with`
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        away = isinstance(error, (OperationalError, InterfaceError, ConnectionError)) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        )
        if away:
            raise UnavailableError("The database does not answer.", retry_after_seconds=5) from error


def _create_engine(url: str, schema: str, pool_size: int) -> AsyncEngine:
    if url.startswith("sqlite"):
        return sqlite.create_engine(url, pool_size + _OVERFLOW)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=_OVERFLOW,
        pool_pre_ping=True,
        connect_args={"server_settings": {"search_path": schema, "application_name": f"fumehood-{schema}"}},
    )
