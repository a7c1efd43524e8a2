"""A message on the bus, its envelope and the one interface that both transports implement.

The envelope is CloudEvents 1.0 in binary mode (AMQP protocol binding 1.0.2): attributes in
headers with the prefix `cloudEvents:`, the event as JSON body, W3C trace context beside them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from shared.clock import now
from shared.events import EVENTS, Event

EventClass = type[Event]


@dataclass(frozen=True, slots=True)
class Message:
    """One event in its envelope. `headers` carries the trace context (traceparent, tracestate)."""

    id: str
    type: str
    source: str
    time: datetime
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    attempt: int = 1

    @classmethod
    def of(cls, event: Event) -> Message:
        """Return the envelope of a new event, as its owner publishes it."""
        source = f"/fumehood/{event.owner()}"
        return cls(id=str(uuid4()), type=event.type, source=source, time=now(), body=event.model_dump_json().encode())

    @property
    def event_class(self) -> EventClass:
        """Return the class of the event. Raises KeyError for a type this version does not know."""
        return EVENTS[self.type]


Handler = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, with the queue it failed in and the reason."""

    id: str
    queue: str
    message: Message
    reason: str
    failed_at: datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each further try. After the last delay the message is a dead letter."""

    delays_seconds: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0)
    crash_limit: int = 10
    """How often a message may be in work when its consumer dies; once more makes a dead letter."""


class Subscription(Protocol):
    """A running consumer."""

    async def cancel(self, *, drain_seconds: float | None = None) -> None:
        """Take no new message, let running handlers finish, then return.

        What runs longer than `drain_seconds` is cancelled, and its message delivered again.
        """


class Bus(Protocol):
    """What a transport does. Implementations: `LocalBus` (`local://`), `AmqpBus` (`amqp://`).

    Every queue named by an event's `consumers` exists before the first publish, so a message
    is never dropped because its consumer has not started yet.
    """

    @property
    def system(self) -> str:
        """Return the name of the transport for traces (OpenTelemetry `messaging.system`)."""

    async def start(self) -> None:
        """Connect and declare exchange and queues. Raises UnavailableError."""

    async def close(self) -> None:
        """Stop consuming, then disconnect."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is safe in every queue it belongs to.

        Raises UnavailableError when the broker did not confirm; publishing again is then
        safe, because consumers act once per message id. Raises PermanentError for a message
        that no broker would take: an unknown event type.
        """

    async def publish_transient(self, message: Message) -> None:
        """Send to the taps that are listening now; never waits, never raises when nobody is there."""

    async def consume(self, queue: str, handler: Handler, *, prefetch: int = 16) -> Subscription:
        """Call `handler` for each message, at most `prefetch` at a time.

        A normal return acknowledges. ClientError and PermanentError make a dead letter at
        once; anything else is retried after the delays of the policy, then a dead letter.
        Raises NotFoundError for a queue that no event names, UnavailableError when the
        consumer cannot be started; once started, it comes back by itself after an outage.
        """

    async def tap(self, handler: Handler) -> Subscription:
        """Call `handler` for every event from now on, in a queue that only this caller has."""

    async def depth(self, queue: str) -> int:
        """Return the number of messages that wait in the queue, without those that wait for a retry.

        Raises NotFoundError for a queue that no event names.
        """

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters, oldest first, without removing them."""

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """Return one dead letter without removing it. Raises NotFoundError."""

    async def replay(self, dead_letter_id: str) -> None:
        """Put a dead letter back into its queue as a first attempt. Raises NotFoundError."""

    async def replay_all(self, queue: str | None = None) -> int:
        """Replay all dead letters that are there now, or those of one queue; return how many."""

    async def discard(self, dead_letter_id: str) -> None:
        """Remove a dead letter for good. Raises NotFoundError."""

    async def check(self) -> None:
        """Raise UnavailableError unless the transport can be used now."""
