"""Events between the services: one interface, two transports, outbox and inbox.

Services publish through `Transaction.publish` (the outbox) and consume through `EventRouter`.
docs/events describes the contract for everyone else.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from shared.messaging.consumer import EventMeta, EventRouter
from shared.messaging.lifespan import running_bus
from shared.messaging.local import LocalBus
from shared.messaging.message import Bus, DeadLetter, Handler, Message, RetryPolicy, Subscription
from shared.messaging.outbox import OutboxRelay

__all__ = [
    "Bus",
    "DeadLetter",
    "EventMeta",
    "EventRouter",
    "Handler",
    "LocalBus",
    "Message",
    "OutboxRelay",
    "RetryPolicy",
    "Subscription",
    "open_bus",
    "running_bus",
]


def open_bus(url: str, *, retry: RetryPolicy | None = None) -> Bus:
    """Return the bus that the URL names; `start()` connects it.

    `amqp://` and `amqps://` are RabbitMQ. `local://PATH` is a SQLite file (`local:///var/lib/x`
    is absolute, `local://x` relative), `local://` and `local://:memory:` are in memory.
    Raises ValueError for anything else, without repeating the URL, which may hold a password.
    """
    scheme = urlsplit(url).scheme
    if scheme in {"amqp", "amqps"}:
        from shared.messaging.amqp import AmqpBus  # noqa: PLC0415 - slow to import, and one process needs none

        return AmqpBus(url, retry=retry)
    if scheme == "local":
        path = url.removeprefix("local://")
        return LocalBus(None if path in {"", ":memory:"} else Path(path), retry=retry)
    raise ValueError(f"A bus URL starts with amqp://, amqps:// or local://, not with {scheme!r}.")
