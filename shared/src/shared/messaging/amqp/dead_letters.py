"""Looking at, replaying and discarding dead letters.

RabbitMQ has no look without taking, so messages are taken unacknowledged and given back.
One reader at a time, or each would see a part: who owns the exclusive queue
`fumehood.dead.reader` reads, and loses it with its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import ChannelLockedResource

from shared.errors import NotFoundError, UnavailableError
from shared.messaging.amqp.envelope import decode_dead, encode
from shared.messaging.amqp.link import Link, ask
from shared.messaging.amqp.publisher import Publisher
from shared.messaging.amqp.topology import DEAD
from shared.messaging.message import DeadLetter

_READER = f"{DEAD}.reader"
_TURN_TIMEOUT_SECONDS = 15.0
_NEXT_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.1
_PREFETCH_MAX = 65_535
_UNLIMITED = 0

Taken = tuple[AbstractIncomingMessage, DeadLetter]


class DeadLetters:
    """The dead letters of this virtual host."""

    def __init__(self, link: Link, publisher: Publisher) -> None:
        self._link = link
        self._publisher = publisher
        self._turn = asyncio.Lock()

    async def list(self, limit: int) -> list[DeadLetter]:
        """Return up to `limit` dead letters, oldest first."""
        async with aclosing(self._take(limit)) as taken:
            return [letter async for _, letter in taken]

    async def find(self, dead_letter_id: str) -> DeadLetter:
        """Return one. Raises NotFoundError."""
        async with self._one(dead_letter_id) as (_, letter):
            return letter

    async def replay(self, dead_letter_id: str) -> None:
        """Publish one into its queue, then remove it. Raises NotFoundError."""
        async with self._one(dead_letter_id) as (incoming, letter):
            await self._replay(incoming, letter)

    async def replay_all(self, queue: str | None) -> int:
        """Replay those that are there now, of all queues or of one; return how many."""
        count = 0
        async with aclosing(self._take(None)) as taken:
            async for incoming, letter in taken:
                if queue is None or letter.queue == queue:
                    await self._replay(incoming, letter)
                    count += 1
        return count

    async def discard(self, dead_letter_id: str) -> None:
        """Remove one. Raises NotFoundError."""
        async with self._one(dead_letter_id) as (incoming, _):
            await ask(incoming.ack())

    async def _replay(self, incoming: AbstractIncomingMessage, letter: DeadLetter) -> None:
        await self._publisher.send("", letter.queue, encode(replace(letter.message, attempt=1)))
        await ask(incoming.ack())

    @asynccontextmanager
    async def _one(self, dead_letter_id: str) -> AsyncIterator[Taken]:
        async with aclosing(self._take(None)) as taken:
            async for incoming, letter in taken:
                if letter.id == dead_letter_id:
                    yield incoming, letter
                    return
        raise NotFoundError(f"There is no dead letter {dead_letter_id!r}.")

    async def _take(self, limit: int | None) -> AsyncGenerator[Taken]:
        """Give the dead letters that are there now, oldest first; what is not acknowledged goes back."""
        async with self._reading() as channel:
            queue = await ask(channel.get_queue(DEAD))
            total = await _count(queue)
            wanted = total if limit is None else min(limit, total)
            if wanted == 0:
                return
            await ask(channel.set_qos(prefetch_count=wanted if wanted <= _PREFETCH_MAX else _UNLIMITED))
            arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            tag = await ask(queue.consume(arrived.put))
            taken: list[AbstractIncomingMessage] = []
            try:
                for _ in range(wanted):
                    incoming = await ask(arrived.get(), timeout_seconds=_NEXT_TIMEOUT_SECONDS)
                    taken.append(incoming)
                    yield incoming, decode_dead(incoming)
            finally:
                await ask(queue.cancel(tag))
                kept = sum(incoming.processed for incoming in taken)
                underlay = await channel.get_underlay_channel()
                await ask(underlay.basic_nack(0, multiple=True, requeue=True))
                await _wait_for_count(queue, total - kept)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AbstractChannel]:
        async with self._turn:
            reader = await self._take_turn()
            channel = reader.channel
            try:
                yield channel
            finally:
                await ask(channel.queue_delete(_READER))
                await ask(channel.close())

    async def _take_turn(self) -> AbstractQueue:
        deadline = asyncio.get_running_loop().time() + _TURN_TIMEOUT_SECONDS
        while True:
            try:
                return await ask(self._open_reader())
            except UnavailableError as error:
                taken = isinstance(error.__cause__, ChannelLockedResource)
                if not taken or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)

    async def _open_reader(self) -> AbstractQueue:
        channel = await self._link.connection.channel(publisher_confirms=False)
        return await channel.declare_queue(_READER, exclusive=True, auto_delete=True)


async def _count(queue: AbstractQueue) -> int:
    """Return how many messages nobody has taken."""
    return (await ask(queue.declare())).message_count or 0


async def _wait_for_count(queue: AbstractQueue, count: int) -> None:
    """Return when what was given back is there for the next reader, or after a while."""
    for _ in range(int(_NEXT_TIMEOUT_SECONDS / _POLL_SECONDS)):
        if await _count(queue) >= count:
            return
        await asyncio.sleep(_POLL_SECONDS)
