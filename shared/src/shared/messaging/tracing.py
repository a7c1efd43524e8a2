"""Spans of sending and handling a message, and the trace context that joins them.

Names and attributes follow the OpenTelemetry semantic conventions for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from shared.messaging.message import Message

_tracer = trace.get_tracer("shared.messaging")


@contextmanager
def producer_spans(messages: Sequence[Message], system: str) -> Iterator[list[Message]]:
    """Open a PRODUCER span per message; give the messages with the context of their span in the headers.

    Each span is a child of the context that the message already carries, which is that of
    the transaction that queued it.
    """
    spans: list[Span] = []
    sent: list[Message] = []
    for message in messages:
        span = _tracer.start_span(
            f"send {message.type}",
            context=propagate.extract(message.headers),
            kind=SpanKind.PRODUCER,
            attributes=_attributes(message, system, destination=message.type, operation="send"),
        )
        headers = dict(message.headers)
        propagate.inject(headers, context=trace.set_span_in_context(span))
        spans.append(span)
        sent.append(replace(message, headers=headers))
    try:
        yield sent
    except BaseException as error:
        for span in spans:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        for span in spans:
            span.end()


@contextmanager
def consumer_span(message: Message, system: str, queue: str) -> Iterator[Span]:
    """Make a CONSUMER span current, child of the context that the message carries; record what is raised."""
    attributes = _attributes(message, system, destination=queue, operation="process")
    with _tracer.start_as_current_span(
        f"process {queue}",
        context=propagate.extract(message.headers),
        kind=SpanKind.CONSUMER,
        attributes={**attributes, "fumehood.attempt": message.attempt},
    ) as span:
        yield span


def _attributes(message: Message, system: str, *, destination: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": system,
        "messaging.destination.name": destination,
        "messaging.operation.type": operation,
        "messaging.message.id": message.id,
        "messaging.message.body.size": len(message.body),
    }
