from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta

import pytest

from notifier.errors import UnreadableSecretError
from notifier.models import Attempt, DueDelivery
from notifier.sender import Sender
from shared.errors import UnavailableError

TAKEN = Attempt(status_code=200)


def make_delivery(number: int, subscription_id: str = "s") -> DueDelivery:
    return DueDelivery(f"msg_{number}", subscription_id, "alice", "http://x/", "sealed", "e", "x", b"{}", 0, {})


class FakeDeliveries:
    """Deliveries in memory: what waits, what was recorded, and an outage on demand."""

    def __init__(self) -> None:
        self.waiting: list[DueDelivery] = []
        self.recorded: dict[str, Attempt] = {}
        self.busy: list[Collection[str]] = []
        self.outages = 0

    async def claim(self, limit: int, busy: Collection[str]) -> list[DueDelivery]:
        self.busy.append(busy)
        if self.outages:
            self.outages -= 1
            raise UnavailableError("The database does not answer.")
        claimed, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return claimed

    def secret_of(self, delivery: DueDelivery) -> str:
        if delivery.id == "msg_666":
            raise UnreadableSecretError("unreadable")
        return "whsec_c2VjcmV0"

    async def record(self, delivery: DueDelivery, attempt: Attempt) -> None:
        self.recorded[delivery.id] = attempt

    async def forget_ended(self, age: timedelta) -> None:
        return None


class FakeReceiver:
    """Takes deliveries when it is let; counts how many come at the same time."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.now = self.most = 0

    async def send(self, delivery: DueDelivery, secret: str) -> Attempt:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
            await asyncio.sleep(0.001)
            if delivery.id == "msg_13":
                raise RuntimeError("a defect")
        finally:
            self.now -= 1
        return TAKEN


@pytest.fixture
def deliveries() -> FakeDeliveries:
    return FakeDeliveries()


@pytest.fixture
def receiver() -> FakeReceiver:
    return FakeReceiver()


@pytest.fixture
async def sender(deliveries: FakeDeliveries, receiver: FakeReceiver) -> AsyncIterator[Sender]:
    sender = Sender(deliveries, receiver.send, concurrency=3, history=timedelta(days=1), poll_seconds=0.02)
    await sender.start()
    yield sender
    receiver.open.set()
    await sender.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition looks at many things
            await asyncio.sleep(0.005)


async def test_a_bounded_number_is_sent_at_the_same_time(
    sender: Sender, deliveries: FakeDeliveries, receiver: FakeReceiver
) -> None:
    deliveries.waiting = [make_delivery(100 + number) for number in range(20)]

    await until(lambda: len(deliveries.recorded) == 20)

    assert receiver.most == 3


async def test_a_subscription_with_deliveries_under_way_is_named_busy(
    sender: Sender, deliveries: FakeDeliveries, receiver: FakeReceiver
) -> None:
    receiver.open.clear()
    deliveries.waiting = [make_delivery(1, "slow")]
    await until(lambda: receiver.now == 1)
    await until(lambda: deliveries.busy[-1] == ["slow"])

    receiver.open.set()
    await until(lambda: deliveries.busy[-1] == [])


async def test_waking_does_not_wait_for_the_poll(deliveries: FakeDeliveries, receiver: FakeReceiver) -> None:
    sender = Sender(deliveries, receiver.send, concurrency=3, history=timedelta(days=1), poll_seconds=60)
    await sender.start()
    await until(lambda: deliveries.busy)
    deliveries.waiting = [make_delivery(1)]

    sender.wake()

    await until(lambda: deliveries.recorded)
    await sender.close()


async def test_an_outage_of_the_database_is_outlived(sender: Sender, deliveries: FakeDeliveries) -> None:
    deliveries.outages = 3
    deliveries.waiting = [make_delivery(1)]

    await until(lambda: deliveries.recorded)
    await sender.check()


async def test_a_defect_in_one_delivery_stops_no_other(sender: Sender, deliveries: FakeDeliveries) -> None:
    deliveries.waiting = [make_delivery(13), make_delivery(14)]

    await until(lambda: deliveries.recorded)

    assert deliveries.recorded == {"msg_14": TAKEN}
    await sender.check()


async def test_an_unreadable_secret_is_given_up_at_once(sender: Sender, deliveries: FakeDeliveries) -> None:
    deliveries.waiting = [make_delivery(666)]

    await until(lambda: deliveries.recorded)

    assert deliveries.recorded["msg_666"] == Attempt(error="unreadable", hopeless=True)


async def test_closing_lets_what_is_under_way_end(deliveries: FakeDeliveries, receiver: FakeReceiver) -> None:
    sender = Sender(deliveries, receiver.send, concurrency=3, history=timedelta(days=1), poll_seconds=0.02)
    await sender.start()
    receiver.open.clear()
    deliveries.waiting = [make_delivery(1)]
    await until(lambda: receiver.now == 1)

    closing = asyncio.create_task(sender.close())
    await asyncio.sleep(0.02)
    receiver.open.set()
    await closing

    assert deliveries.recorded == {"msg_1": TAKEN}
    with pytest.raises(UnavailableError):
        await sender.check()
