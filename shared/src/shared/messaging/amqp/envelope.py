"""A message as AMQP properties and headers and back: CloudEvents 1.0 in binary mode.

CloudEvents AMQP protocol binding 1.0.2, section 3.1: attributes in application properties
with the prefix `cloudEvents:` (or `cloudEvents_`, accepted here too), `datacontenttype` as
the content type. The trace context travels beside them under its W3C header names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, DeliveryMode, HeadersType

from shared.clock import aware, now
from shared.errors import PermanentError
from shared.messaging.message import DeadLetter, Message

ATTEMPT = "x-fumehood-attempt"
DEAD_QUEUE = "x-fumehood-queue"
DEAD_REASON = "x-fumehood-reason"
DEAD_FAILED_AT = "x-fumehood-failed-at"
DEAD_ID = "x-fumehood-dead-letter-id"

_PREFIX = "cloudEvents:"
_TRACE_CONTEXT = ("traceparent", "tracestate", "baggage")


def encode(message: Message, *, persistent: bool = True) -> aio_pika.Message:
    """Return the AMQP form of the message."""
    headers: HeadersType = {
        f"{_PREFIX}specversion": "1.0",
        f"{_PREFIX}id": message.id,
        f"{_PREFIX}type": message.type,
        f"{_PREFIX}source": message.source,
        f"{_PREFIX}time": message.time.astimezone(UTC).isoformat(),
        **{name: value for name, value in message.headers.items() if name in _TRACE_CONTEXT},
    }
    if message.attempt > 1:
        headers[ATTEMPT] = message.attempt
    return aio_pika.Message(
        message.body,
        headers=headers,
        content_type="application/json",
        message_id=message.id,
        type=message.type,
        timestamp=message.time,
        delivery_mode=DeliveryMode.PERSISTENT if persistent else DeliveryMode.NOT_PERSISTENT,
    )


def encode_dead(message: Message, *, queue: str, reason: str) -> aio_pika.Message:
    """Return the AMQP form of a message that is given up, saying where, why and when."""
    dead = encode(message)
    dead.headers |= {
        DEAD_ID: str(uuid4()),
        DEAD_QUEUE: queue,
        DEAD_REASON: reason,
        DEAD_FAILED_AT: now().isoformat(),
    }
    return dead


def decode(incoming: AbstractIncomingMessage) -> Message:
    """Return the message in a delivery. Raises PermanentError if it is not a CloudEvent."""
    attributes = _attributes(incoming.headers)
    try:
        return Message(
            id=attributes["id"],
            type=attributes["type"],
            source=attributes["source"],
            time=aware(datetime.fromisoformat(attributes["time"])),
            body=incoming.body,
            headers=_trace_context(incoming.headers),
            attempt=_attempt(incoming.headers),
        )
    except KeyError as error:
        raise PermanentError(f"The message is not a CloudEvent: attribute {error} is missing.") from None
    except ValueError as error:
        raise PermanentError(f"The message is not a CloudEvent: {error}.") from None


def decode_leniently(incoming: AbstractIncomingMessage) -> Message:
    """Return the message in a delivery, with stand-ins for what is missing or wrong."""
    try:
        return decode(incoming)
    except PermanentError:
        return Message(
            id=incoming.message_id or str(uuid4()),
            type=incoming.type or incoming.routing_key or "unknown",
            source="unknown",
            time=incoming.timestamp or datetime.fromtimestamp(0, UTC),
            body=incoming.body,
            headers=_trace_context(incoming.headers),
        )


def decode_dead(incoming: AbstractIncomingMessage) -> DeadLetter:
    """Return the dead letter in a delivery: one of ours, or one that the broker itself gave up.

    For the latter the broker's `x-death` header tells where, why and when
    (https://www.rabbitmq.com/docs/dlx#effects).
    """
    message = replace(decode_leniently(incoming), attempt=_attempt(incoming.headers))
    headers = incoming.headers
    if DEAD_ID in headers:
        return DeadLetter(
            id=str(headers[DEAD_ID]),
            queue=str(headers[DEAD_QUEUE]),
            message=message,
            reason=str(headers[DEAD_REASON]),
            failed_at=datetime.fromisoformat(str(headers[DEAD_FAILED_AT])),
        )
    deaths = headers.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping) else {}
    failed_at = death.get("time")
    queue = str(death.get("queue", "unknown"))
    return DeadLetter(
        id=f"{queue}:{message.id}",
        queue=queue,
        message=message,
        reason=str(death.get("reason", "unknown")),
        failed_at=aware(failed_at) if isinstance(failed_at, datetime) else message.time,
    )


def _attributes(headers: HeadersType) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX).removeprefix("cloudEvents_"): str(value)
        for name, value in headers.items()
        if name.startswith((_PREFIX, "cloudEvents_"))
    }


def _trace_context(headers: HeadersType) -> dict[str, str]:
    return {name: str(headers[name]) for name in _TRACE_CONTEXT if name in headers}


def _attempt(headers: HeadersType) -> int:
    attempt = headers.get(ATTEMPT, 1)
    return attempt if isinstance(attempt, int) and attempt > 0 else 1
