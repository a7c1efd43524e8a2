"""What every event is: a frozen model with a routing key that names owner, fact and version.

A published event never changes; its JSON Schema is committed under docs/events and a test
compares it. An incompatible change is a new class with the next version.
"""

from __future__ import annotations

from typing import ClassVar

from shared.scan import Frozen


class Event(Frozen):
    """A fact that one service states and others may act on.

    `type` is the CloudEvents type and the routing key. `consumers` names the services that
    have a queue for it: publishing waits until the broker has put it into each of them. A
    transient event has no queue and no outbox row; it is lost when nobody listens.
    """

    type: ClassVar[str]
    consumers: ClassVar[tuple[str, ...]] = ()
    transient: ClassVar[bool] = False

    @classmethod
    def owner(cls) -> str:
        """Return the only service that publishes this event."""
        return cls.type.split(".", 1)[0]

    @classmethod
    def queues(cls) -> tuple[str, ...]:
        """Return the names of the queues it is delivered to, `<service>.<event>`."""
        return tuple(f"{service}.{cls.type}" for service in cls.consumers)


class ObjectRef(Frozen):
    """Bytes in the object store, passed by reference."""

    key: str
    sha256: str
    size_bytes: int
