"""The queues of the system, derived from the event classes: nobody else names one."""

from __future__ import annotations

from shared.errors import NotFoundError, PermanentError
from shared.events import EVENTS, Event

EXCHANGE = "fumehood.events"

QUEUES: dict[str, type[Event]] = {queue: event for event in EVENTS.values() for queue in event.queues()}


def event_of_queue(queue: str) -> type[Event]:
    """Return the event that the queue receives. Raises NotFoundError for a queue that no event names."""
    try:
        return QUEUES[queue]
    except KeyError:
        raise NotFoundError(f"There is no queue named {queue!r}.") from None


def queues_of_type(event_type: str) -> tuple[str, ...]:
    """Return the queues of an event type. Raises PermanentError for a type this version does not know."""
    try:
        return EVENTS[event_type].queues()
    except KeyError:
        raise PermanentError(f"There is no event of type {event_type!r}.") from None
