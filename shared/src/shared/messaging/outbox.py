"""From the outbox table to the bus: nothing is lost between a commit and its publication.

The relay runs beside each replica of a service. It is woken by the commit of a transaction
that queued events; polling finds what a crash or another process left behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.clock import aware
from shared.errors import UnavailableError
from shared.messaging.failure import describe
from shared.messaging.message import Bus, Message
from shared.messaging.processed import keep_pruned
from shared.messaging.tables import OUTBOX

if TYPE_CHECKING:
    from shared.database import Database  # imports this package for its tables

_BATCH_MAX = 256
_POLL_SECONDS = 1.0
_PAUSE_FIRST_SECONDS = 0.1
_PAUSE_MAX_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class OutboxRelay:
    """Publishes the outbox rows of one service, oldest first, and deletes what the bus has confirmed.

    At least once: a crash between the confirm and the delete publishes again. Safe with
    several replicas on PostgreSQL, where each locks the rows it works on. It also forgets,
    hourly, the events that the service handled long ago.
    """

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._wake = asyncio.Event()
        self._held = _HeldRows()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to publish what commits queue."""
        if self._tasks:
            return
        self._database.on_events_committed = self._wake.set
        self._tasks = [
            asyncio.create_task(self._relay(), name=f"outbox {self._database.schema}"),
            asyncio.create_task(keep_pruned(self._database), name=f"prune {self._database.schema}"),
        ]

    async def close(self) -> None:
        """Stop; what is not yet published stays in the table."""
        self._database.on_events_committed = lambda: None
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def relay_batch(self) -> int:
        """Publish one batch; return how many events the bus took. Raises UnavailableError: bus or database is away."""
        if not self._database.is_sqlite:
            async with self._database.transaction() as transaction:
                batch = await self._select(transaction.session, lock=True)
                published = await self._publish(batch)
                await _delete(transaction.session, published)
            return len(published)
        # SQLite has one writer at a time, and it must not wait for the bus.
        async with self._database.read() as session:
            batch = await self._select(session, lock=False)
        published = await self._publish(batch)
        if published:
            async with self._database.transaction() as transaction:
                await _delete(transaction.session, published)
        return len(published)

    async def _relay(self) -> None:
        pause = _PAUSE_FIRST_SECONDS
        while True:
            self._wake.clear()
            try:
                published = await self.relay_batch()
            except UnavailableError as error:
                _logger.warning("Events of %s wait: %s", self._database.schema, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MAX_SECONDS)
                continue
            except Exception:
                _logger.exception("The outbox of %s cannot be relayed.", self._database.schema)
                await asyncio.sleep(_PAUSE_MAX_SECONDS)
                continue
            pause = _PAUSE_FIRST_SECONDS
            if published < _BATCH_MAX:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _select(self, session: AsyncSession, *, lock: bool) -> list[tuple[int, Message]]:
        statement = sa.select(OUTBOX).order_by(OUTBOX.c.id).limit(_BATCH_MAX)
        if held := self._held.now():
            statement = statement.where(OUTBOX.c.id.not_in(held))
        if lock:
            statement = statement.with_for_update(skip_locked=True)
        return [(row.id, message_of_row(row)) for row in await session.execute(statement)]

    async def _publish(self, batch: Sequence[tuple[int, Message]]) -> list[int]:
        """Publish concurrently; return the ids of the rows that the bus has confirmed."""
        results = await asyncio.gather(*(self._bus.publish([message]) for _, message in batch), return_exceptions=True)
        failures = {row_id: error for (row_id, _), error in zip(batch, results, strict=True) if error is not None}
        if failures and len(failures) == len(batch):
            await self._bus.check()
        for row_id, error in failures.items():
            _logger.error("Row %d of the outbox cannot be published: %s", row_id, describe(error))
            self._held.add(row_id)
        published = [row_id for row_id, _ in batch if row_id not in failures]
        self._held.forget(published)
        return published


def message_of_row(row: sa.Row[Any]) -> Message:
    """Return the message that a row of the outbox holds."""
    return Message(
        id=row.event_id,
        type=row.type,
        source=row.source,
        time=aware(row.time),
        body=row.body,
        headers=row.headers,
    )


async def _delete(session: AsyncSession, row_ids: Sequence[int]) -> None:
    if row_ids:
        await session.execute(sa.delete(OUTBOX).where(OUTBOX.c.id.in_(row_ids)))


@dataclass(slots=True)
class _Hold:
    pause_seconds: float
    until: float


class _HeldRows:
    """Rows that fail although the bus works. Each waits longer every time, so that none blocks the rest."""

    _FIRST_SECONDS = 1.0
    _LAST_SECONDS = 60.0
    _MAX = 5_000

    def __init__(self) -> None:
        self._holds: dict[int, _Hold] = {}

    def now(self) -> list[int]:
        """Return the rows that have to wait now."""
        moment = time.monotonic()
        return [row_id for row_id, hold in self._holds.items() if hold.until > moment]

    def add(self, row_id: int) -> None:
        """Hold a row. Raises UnavailableError when there are so many that it must be the bus."""
        hold = self._holds.get(row_id)
        if hold is None and len(self._holds) >= self._MAX:
            raise UnavailableError("Too many events cannot be published.")
        pause = self._FIRST_SECONDS if hold is None else min(hold.pause_seconds * 2, self._LAST_SECONDS)
        self._holds[row_id] = _Hold(pause, time.monotonic() + pause)

    def forget(self, row_ids: Sequence[int]) -> None:
        """Hold these no longer."""
        for row_id in row_ids:
            self._holds.pop(row_id, None)
