"""A process that takes one message into work and never finishes it; the test kills it.

Run as `python crashing_consumer.py BUS_URL QUEUE`; says `working ID` for each message it takes.
"""

from __future__ import annotations

import asyncio
import sys

from shared.messaging import Message, RetryPolicy, open_bus


async def consume(url: str, queue: str) -> None:
    async def take(message: Message) -> None:
        sys.stdout.write(f"working {message.id}\n")
        sys.stdout.flush()
        await asyncio.sleep(3600)

    bus = open_bus(url, retry=RetryPolicy(delays_seconds=(0.1, 0.4), crash_limit=2))
    await bus.start()
    await bus.consume(queue, take)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], sys.argv[2]))
