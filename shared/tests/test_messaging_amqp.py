"""What only RabbitMQ can do to us: outages, foreign messages, missing queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import HeadersType
from yarl import URL

from shared.errors import NotFoundError, PermanentError, UnavailableError
from shared.messaging import Message, RetryPolicy
from shared.messaging.amqp import AmqpBus, link
from shared.messaging.queues import EXCHANGE
from shared.testing.bus import Recorder, envelope, until
from shared.testing.events import REPORT_QUEUE, report_requested, scan_started
from shared.testing.proxy import FailingProxy

pytestmark = pytest.mark.integration

QUICK = RetryPolicy(delays_seconds=(0.1, 0.4), crash_limit=2)


@pytest.fixture
async def proxy(amqp_bus_url: str) -> AsyncIterator[FailingProxy]:
    url = URL(amqp_bus_url)
    async with FailingProxy(url.host or "127.0.0.1", url.port or 5672) as proxy:
        yield proxy


@pytest.fixture
async def bus(amqp_bus_url: str, proxy: FailingProxy) -> AsyncIterator[AmqpBus]:
    """Give a bus behind a proxy that can fail."""
    bus = AmqpBus(str(URL(amqp_bus_url).with_host("127.0.0.1").with_port(proxy.port)), retry=QUICK)
    await bus.start()
    yield bus
    await bus.close()


async def publish_until_taken(bus: AmqpBus, message: Message) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await bus.publish([message])
            except UnavailableError:
                await asyncio.sleep(0.05)


async def test_publishing_and_consuming_resume_after_a_lost_connection(bus: AmqpBus, proxy: FailingProxy) -> None:
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    before, after = envelope(report_requested()), envelope(report_requested())
    await bus.publish([before])
    await until(lambda: before.id in handler.ids)

    proxy.cut()
    await publish_until_taken(bus, after)

    await until(lambda: after.id in handler.ids)


async def test_publishing_fails_quickly_while_the_broker_is_away(bus: AmqpBus, proxy: FailingProxy) -> None:
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    message = envelope(report_requested())

    proxy.refuse()
    with pytest.raises(UnavailableError):
        await bus.publish([message])
    with pytest.raises(UnavailableError):
        await bus.check()
    await bus.publish_transient(message)

    proxy.accept()
    await publish_until_taken(bus, message)
    await until(lambda: message.id in handler.ids)
    await bus.check()


async def test_a_publish_in_flight_when_the_connection_is_lost_raises(bus: AmqpBus, proxy: FailingProxy) -> None:
    await bus.publish([envelope(report_requested())])
    proxy.freeze()
    asyncio.get_running_loop().call_later(0.2, proxy.cut)
    with pytest.raises(UnavailableError):
        await bus.publish([envelope(report_requested()) for _ in range(10)])


async def test_a_silent_broker_does_not_hang_a_publish(
    bus: AmqpBus, proxy: FailingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "CALL_TIMEOUT_SECONDS", 0.5)
    await bus.publish([envelope(report_requested())])

    proxy.freeze()
    with pytest.raises(UnavailableError, match="in time"):
        await bus.publish([envelope(report_requested())])
    proxy.thaw()
    await publish_until_taken(bus, envelope(report_requested()))


async def test_a_message_in_work_during_an_outage_runs_once_and_is_acknowledged(
    bus: AmqpBus, proxy: FailingProxy
) -> None:
    started, finish, runs = asyncio.Event(), asyncio.Event(), 0

    async def handle(_: Message) -> None:
        nonlocal runs
        runs += 1
        started.set()
        await finish.wait()

    await bus.consume(REPORT_QUEUE, handle)
    await bus.publish([envelope(report_requested())])
    await started.wait()

    proxy.cut()
    other = Recorder()
    await until(lambda: can_be_published(bus))
    await asyncio.sleep(1)
    finish.set()
    await asyncio.sleep(0.5)
    await bus.consume(REPORT_QUEUE, other)
    await asyncio.sleep(0.3)
    assert (runs, other.messages) == (1, [])


async def can_be_published(bus: AmqpBus) -> bool:
    try:
        await bus.check()
    except UnavailableError:
        return False
    return True


async def test_handlers_stay_within_prefetch_across_an_outage(bus: AmqpBus, proxy: FailingProxy) -> None:
    running, most, done = 0, 0, 0

    async def handle(_: Message) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.3)
        running -= 1
        done += 1

    await bus.consume(REPORT_QUEUE, handle, prefetch=4)
    await bus.publish([envelope(report_requested(number)) for number in range(12)])
    await until(lambda: running == 4)
    proxy.cut()

    await until(lambda: done >= 12)
    assert most == 4


async def test_a_tap_listens_again_after_a_lost_connection(bus: AmqpBus, proxy: FailingProxy) -> None:
    handler = Recorder()
    await bus.tap(handler)
    proxy.cut()
    event = scan_started()

    async def heard() -> bool:
        await bus.publish_transient(envelope(event))
        await asyncio.sleep(0.1)
        return bool(handler.messages)

    await until(heard)


async def test_consumers_come_back_when_their_queue_was_deleted(bus: AmqpBus, amqp_bus_url: str) -> None:
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    async with await aio_pika.connect(amqp_bus_url) as connection:
        await (await connection.channel()).queue_delete(REPORT_QUEUE)

    message = envelope(report_requested())
    await publish_until_taken(bus, message)
    await until(lambda: message.id in handler.ids)


async def test_an_unroutable_event_is_not_taken_for_published(bus: AmqpBus, amqp_bus_url: str) -> None:
    async with await aio_pika.connect(amqp_bus_url) as connection:
        await (await connection.channel()).queue_delete(REPORT_QUEUE)

    message = envelope(report_requested())
    with pytest.raises(UnavailableError, match="no queue"):
        await bus.publish([message])
    await bus.publish([message])
    assert await bus.depth(REPORT_QUEUE) == 1


@pytest.mark.parametrize("headers", [{}, {"cloudEvents:id": "1", "cloudEvents:type": "t", "cloudEvents:time": "now"}])
async def test_a_message_that_is_no_cloudevent_is_a_dead_letter(
    bus: AmqpBus, amqp_bus_url: str, headers: HeadersType
) -> None:
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    async with await aio_pika.connect(amqp_bus_url) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"\xff\x00", headers=headers), REPORT_QUEUE)

    await until(lambda: has_dead_letters(bus, 1))
    (letter,) = await bus.dead_letters()
    assert letter.queue == REPORT_QUEUE
    assert "CloudEvent" in letter.reason
    assert letter.message.body == b"\xff\x00"
    assert handler.messages == []


async def has_dead_letters(bus: AmqpBus, count: int) -> bool:
    return len(await bus.dead_letters()) == count


async def test_the_envelope_is_a_cloudevent_in_binary_mode(bus: AmqpBus, amqp_bus_url: str) -> None:
    async with await aio_pika.connect(amqp_bus_url) as connection:
        channel = await connection.channel()
        mine = await channel.declare_queue(exclusive=True)
        await mine.bind(EXCHANGE, "reports.#")
        message = envelope(report_requested())
        await bus.publish([message])
        received = await mine.get(timeout=5)
        assert received is not None
        await received.ack()

    assert received.content_type == "application/json"
    assert received.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert received.body == message.body
    assert {name: value for name, value in received.headers.items() if name.startswith("cloudEvents")} == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": message.id,
        "cloudEvents:type": message.type,
        "cloudEvents:source": message.source,
        "cloudEvents:time": message.time.isoformat(),
    }


async def test_many_dead_letters_are_listed_and_found(bus: AmqpBus) -> None:
    subscription = await bus.consume(REPORT_QUEUE, Recorder(error=PermanentError("Never.")), prefetch=100)
    messages = [envelope(report_requested(number)) for number in range(1000)]
    await bus.publish(messages)
    await until(lambda: is_drained(bus))
    await subscription.cancel()

    assert len(await bus.dead_letters(limit=50)) == 50
    letters = await bus.dead_letters(limit=2000)
    assert {letter.message.id for letter in letters} == {message.id for message in messages}
    assert (await bus.dead_letter(letters[-1].id)) == letters[-1]
    await bus.discard(letters[-1].id)
    waiting = await bus.depth(REPORT_QUEUE)  # delivery is at least once: on a busy machine one may have come back
    await bus.replay(letters[-2].id)
    assert await bus.depth(REPORT_QUEUE) == waiting + 1
    assert len(await bus.dead_letters(limit=2000)) == 998
    with pytest.raises(NotFoundError):
        await bus.dead_letter("nobody")


async def is_drained(bus: AmqpBus) -> bool:
    return await bus.depth(REPORT_QUEUE) == 0


async def test_two_readers_of_dead_letters_each_see_all(bus: AmqpBus, amqp_bus_url: str) -> None:
    await bus.consume(REPORT_QUEUE, Recorder(error=PermanentError("Never.")))
    await bus.publish([envelope(report_requested(number)) for number in range(30)])
    await until(lambda: has_dead_letters(bus, 30))
    other = AmqpBus(amqp_bus_url, retry=QUICK)
    await other.start()
    try:
        lists = await asyncio.gather(*(one.dead_letters() for one in (bus, other, bus, other)))
    finally:
        await other.close()
    assert [len(letters) for letters in lists] == [30, 30, 30, 30]


async def test_an_unreachable_broker_is_reported_without_the_password() -> None:
    bus = AmqpBus("amqp://guest:sEcret@127.0.0.1:1/")
    with pytest.raises(UnavailableError) as caught:
        await bus.start()
    assert "127.0.0.1:1" in caught.value.message
    assert "sEcret" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_wrong_credentials_are_a_permanent_error(amqp_bus_url: str) -> None:
    bus = AmqpBus(str(URL(amqp_bus_url).with_password("wrong")))
    with pytest.raises(PermanentError, match="password"):
        await bus.start()


async def test_queues_with_other_arguments_are_a_permanent_error(bus: AmqpBus, amqp_bus_url: str) -> None:
    other = AmqpBus(amqp_bus_url, retry=RetryPolicy(crash_limit=7))
    with pytest.raises(PermanentError, match="other arguments"):
        await other.start()
