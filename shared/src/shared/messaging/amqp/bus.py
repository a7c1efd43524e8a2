"""`AmqpBus`: events on RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from shared.errors import UnavailableError
from shared.messaging.amqp import topology
from shared.messaging.amqp.dead_letters import DeadLetters
from shared.messaging.amqp.envelope import encode
from shared.messaging.amqp.link import Link, ask
from shared.messaging.amqp.publisher import Publisher
from shared.messaging.amqp.subscription import AmqpSubscription
from shared.messaging.amqp.tap import AmqpTap
from shared.messaging.message import DeadLetter, Handler, Message, RetryPolicy
from shared.messaging.queues import EXCHANGE, event_of_queue, queues_of_type
from shared.messaging.tracing import producer_spans

_TRANSIENT_BACKLOG_MAX = 1_000

_logger = logging.getLogger(__name__)


class AmqpBus:
    """Queues on the broker at `url` (`amqp://user:password@host:port/virtual-host`).

    Publishing and consuming have a connection each, because a broker short of memory blocks
    connections that publish, and acknowledgements must get through.
    """

    system = "rabbitmq"

    def __init__(self, url: str, *, retry: RetryPolicy | None = None, drain_seconds: float = 20.0) -> None:
        self._policy = retry or RetryPolicy()
        self._drain_seconds = drain_seconds
        self._sending = Link(url, purpose="publish", prepare=partial(topology.declare, policy=self._policy))
        self._receiving = Link(url, purpose="consume", prepare=topology.declare_nothing)
        self._publisher = Publisher(self._sending)
        self._dead_letters = DeadLetters(self._sending, self._publisher)
        self._subscriptions: set[AmqpSubscription] = set()
        self._taps: set[AmqpTap] = set()
        self._transient: asyncio.Queue[Message] = asyncio.Queue(_TRANSIENT_BACKLOG_MAX)
        self._transient_sender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and declare exchanges and queues. Raises UnavailableError, PermanentError (wrong credentials)."""
        await self._sending.open()
        if self._transient_sender is None:
            self._transient_sender = asyncio.create_task(self._send_transient(), name="amqp-transient")

    async def close(self) -> None:
        """Stop consuming, leave to others what does not finish in time, disconnect."""
        await asyncio.gather(*(one.cancel(drain_seconds=self._drain_seconds) for one in list(self._subscriptions)))
        await asyncio.gather(*(tap.cancel(drain_seconds=self._drain_seconds) for tap in list(self._taps)))
        if self._transient_sender is not None:
            self._transient_sender.cancel()
            with suppress(asyncio.CancelledError):
                await self._transient_sender
            self._transient_sender = None
        await self._receiving.close()
        await self._sending.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has confirmed all. Raises UnavailableError, PermanentError."""
        mandatory = [bool(queues_of_type(message.type)) for message in messages]
        with producer_spans(messages, self.system) as sent:
            await self._publisher.send_all(
                [
                    (EXCHANGE, message.type, encode(message), must_arrive)
                    for message, must_arrive in zip(sent, mandatory, strict=True)
                ]
            )

    async def publish_transient(self, message: Message) -> None:
        """Send to the taps that listen now, unless the broker is away or lags behind."""
        with producer_spans([message], self.system) as sent, suppress(asyncio.QueueFull):
            self._transient.put_nowait(sent[0])

    async def consume(self, queue: str, handler: Handler, *, prefetch: int = 16) -> AmqpSubscription:
        """Call the handler for each message. Raises NotFoundError, UnavailableError."""
        event_of_queue(queue)
        await self._receiving.open()
        subscription = AmqpSubscription(
            self._receiving,
            self._publisher,
            queue,
            handler,
            prefetch=prefetch,
            policy=self._policy,
            repair=self._sending.repair,
            on_cancel=self._subscriptions.discard,
        )
        self._subscriptions.add(subscription)
        try:
            await subscription.wait_ready()
        except BaseException:
            await subscription.cancel(drain_seconds=0)
            raise
        return subscription

    async def tap(self, handler: Handler) -> AmqpTap:
        """Call the handler for every event from now on. Raises UnavailableError."""
        await self._receiving.open()
        tap = AmqpTap(self._receiving, handler, repair=self._sending.repair, on_cancel=self._taps.discard)
        self._taps.add(tap)
        try:
            await tap.wait_ready()
        except BaseException:
            await tap.cancel()
            raise
        return tap

    async def depth(self, queue: str) -> int:
        """Return the number of messages that wait. Raises NotFoundError, UnavailableError."""
        event_of_queue(queue)
        return await ask(topology.depth(self._sending.connection, queue))

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters, oldest first. Raises UnavailableError."""
        return await self._dead_letters.list(limit)

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """Return one dead letter. Raises NotFoundError, UnavailableError."""
        return await self._dead_letters.find(dead_letter_id)

    async def replay(self, dead_letter_id: str) -> None:
        """Put a dead letter back into its queue. Raises NotFoundError, UnavailableError."""
        await self._dead_letters.replay(dead_letter_id)

    async def replay_all(self, queue: str | None = None) -> int:
        """Put all dead letters, or those of one queue, back; return how many. Raises UnavailableError."""
        return await self._dead_letters.replay_all(queue)

    async def discard(self, dead_letter_id: str) -> None:
        """Remove a dead letter for good. Raises NotFoundError, UnavailableError."""
        await self._dead_letters.discard(dead_letter_id)

    async def check(self) -> None:
        """Raise UnavailableError unless the broker answers now."""
        await ask(topology.depth(self._sending.connection, topology.DEAD))

    async def _send_transient(self) -> None:
        while True:
            message = await self._transient.get()
            try:
                await ask(self._publisher.send_unconfirmed(EXCHANGE, message.type, encode(message, persistent=False)))
            except UnavailableError as error:
                _logger.debug("Dropped %s: %s", message.type, error.message)
