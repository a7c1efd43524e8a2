"""Fixtures of the messaging tests: one suite runs on both transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aio_pika
import pytest

from shared.messaging import Bus, RetryPolicy, open_bus
from shared.messaging.amqp.topology import DEAD, retry_exchange
from shared.messaging.queues import QUEUES

QUICK = RetryPolicy(delays_seconds=(0.1, 0.4), crash_limit=2)

OpenBus = Callable[[], Awaitable[Bus]]


@pytest.fixture(params=["local", pytest.param("amqp", marks=pytest.mark.integration)])
def bus_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty bus, once per transport."""
    if request.param == "local":
        return f"local://{tmp_path}/bus.db"
    return str(request.getfixturevalue("amqp_bus_url"))


@pytest.fixture
async def amqp_bus_url(amqp_url: str) -> AsyncIterator[str]:
    """Return the URL of an empty virtual host and delete its queues after the test.

    Each quorum queue reserves file descriptors of the broker, which stops accepting
    connections when they run out; the virtual hosts themselves stay until the session ends.
    """
    yield amqp_url
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for queue in (*QUEUES, DEAD, *map(retry_exchange, QUICK.delays_seconds)):
            await channel.queue_delete(queue)


@pytest.fixture
async def open_test_bus(bus_url: str) -> AsyncIterator[OpenBus]:
    """Return a function that opens the bus once more, as another process would."""
    async with AsyncExitStack() as stack:

        async def open_and_start() -> Bus:
            bus = open_bus(bus_url, retry=QUICK)
            stack.push_async_callback(bus.close)
            await bus.start()
            return bus

        yield open_and_start


@pytest.fixture
async def bus(open_test_bus: OpenBus) -> Bus:
    """Return a started bus."""
    return await open_test_bus()
