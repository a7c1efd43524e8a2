"""What only the local bus has: its file, its lock, its other readers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from shared.errors import PermanentError, UnavailableError
from shared.messaging import LocalBus, Message, RetryPolicy, open_bus
from shared.messaging.local import store, subscription
from shared.testing.bus import Recorder, envelope, until
from shared.testing.events import REPORT_QUEUE, report_requested


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bus.db"


async def open_local(path: Path | None) -> LocalBus:
    bus = LocalBus(path, retry=RetryPolicy(delays_seconds=(0.1,)))
    await bus.start()
    return bus


@pytest.mark.parametrize("url", ["local://", "local://:memory:"])
async def test_a_bus_in_memory_works(url: str) -> None:
    bus = open_bus(url)
    await bus.start()
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    await bus.publish([envelope(report_requested())])
    await until(lambda: len(handler.messages) == 1)
    await bus.close()


def test_another_scheme_is_refused_without_repeating_the_url() -> None:
    with pytest.raises(ValueError, match="redis") as caught:
        open_bus("redis://user:sEcret@host/")
    assert "sEcret" not in str(caught.value)


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bus = LocalBus(tmp_path / "file" / "bus.db")
    with pytest.raises(UnavailableError):
        await bus.start()
    with pytest.raises(UnavailableError):
        await bus.check()
    await bus.close()


async def test_only_one_process_consumes_but_others_may_look(path: Path) -> None:
    first, second = await open_local(path), await open_local(path)
    await asyncio.gather(*(first.consume(queue, Recorder()) for queue in (REPORT_QUEUE, REPORT_QUEUE)))

    with pytest.raises(UnavailableError, match="Another process"):
        await second.consume(REPORT_QUEUE, Recorder())
    assert await second.dead_letters() == []

    await first.close()
    await second.consume(REPORT_QUEUE, Recorder())
    await second.close()


async def test_a_replay_by_another_process_is_picked_up(path: Path) -> None:
    consumer, operator = await open_local(path), await open_local(path)
    handler = Recorder(error=PermanentError("Never."))
    await consumer.consume(REPORT_QUEUE, handler)
    await operator.publish([envelope(report_requested())])
    await until(lambda: len(handler.messages) == 1, timeout_seconds=5)
    await asyncio.sleep(0.1)

    handler.error = None
    (letter,) = await operator.dead_letters()
    await operator.replay(letter.id)

    await until(lambda: len(handler.messages) == 2, timeout_seconds=5)
    await asyncio.gather(consumer.close(), operator.close())


async def test_concurrent_publishes_share_commits(path: Path) -> None:
    bus = await open_local(path)
    await asyncio.gather(*(bus.publish([envelope(report_requested(number))]) for number in range(500)))
    assert await bus.depth(REPORT_QUEUE) == 500
    await bus.close()


async def test_a_full_disk_is_unavailable_and_publishing_works_again_afterwards(path: Path) -> None:
    bus = await open_local(path)
    await bus.publish([envelope(report_requested())])
    await bus._store.call(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())

    with pytest.raises(UnavailableError, match="full"):
        await bus.publish([envelope(report_requested(number)) for number in range(1000)])
    await bus._store.call(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone())
    await bus.publish([envelope(report_requested())])

    assert await bus.depth(REPORT_QUEUE) == 2
    await bus.close()


async def test_a_message_that_cannot_be_settled_now_is_settled_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr(subscription, "_PAUSE_AFTER_ERROR_SECONDS", 0.05)
    bus = await open_local(path)
    handler = Recorder()
    await bus.publish([envelope(report_requested())])

    class Blocker:
        def __init__(self) -> None:
            self.connection = sqlite3.connect(path, isolation_level=None)

        async def handle(self, message: Message) -> None:
            await handler(message)
            self.connection.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0.2)
            asyncio.get_running_loop().call_later(0.2, self.connection.execute, "ROLLBACK")

    blocker = Blocker()
    await bus.consume(REPORT_QUEUE, blocker.handle)
    await until(lambda: len(handler.messages) == 1)
    await asyncio.sleep(0.6)
    await bus.close()
    blocker.connection.close()

    again = await open_local(path)
    assert await again.depth(REPORT_QUEUE) == 0
    await again.consume(REPORT_QUEUE, handler)
    await asyncio.sleep(0.1)
    assert len(handler.messages) == 1
    await again.close()


async def test_closing_puts_back_what_is_in_work(path: Path) -> None:
    bus = LocalBus(path, drain_seconds=0.05)
    await bus.start()
    started = asyncio.Event()

    async def hang(_: Message) -> None:
        started.set()
        await asyncio.sleep(3600)

    await bus.consume(REPORT_QUEUE, hang)
    await bus.publish([envelope(report_requested())])
    await started.wait()
    await bus.close()

    again = await open_local(path)
    assert await again.depth(REPORT_QUEUE) == 1
    await again.close()
