"""The contract of the bus, on both transports."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from shared.clock import now
from shared.errors import ClientError, NotFoundError, PermanentError, UnavailableError
from shared.events import DeliveryFailedV1
from shared.messaging import Bus, Message
from shared.testing.bus import Recorder, envelope, until
from shared.testing.events import REPORT_QUEUE, file_uploaded, report_requested, scan_started

OpenBus = Callable[[], Awaitable[Bus]]

CRASHING_CONSUMER = Path(__file__).with_name("crashing_consumer.py")


async def dead_letter_count(bus: Bus) -> int:
    return len(await bus.dead_letters())


async def test_what_is_published_arrives_as_it_was(bus: Bus) -> None:
    handler = Recorder()
    sent = envelope(report_requested())
    await bus.publish([sent])

    await bus.consume(REPORT_QUEUE, handler)
    await until(lambda: len(handler.messages) == 1)

    received = handler.messages[0]
    assert (received.id, received.type, received.source, received.time, received.body, received.attempt) == (
        sent.id,
        sent.type,
        sent.source,
        sent.time,
        sent.body,
        1,
    )


async def test_every_consuming_service_gets_its_copy(bus: Bus) -> None:
    scanner, results = Recorder(), Recorder()
    await bus.consume("scanner.upload.file_uploaded.v1", scanner)
    await bus.consume("results.upload.file_uploaded.v1", results)

    message = envelope(file_uploaded())
    await bus.publish([message])

    await until(lambda: bool(scanner.messages and results.messages))
    assert scanner.ids == results.ids == [message.id]


async def test_published_messages_survive_until_a_consumer_comes(bus: Bus, open_test_bus: OpenBus) -> None:
    messages = [envelope(report_requested(number)) for number in range(50)]
    await bus.publish(messages)
    await bus.close()

    handler = Recorder()
    again = await open_test_bus()
    assert await again.depth(REPORT_QUEUE) == 50
    await again.consume(REPORT_QUEUE, handler)

    await until(lambda: len(handler.messages) == 50)
    assert sorted(handler.ids) == sorted(message.id for message in messages)


async def test_acknowledged_messages_are_gone(bus: Bus, open_test_bus: OpenBus) -> None:
    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    await bus.publish([envelope(report_requested())])
    await until(lambda: len(handler.messages) == 1)
    await bus.close()

    again = await open_test_bus()
    assert await again.depth(REPORT_QUEUE) == 0
    assert await again.dead_letters() == []


async def test_an_event_without_consumers_can_be_published(bus: Bus) -> None:
    event = DeliveryFailedV1(
        user_id="u",
        subscription_id="s",
        event_id="e",
        event_type="t",
        attempts=1,
        reason="r",
        failed_at=now(),
    )
    await bus.publish([envelope(event)])


async def test_an_unknown_event_type_is_refused(bus: Bus) -> None:
    message = Message(id="1", type="nobody.knows.v1", source="/x", time=now(), body=b"{}")
    with pytest.raises(PermanentError):
        await bus.publish([message])


async def test_an_unknown_queue_is_refused(bus: Bus) -> None:
    with pytest.raises(NotFoundError):
        await bus.consume("nobody.knows.v1", Recorder())
    with pytest.raises(NotFoundError):
        await bus.depth("nobody.knows.v1")


async def test_competing_consumers_share_the_messages(bus: Bus) -> None:
    first, second = Recorder(), Recorder()

    async def slowly(handler: Recorder, message: Message) -> None:
        await handler(message)
        await asyncio.sleep(0.02)

    await bus.consume(REPORT_QUEUE, lambda message: slowly(first, message), prefetch=2)
    await bus.consume(REPORT_QUEUE, lambda message: slowly(second, message), prefetch=2)
    messages = [envelope(report_requested(number)) for number in range(40)]
    await bus.publish(messages)

    await until(lambda: len(first.messages) + len(second.messages) == 40)
    assert sorted(first.ids + second.ids) == sorted(message.id for message in messages)
    assert first.messages
    assert second.messages


async def test_no_more_than_prefetch_handlers_run(bus: Bus) -> None:
    running, most, done = 0, 0, 0

    async def handle(_: Message) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        done += 1

    await bus.consume(REPORT_QUEUE, handle, prefetch=3)
    await bus.publish([envelope(report_requested(number)) for number in range(20)])

    await until(lambda: done == 20)
    assert most == 3


async def test_a_failing_message_is_retried_with_growing_delay_then_given_up(bus: Bus) -> None:
    handler = Recorder(error=UnavailableError("The disk is away."))
    await bus.consume(REPORT_QUEUE, handler)
    message = envelope(report_requested())
    await bus.publish([message])

    await until(lambda: dead_letters_are(bus, 1))
    assert [one.attempt for one in handler.messages] == [1, 2, 3]
    first, second = (later - earlier for earlier, later in zip(handler.moments, handler.moments[1:], strict=False))
    assert 0.1 <= first < 0.4 <= second < 2
    (letter,) = await bus.dead_letters()
    assert (letter.message.id, letter.queue, letter.reason) == (
        message.id,
        REPORT_QUEUE,
        "unavailable: The disk is away.",
    )
    assert letter.message.body == message.body
    assert abs((now() - letter.failed_at).total_seconds()) < 10


async def dead_letters_are(bus: Bus, count: int) -> bool:
    return await dead_letter_count(bus) == count


@pytest.mark.parametrize("error", [PermanentError("Never."), ClientError("Wrong.")])
async def test_a_permanent_error_is_given_up_at_once(bus: Bus, error: Exception) -> None:
    handler = Recorder(error=error)
    await bus.consume(REPORT_QUEUE, handler)
    await bus.publish([envelope(report_requested())])

    await until(lambda: dead_letters_are(bus, 1))
    await asyncio.sleep(0.3)
    assert len(handler.messages) == 1


async def test_a_failure_does_not_hold_up_the_others(bus: Bus) -> None:
    bad = envelope(report_requested())
    good = [envelope(report_requested(number)) for number in range(10)]
    handled: list[str] = []

    async def handle(message: Message) -> None:
        if message.id == bad.id:
            raise RuntimeError
        handled.append(message.id)

    await bus.consume(REPORT_QUEUE, handle, prefetch=1)
    await bus.publish([bad, *good])

    await until(lambda: len(handled) == 10, timeout_seconds=5)


async def test_dead_letters_are_listed_shown_replayed_and_discarded(bus: Bus) -> None:
    handler = Recorder(error=PermanentError("Never."))
    await bus.consume(REPORT_QUEUE, handler)
    first, second = envelope(report_requested(1)), envelope(report_requested(2))
    for count, message in enumerate((first, second), start=1):
        await bus.publish([message])
        await until(partial(dead_letters_are, bus, count))

    listed = await bus.dead_letters()
    assert [letter.message.id for letter in listed] == [first.id, second.id]
    assert await bus.dead_letters() == listed
    assert await bus.dead_letters(limit=1) == listed[:1]
    assert await bus.dead_letter(listed[1].id) == listed[1]

    handler.error = None
    await bus.replay(listed[1].id)
    await until(lambda: handler.ids.count(second.id) == 2)
    assert handler.messages[-1].attempt == 1
    await bus.discard(listed[0].id)
    assert await bus.dead_letters() == []


async def test_all_dead_letters_or_those_of_a_queue_are_replayed(bus: Bus) -> None:
    handler = Recorder(error=PermanentError("Never."))
    await bus.consume(REPORT_QUEUE, handler)
    await bus.consume("scanner.upload.file_uploaded.v1", handler)
    await bus.publish([envelope(report_requested(number)) for number in range(20)])
    await bus.publish([envelope(file_uploaded())])
    await until(lambda: dead_letters_are(bus, 21))

    handler.error = None
    assert await bus.replay_all("scanner.upload.file_uploaded.v1") == 1
    assert await dead_letter_count(bus) == 20
    assert await bus.replay_all() == 20
    await until(lambda: len(handler.messages) == 42)
    assert await dead_letter_count(bus) == 0


async def test_an_unknown_dead_letter_is_not_found(bus: Bus) -> None:
    for act in (bus.dead_letter, bus.replay, bus.discard):
        with pytest.raises(NotFoundError):
            await act("12345")


async def test_a_tap_hears_durable_and_transient_events_in_order(bus: Bus) -> None:
    handler = Recorder()
    tap = await bus.tap(handler)
    started = scan_started()

    messages = [envelope(report_requested(number)) for number in range(5)]
    await bus.publish(messages)
    await until(lambda: len(handler.messages) == 5)
    transient = [envelope(started) for _ in range(5)]
    for message in transient:
        await bus.publish_transient(message)

    await until(lambda: len(handler.messages) == 10)
    assert handler.ids[5:] == [message.id for message in transient]
    assert sorted(handler.ids[:5]) == sorted(message.id for message in messages)

    await tap.cancel()
    await bus.publish([envelope(report_requested())])
    await asyncio.sleep(0.1)
    assert len(handler.messages) == 10


async def test_a_tap_that_fails_goes_on_listening(bus: Bus) -> None:
    handler = Recorder(error=RuntimeError("The browser is gone."))
    await bus.tap(handler)
    await bus.publish([envelope(report_requested(1))])
    await bus.publish([envelope(report_requested(2))])
    await until(lambda: len(handler.messages) == 2)


async def test_a_transient_event_without_listeners_is_dropped(bus: Bus) -> None:
    await bus.publish_transient(envelope(scan_started()))


async def test_cancel_lets_running_handlers_finish(bus: Bus) -> None:
    started, finish, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_: Message) -> None:
        started.set()
        await finish.wait()
        finished.set()

    subscription = await bus.consume(REPORT_QUEUE, handle)
    await bus.publish([envelope(report_requested())])
    await started.wait()
    cancelling = asyncio.create_task(subscription.cancel())
    await asyncio.sleep(0.1)
    assert not cancelling.done()

    finish.set()
    await cancelling
    assert finished.is_set()
    await bus.publish([envelope(report_requested())])
    await asyncio.sleep(0.1)
    assert await bus.depth(REPORT_QUEUE) == 1


async def test_what_does_not_finish_in_time_is_delivered_again(bus: Bus) -> None:
    started = asyncio.Event()

    async def hang(_: Message) -> None:
        started.set()
        await asyncio.sleep(3600)

    subscription = await bus.consume(REPORT_QUEUE, hang)
    message = envelope(report_requested())
    await bus.publish([message])
    await started.wait()
    await subscription.cancel(drain_seconds=0.05)

    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    await until(lambda: handler.ids == [message.id])


async def test_a_killed_process_loses_no_message(bus: Bus, bus_url: str) -> None:
    messages = [envelope(report_requested(number)) for number in range(5)]
    await bus.publish(messages)
    await crash(bus_url, expected=5)

    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    await until(lambda: len(handler.messages) == 5)
    assert sorted(handler.ids) == sorted(message.id for message in messages)


async def test_a_message_in_work_at_too_many_crashes_is_given_up(bus: Bus, bus_url: str) -> None:
    message = envelope(report_requested())
    await bus.publish([message])
    for _ in range(3):
        await crash(bus_url, expected=1)

    handler = Recorder()
    await bus.consume(REPORT_QUEUE, handler)
    await until(lambda: dead_letters_are(bus, 1))
    (letter,) = await bus.dead_letters()
    assert (letter.message.id, letter.queue, letter.reason) == (message.id, REPORT_QUEUE, "delivery_limit")
    assert handler.messages == []

    await bus.replay(letter.id)
    await until(lambda: handler.ids == [message.id])


async def crash(bus_url: str, *, expected: int) -> None:
    """Kill a consumer that has the given number of messages in work."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CRASHING_CONSUMER), bus_url, REPORT_QUEUE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        for _ in range(expected):
            assert (await process.stdout.readline()).startswith(b"working")
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_a_handler_whose_own_work_is_cancelled_is_retried(bus: Bus) -> None:
    attempts: list[int] = []

    async def handle(message: Message) -> None:
        attempts.append(message.attempt)
        if message.attempt == 1:
            raise asyncio.CancelledError

    await bus.consume(REPORT_QUEUE, handle)
    await bus.publish([envelope(report_requested())])
    await until(lambda: attempts == [1, 2])


async def test_a_message_published_twice_while_in_work_is_settled_twice(bus: Bus) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def handle(_: Message) -> None:
        started.set()
        await finish.wait()

    await bus.consume(REPORT_QUEUE, handle, prefetch=4)
    message = envelope(report_requested())
    await bus.publish([message])
    await started.wait()
    await bus.publish([message])
    await asyncio.sleep(0.2)
    finish.set()
    await asyncio.sleep(0.2)
    await bus.close()
    await bus.start()
    assert await bus.depth(REPORT_QUEUE) == 0
