"""A consumer of one queue on RabbitMQ: its channel comes back, its handlers run to their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from shared.errors import PermanentError, UnavailableError
from shared.messaging.amqp.envelope import decode, decode_leniently, encode, encode_dead
from shared.messaging.amqp.link import CALL_TIMEOUT_SECONDS, Link, ask
from shared.messaging.amqp.publisher import Publisher
from shared.messaging.amqp.topology import DEAD, retry_exchange
from shared.messaging.failure import GiveUp, after_failure, run
from shared.messaging.message import Handler, Message, RetryPolicy

_PAUSE_FIRST_SECONDS = 0.2
_PAUSE_MAX_SECONDS = 5.0
_PAUSE_BEFORE_REQUEUE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Work:
    """A message whose handler runs, and every delivery of it that has to be settled afterwards."""

    message: Message
    malformed: PermanentError | None = None
    deliveries: list[AbstractIncomingMessage] = field(default_factory=list)


class ChannelKeeper:
    """Keeps a consuming channel open: sets it up, waits until it is lost, and does so again."""

    def __init__(
        self,
        link: Link,
        name: str,
        set_up: Callable[[AbstractChannel], Awaitable[None]],
        *,
        repair: Callable[[], Awaitable[None]],
    ) -> None:
        self._link = link
        self._name = name
        self._set_up = set_up
        self._repair = repair
        self._channel: AbstractChannel | None = None
        self._ready = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(), name=f"consume {name}")

    async def wait_ready(self) -> None:
        """Return once it consumes. Raises UnavailableError if that takes too long."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise UnavailableError(f"RabbitMQ does not let us consume from {self._name}.") from None

    async def stop(self) -> AbstractChannel | None:
        """Stop coming back; return the channel that is still open, if any."""
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        return self._channel

    async def _keep(self) -> None:
        pause = _PAUSE_FIRST_SECONDS
        while True:
            try:
                lost = await ask(self._open(await self._link.wait()))
            except UnavailableError as error:
                _logger.warning("Cannot consume from %s: %s", self._name, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MAX_SECONDS)
                if isinstance(error.__cause__, ChannelNotFoundEntity):
                    await self._try_repair()
                continue
            pause = _PAUSE_FIRST_SECONDS
            self._ready.set()
            await lost.wait()
            _logger.warning("Lost the channel that consumes from %s; opening it again.", self._name)
            await self.close()

    async def _try_repair(self) -> None:
        try:
            await self._repair()
        except UnavailableError as error:
            _logger.warning("Cannot declare %s again: %s", self._name, error.message)

    async def close(self) -> None:
        """Close the channel, if there is one; the broker delivers what is unsettled to others."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        try:
            await ask(channel.close())
        except UnavailableError as error:
            _logger.debug("The channel of %s was already closed: %s", self._name, error.message)

    async def _open(self, connection: AbstractConnection) -> asyncio.Event:
        lost = asyncio.Event()
        channel = await connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(lambda *_: lost.set())
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _: lost.set())
        self._channel = channel
        await self._set_up(channel)
        return lost


class AmqpSubscription:
    """Runs up to `prefetch` handlers on the messages of a queue."""

    def __init__(
        self,
        link: Link,
        publisher: Publisher,
        queue: str,
        handler: Handler,
        *,
        prefetch: int,
        policy: RetryPolicy,
        repair: Callable[[], Awaitable[None]],
        on_cancel: Callable[[AmqpSubscription], None],
    ) -> None:
        self._publisher = publisher
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._policy = policy
        self._on_cancel = on_cancel
        self._slots = asyncio.Semaphore(prefetch)
        self._working: dict[str, _Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tag: str | None = None
        self._stopping = False
        self._keeper = ChannelKeeper(link, queue, self._consume, repair=repair)

    async def wait_ready(self) -> None:
        """Return once it consumes. Raises UnavailableError if that takes too long."""
        await self._keeper.wait_ready()

    async def cancel(self, *, drain_seconds: float | None = None) -> None:
        """Take no new message and wait for the handlers; leave to others what runs longer than that."""
        self._stopping = True
        self._on_cancel(self)
        channel = await self._keeper.stop()
        try:
            if channel is not None and self._tag is not None:
                queue = await channel.get_queue(self._queue, ensure=False)
                await ask(queue.cancel(self._tag))
        except UnavailableError as error:
            _logger.warning("Cannot cancel the consumer of %s: %s", self._queue, error.message)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=drain_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._keeper.close()

    async def _consume(self, channel: AbstractChannel) -> None:
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.get_queue(self._queue, ensure=False)
        self._tag = await queue.consume(self._accept)

    async def _accept(self, incoming: AbstractIncomingMessage) -> None:
        """Start the handler, unless it already runs on this message.

        After a lost connection the broker delivers again what is still in work here; a relay
        that missed a confirm publishes twice. One run settles all of them.
        """
        if self._stopping:
            return
        try:
            work = _Work(decode(incoming))
        except PermanentError as error:
            work = _Work(decode_leniently(incoming), malformed=error)
        running = self._working.setdefault(work.message.id, work)
        running.deliveries.append(incoming)
        if running is work:
            task = asyncio.create_task(self._work(work), name=f"handle {self._queue} {work.message.id}")
            self._tasks.add(task)
            task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("A message of %s stays unsettled until the next connection.", self._queue, exc_info=error)

    async def _work(self, work: _Work) -> None:
        try:
            async with self._slots:
                failure = work.malformed or await run(self._handler, work.message)
        finally:
            # From here on a delivery of the same id may be a retry or a replay, which is not to be
            # settled by this run.
            del self._working[work.message.id]
        if failure is None or await self._moved(work.message, failure):
            await _settle(work, lambda delivery: delivery.ack())
        else:
            await asyncio.sleep(_PAUSE_BEFORE_REQUEUE_SECONDS)
            await _settle(work, lambda delivery: delivery.nack(requeue=True))

    async def _moved(self, message: Message, failure: Exception) -> bool:
        """Publish the message to where it goes next; say whether the broker took it."""
        try:
            await self._move(message, failure)
        except UnavailableError as error:
            _logger.warning("Cannot move message %s of %s: %s", message.id, self._queue, error.message)
            return False
        return True

    async def _move(self, message: Message, failure: Exception) -> None:
        decision = after_failure(failure, message.attempt, self._policy)
        if isinstance(decision, GiveUp):
            dead = encode_dead(message, queue=self._queue, reason=decision.reason)
            await self._publisher.send(DEAD, self._queue, dead)
        else:
            again = encode(replace(message, attempt=decision.attempt))
            await self._publisher.send(retry_exchange(decision.delay_seconds), self._queue, again)


async def _settle(work: _Work, settle: Callable[[AbstractIncomingMessage], Awaitable[None]]) -> None:
    """Tell the broker; where it has forgotten the delivery, it delivers again by itself."""
    for delivery in work.deliveries:
        try:
            await ask(settle(delivery))
        except UnavailableError as error:
            _logger.info("A delivery of message %s could not be settled: %s", work.message.id, error.message)
