"""`LocalBus`: the semantics of the RabbitMQ transport, in one process and one file."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from shared.errors import UnavailableError
from shared.messaging.local import rows
from shared.messaging.local.store import LocalStore
from shared.messaging.local.subscription import LocalSubscription
from shared.messaging.message import DeadLetter, Handler, Message, RetryPolicy
from shared.messaging.queues import event_of_queue, queues_of_type
from shared.messaging.taps import Tap
from shared.messaging.tracing import producer_spans

_POLL_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class LocalBus:
    """Durable queues in the SQLite file at `path`; in memory if it is None.

    All services of the process share one instance, because one process consumes from a file
    at a time (held by a lock file). Others may open it to publish or to manage dead letters;
    what they change is seen within a second.
    """

    system = "fumehood_local"

    def __init__(self, path: Path | None, *, retry: RetryPolicy | None = None, drain_seconds: float = 20.0) -> None:
        self._path = path
        self._store = LocalStore(path)
        self._policy = retry or RetryPolicy()
        self._drain_seconds = drain_seconds
        self._subscriptions: set[LocalSubscription] = set()
        self._taps: set[Tap] = set()
        self._becoming_consumer = asyncio.Lock()
        self._lock: IO[str] | None = None
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the file. Raises UnavailableError."""
        await self._store.open()

    async def close(self) -> None:
        """Stop consuming, put back what does not finish in time, close the file."""
        await asyncio.gather(*(one.cancel(drain_seconds=self._drain_seconds) for one in list(self._subscriptions)))
        await asyncio.gather(*(tap.cancel(drain_seconds=self._drain_seconds) for tap in list(self._taps)))
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller
            self._poller = None
        await self._store.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the messages are on disk. Raises UnavailableError, PermanentError."""
        routes = [queues_of_type(message.type) for message in messages]
        with producer_spans(messages, self.system) as sent:
            deliveries = list(zip(routes, sent, strict=True))

            def insert_all(connection: sqlite3.Connection) -> None:
                for queues, message in deliveries:
                    rows.insert(connection, queues, message)

            await self._store.call(insert_all, durable=True)
        self._wake({queue for queues in routes for queue in queues})
        for message in sent:
            self._offer(message)

    async def publish_transient(self, message: Message) -> None:
        """Hand the message to the taps of this process."""
        with producer_spans([message], self.system) as sent:
            self._offer(sent[0])

    async def consume(self, queue: str, handler: Handler, *, prefetch: int = 16) -> LocalSubscription:
        """Call the handler for each message. Raises NotFoundError, UnavailableError (another process consumes)."""
        event_of_queue(queue)
        await self._become_consumer()
        subscription = LocalSubscription(
            self._store,
            queue,
            handler,
            prefetch=prefetch,
            policy=self._policy,
            on_cancel=self._subscriptions.discard,
        )
        self._subscriptions.add(subscription)
        return subscription

    async def tap(self, handler: Handler) -> Tap:
        """Call the handler for every event that this process publishes from now on."""
        tap = Tap(handler, on_cancel=self._taps.discard)
        self._taps.add(tap)
        return tap

    async def depth(self, queue: str) -> int:
        """Return the number of due messages that wait. Raises NotFoundError."""
        event_of_queue(queue)
        return await self._store.call(partial(rows.depth, queue=queue))

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters, oldest first."""
        return await self._store.call(partial(rows.dead_letters, limit=limit))

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """Return one dead letter. Raises NotFoundError."""
        return await self._store.call(partial(rows.dead_letter, dead_letter_id=dead_letter_id))

    async def replay(self, dead_letter_id: str) -> None:
        """Put a dead letter back into its queue. Raises NotFoundError."""
        queue = await self._store.call(partial(rows.replay, dead_letter_id=dead_letter_id), durable=True)
        self._wake({queue})

    async def replay_all(self, queue: str | None = None) -> int:
        """Put all dead letters, or those of one queue, back; return how many."""
        count = await self._store.call(partial(rows.replay_all, queue=queue), durable=True)
        self._wake(None)
        return count

    async def discard(self, dead_letter_id: str) -> None:
        """Delete a dead letter. Raises NotFoundError."""
        await self._store.call(partial(rows.discard, dead_letter_id=dead_letter_id), durable=True)

    async def check(self) -> None:
        """Raise UnavailableError unless the file can be used now."""
        await self._store.call(rows.data_version)

    async def _become_consumer(self) -> None:
        async with self._becoming_consumer:
            if self._poller is not None:
                return
            if self._path is not None and self._lock is None:
                self._lock = _lock(self._path)
            recovered = await self._store.call(partial(rows.recover, crash_limit=self._policy.crash_limit))
            if recovered:
                _logger.info("Delivering %d messages again: the last process ended during their work.", recovered)
            self._poller = asyncio.create_task(self._poll(), name="local-bus-poll")

    async def _poll(self) -> None:
        """Wake the consumers when another process has changed the file."""
        seen: int | None = None
        while True:
            try:
                version = await self._store.call(rows.data_version)
            except UnavailableError as error:
                _logger.warning("Cannot read the local bus: %s", error.message)
            else:
                if version != seen:
                    self._wake(None)
                seen = version
            await asyncio.sleep(_POLL_SECONDS)

    def _wake(self, queues: set[str] | None) -> None:
        for subscription in self._subscriptions:
            if queues is None or subscription.queue in queues:
                subscription.wake()

    def _offer(self, message: Message) -> None:
        for tap in self._taps:
            tap.offer(message)


def _lock(path: Path) -> IO[str]:
    lock = path.with_name(path.name + ".lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UnavailableError(
            f"Another process already consumes from the local bus at {path}; stop it, or use an amqp:// URL."
        ) from None
    return lock
