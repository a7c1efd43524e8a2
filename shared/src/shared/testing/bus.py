"""Messages without a broker: what a test feeds to a consumer, and what it finds in an outbox.

A bus for tests is `LocalBus(None)`: the real thing, in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from shared.database import Database
from shared.events import EVENTS, Event
from shared.messaging import LocalBus, Message, RetryPolicy
from shared.messaging.tables import OUTBOX


def envelope(event: Event, *, event_id: str | None = None, attempt: int = 1) -> Message:
    """Return the message that its owner would publish for the event; the id is new unless given."""
    message = Message.of(event)
    return replace(message, id=event_id or message.id, attempt=attempt)


async def published(database: Database) -> list[Event]:
    """Return the events that wait in the service's outbox, oldest first."""
    async with database.read() as session:
        rows = await session.execute(sa.select(OUTBOX.c.type, OUTBOX.c.body).order_by(OUTBOX.c.id))
        return [EVENTS[row.type].model_validate_json(row.body) for row in rows]


class RecordingBus(LocalBus):
    """A bus in memory that remembers what was published through it, durable and transient."""

    def __init__(self, *, retry: RetryPolicy | None = None) -> None:
        super().__init__(None, retry=retry)
        self.messages: list[Message] = []

    @property
    def events(self) -> list[Event]:
        """Return the events of the recorded messages, in order."""
        return [message.event_class.model_validate_json(message.body) for message in self.messages]

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish and remember."""
        await super().publish(messages)
        self.messages.extend(messages)

    async def publish_transient(self, message: Message) -> None:
        """Send and remember."""
        await super().publish_transient(message)
        self.messages.append(message)


class Recorder:
    """A handler that keeps the messages it gets, with their times, and raises `error` if there is one."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.messages: list[Message] = []
        self.moments: list[float] = []
        self.error = error

    @property
    def ids(self) -> list[str]:
        """Return the ids of the messages, in the order they came."""
        return [message.id for message in self.messages]

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self.moments.append(time.monotonic())
        if self.error is not None:
            raise self.error


async def until(condition: Callable[[], bool | Awaitable[bool]], *, timeout_seconds: float = 20) -> None:
    """Return when the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            value = condition()
            if value if isinstance(value, bool) else await value:
                return
            await asyncio.sleep(0.02)
