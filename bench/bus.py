"""Messages per second over both transports, next to bare aio-pika on the same broker.

Baseline: a quorum queue used through aio-pika alone, with the same bodies, the same number of
messages in flight and the same prefetch, in the same run. Skips RabbitMQ where there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import aio_pika

from shared.messaging import Bus, Message, open_bus
from shared.testing.events import REPORT_QUEUE, report_requested
from shared.testing.servers import RabbitServer
from shared.testing.servers.rabbitmq import DEFAULT_URL

PREFETCH = 64


@dataclass(frozen=True)
class Rates:
    """Messages per second: published and confirmed, then consumed, then both at the same time."""

    publish: float
    consume: float
    both: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=3000, help="messages per measurement")
    parser.add_argument("--size-bytes", type=int, default=1024, help="bytes of each body")
    parser.add_argument("--in-flight", type=int, default=256, help="messages published at once")
    options = parser.parse_args(arguments)
    messages = [
        replace(Message.of(report_requested()), body=b"x" * options.size_bytes) for _ in range(options.messages)
    ]

    rows: list[tuple[str, Rates]] = []
    with tempfile.TemporaryDirectory() as folder:
        rows.append(("local", asyncio.run(_measure_bus(f"local://{folder}/bus.db", messages, options.in_flight))))
    with _broker() as virtual_host:
        if virtual_host:
            rows.append(("RabbitMQ", asyncio.run(_measure_bus(virtual_host(), messages, options.in_flight))))
            bare = asyncio.run(_measure_bare(virtual_host(), messages, options.in_flight))
            rows.append(("bare aio-pika", bare))

    print(
        f"{options.messages} messages of {options.size_bytes} bytes, {options.in_flight} in flight, prefetch {PREFETCH}"
    )
    print(f"{'messages/s':<16}{'publish':>10}{'consume':>10}{'both':>10}")
    for name, rates in rows:
        print(f"{name:<16}{rates.publish:>10.0f}{rates.consume:>10.0f}{rates.both:>10.0f}")


@contextmanager
def _broker() -> Iterator[Callable[[], str] | None]:
    parts = urlsplit(DEFAULT_URL)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5672), timeout=2).close()
    except OSError:
        yield None
        return
    server = RabbitServer()
    server.start()
    try:
        yield server.create_virtual_host
    finally:
        server.stop()


async def _measure_bus(url: str, messages: list[Message], in_flight: int) -> Rates:
    bus = open_bus(url)
    await bus.start()
    publish = _rate(len(messages), await _timed(_publish(bus, messages, in_flight)))
    consume = _rate(len(messages), await _timed(_consume(bus, len(messages))))
    # Publishing under way takes new ids: a message still in work is not delivered twice.
    again = [replace(message, id=f"again-{number}") for number, message in enumerate(messages)]
    both = await _timed(_together(_publish(bus, again, in_flight), _consume(bus, len(again))))
    await bus.close()
    return Rates(publish, consume, _rate(len(messages), both))


async def _publish(bus: Bus, messages: list[Message], in_flight: int) -> None:
    for first in range(0, len(messages), in_flight):
        await asyncio.gather(*(bus.publish([message]) for message in messages[first : first + in_flight]))


async def _consume(bus: Bus, count: int) -> None:
    done, seen = asyncio.Event(), 0

    async def handle(_: Message) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            done.set()

    subscription = await bus.consume(REPORT_QUEUE, handle, prefetch=PREFETCH)
    await done.wait()
    await subscription.cancel()


async def _measure_bare(url: str, messages: list[Message], in_flight: int) -> Rates:
    async with await aio_pika.connect(url) as connection:
        sending, receiving = await connection.channel(), await connection.channel()
        await receiving.set_qos(prefetch_count=PREFETCH)
        await sending.declare_queue("bench", durable=True, arguments={"x-queue-type": "quorum"})
        queue = await receiving.get_queue("bench")
        bodies = [message.body for message in messages]
        publish = _rate(len(bodies), await _timed(_publish_bare(sending, bodies, in_flight)))
        consume = _rate(len(bodies), await _timed(_consume_bare(queue, len(bodies))))
        both = await _timed(_together(_publish_bare(sending, bodies, in_flight), _consume_bare(queue, len(bodies))))
        await queue.delete(if_unused=False, if_empty=False)
        return Rates(publish, consume, _rate(len(bodies), both))


async def _publish_bare(channel: aio_pika.abc.AbstractChannel, bodies: list[bytes], in_flight: int) -> None:
    exchange = channel.default_exchange
    for first in range(0, len(bodies), in_flight):
        await asyncio.gather(
            *(
                exchange.publish(aio_pika.Message(body, delivery_mode=2), "bench")
                for body in bodies[first : first + in_flight]
            )
        )


async def _consume_bare(queue: aio_pika.abc.AbstractQueue, count: int) -> None:
    done, seen = asyncio.Event(), 0

    async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal seen
        await message.ack()
        seen += 1
        if seen == count:
            done.set()

    tag = await queue.consume(handle)
    await done.wait()
    await queue.cancel(tag)


async def _together(first: Awaitable[None], second: Awaitable[None]) -> None:
    await asyncio.gather(first, second)


async def _timed(work: Awaitable[None]) -> float:
    started = time.monotonic()
    await work
    return time.monotonic() - started


def _rate(count: int, seconds: float) -> float:
    return count / seconds


if __name__ == "__main__":
    main()
