"""The event router: decoding, tracing, time limits and what each error means for the message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared.database import Database
from shared.errors import ClientError, PermanentError, UnavailableError
from shared.events import FileUploadedV1, ReportRequestedV1, ScanStartedV1
from shared.messaging import Bus, EventMeta, EventRouter, LocalBus, Message, OutboxRelay, RetryPolicy, tracing
from shared.messaging.tables import add_messaging_tables
from shared.testing.bus import envelope, until
from shared.testing.events import REPORT_QUEUE, report_requested


@pytest.fixture
async def local_bus() -> AsyncIterator[LocalBus]:
    bus = LocalBus(None, retry=RetryPolicy(delays_seconds=(0.02, 0.02)))
    await bus.start()
    yield bus
    await bus.close()


async def dead_letter_reasons(bus: Bus) -> list[str]:
    return [letter.reason for letter in await bus.dead_letters()]


async def test_a_handler_gets_the_event_and_its_envelope(local_bus: LocalBus) -> None:
    router, got = EventRouter(), []

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        got.append((event, meta))

    await router.start(local_bus, service="reports")
    event = report_requested()
    message = envelope(event)
    await local_bus.publish([message])

    await until(lambda: bool(got))
    assert got == [(event, EventMeta(message.id, message.type, message.source, message.time, attempt=1))]
    await router.close()
    await local_bus.publish([message])
    await asyncio.sleep(0.05)
    assert len(got) == 1


async def test_a_body_that_does_not_fit_is_a_dead_letter_at_once(local_bus: LocalBus) -> None:
    router = EventRouter()

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        pytest.fail("called")

    await router.start(local_bus, service="reports")
    good = envelope(report_requested())
    await local_bus.publish([replace(good, body=b'{"submission_id": 1}'), replace(good, body=b"\xff")])

    async def both_dead() -> bool:
        return len(await local_bus.dead_letters()) == 2

    await until(both_dead)
    reasons = await dead_letter_reasons(local_bus)
    assert all("not a ReportRequestedV1" in reason for reason in reasons)
    assert any("format: Field required" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("error", "attempts", "level"),
    [
        (ClientError("Wrong."), 1, logging.INFO),
        (PermanentError("Never."), 1, logging.WARNING),
        (UnavailableError("Away."), 3, logging.WARNING),
        (RuntimeError("A defect."), 3, logging.ERROR),
    ],
)
async def test_the_kind_of_error_decides(
    local_bus: LocalBus, caplog: pytest.LogCaptureFixture, error: Exception, attempts: int, level: int
) -> None:
    router, seen = EventRouter(), []

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        seen.append(meta.attempt)
        raise error

    caplog.set_level(logging.INFO, logger="shared.messaging.consumer")
    await router.start(local_bus, service="reports")
    message = envelope(report_requested())
    await local_bus.publish([message])

    async def is_dead() -> bool:
        return bool(await local_bus.dead_letters())

    await until(is_dead)
    assert seen == list(range(1, attempts + 1))
    (record, *_) = [one for one in caplog.records if one.name == "shared.messaging.consumer"]
    assert record.levelno == level
    assert record.event_id == message.id  # type: ignore[attr-defined]
    assert (record.exc_info is not None) == isinstance(error, RuntimeError)


async def test_a_handler_over_its_time_is_tried_again(local_bus: LocalBus) -> None:
    router, seen = EventRouter(), []

    @router.on(ReportRequestedV1, timeout_seconds=0.02)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        seen.append(meta.attempt)
        if meta.attempt == 1:
            await asyncio.sleep(3600)

    await router.start(local_bus, service="reports")
    await local_bus.publish([envelope(report_requested())])
    await until(lambda: seen == [1, 2])


async def test_a_timeout_of_the_handlers_own_is_not_mistaken_for_the_limit() -> None:
    router = EventRouter()

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        raise TimeoutError("a socket")

    with pytest.raises(TimeoutError, match="a socket"):
        await router.handle(envelope(report_requested()))


async def test_an_event_that_does_not_name_the_service_is_refused(local_bus: LocalBus) -> None:
    router = EventRouter()

    @router.on(FileUploadedV1)
    async def handle(event: FileUploadedV1, meta: EventMeta) -> None: ...

    with pytest.raises(ValueError, match="does not name notifier"):
        await router.start(local_bus, service="notifier")


def test_a_second_handler_or_one_of_a_transient_event_is_refused() -> None:
    router = EventRouter()

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None: ...

    with pytest.raises(ValueError, match="already"):
        router.on(ReportRequestedV1)
    with pytest.raises(ValueError, match="transient"):
        router.on(ScanStartedV1)


async def test_a_message_without_a_handler_is_refused() -> None:
    with pytest.raises(PermanentError, match="No handler"):
        await EventRouter().handle(envelope(report_requested()))


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Give the exporter that collects every span of the messaging code."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def test_one_trace_leads_from_the_transaction_to_the_handler(
    bus: Bus, tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/db", schema="reports")
    metadata = sa.MetaData()
    add_messaging_tables(metadata)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    router, inner = EventRouter(), []

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        inner.append(trace.get_current_span().get_span_context().trace_id)

    await router.start(bus, service="reports")
    relay = OutboxRelay(database, bus)
    await relay.start()
    with tracing._tracer.start_as_current_span("request") as request:
        async with database.transaction() as transaction:
            event_id = await transaction.publish(report_requested())

    await until(lambda: len(spans.get_finished_spans()) == 3)
    await relay.close()
    await router.close()
    await database.close()
    root, send, process = sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0)
    context = request.get_span_context()
    assert [span.context.trace_id for span in (root, send, process) if span.context] == [context.trace_id] * 3
    assert inner == [context.trace_id]
    assert parent_id(send) == context.span_id
    assert parent_id(process) == (send.context and send.context.span_id)
    assert (send.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert send.attributes is not None
    assert process.attributes is not None
    assert send.attributes["messaging.destination.name"] == "reports.report_requested.v1"
    assert process.attributes["messaging.destination.name"] == REPORT_QUEUE
    assert process.attributes["messaging.message.id"] == send.attributes["messaging.message.id"] == event_id
    assert process.attributes["messaging.system"] == bus.system


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


async def test_a_failed_run_is_an_error_in_its_span(spans: InMemorySpanExporter) -> None:
    router = EventRouter()

    @router.on(ReportRequestedV1)
    async def handle(event: ReportRequestedV1, meta: EventMeta) -> None:
        raise PermanentError("Never.")

    with pytest.raises(PermanentError):
        await router.handle(envelope(report_requested()))
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert [event.name for event in span.events] == ["exception"]


async def test_a_failed_publish_is_an_error_in_its_span(spans: InMemorySpanExporter) -> None:
    bus = LocalBus(None)
    with pytest.raises(UnavailableError):
        await bus.publish([envelope(report_requested())])
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok


async def test_messages_keep_their_headers_without_a_tracer(local_bus: LocalBus) -> None:
    context = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    got: list[Message] = []

    async def handle(message: Message) -> None:
        got.append(message)

    await local_bus.consume(REPORT_QUEUE, handle)
    await local_bus.publish([replace(envelope(report_requested()), headers=context)])
    await until(lambda: bool(got))
    assert got[0].headers == context
