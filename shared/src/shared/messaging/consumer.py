"""`EventRouter`: which function of a service handles which event, and what surrounds every one.

    router = EventRouter()

    @router.on(FileUploadedV1)
    async def scan_uploaded_file(event: FileUploadedV1, meta: EventMeta) -> None: ...

    await router.start(bus, service="scanner")

The router decodes, traces, limits the time and logs. What an error means for the message is
said once, in shared.messaging.failure, for both transports.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import AppError, ClientError, PermanentError, UnavailableError
from shared.events import Event
from shared.messaging.failure import describe
from shared.messaging.message import Bus, Message, Subscription
from shared.messaging.tracing import consumer_span

E = TypeVar("E", bound=Event)
EventHandler = Callable[[E, "EventMeta"], Awaitable[None]]

HANDLER_TIMEOUT_SECONDS = 900.0
"""Below the 30 minutes after which RabbitMQ takes back a message that nobody acknowledged."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventMeta:
    """The envelope of an event. `id` is what `Transaction.first_time` wants; `attempt` counts from 1."""

    id: str
    type: str
    source: str
    time: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class _Route:
    event_class: type[Event]
    handler: EventHandler[Any]
    timeout_seconds: float


class EventRouter:
    """The event handlers of one service."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._subscriptions: list[Subscription] = []

    def on(
        self, event_class: type[E], *, timeout_seconds: float = HANDLER_TIMEOUT_SECONDS
    ) -> Callable[[EventHandler[E]], EventHandler[E]]:
        """Register the function that handles an event class; a run over the time limit is tried again.

        Raises ValueError if the class already has a handler or is transient (those have no queue).
        """
        if event_class.transient or event_class.type in self._routes:
            raise ValueError(f"{event_class.__name__} is transient or already has a handler")

        def register(handler: EventHandler[E]) -> EventHandler[E]:
            self._routes[event_class.type] = _Route(event_class, handler, timeout_seconds)
            return handler

        return register

    async def start(self, bus: Bus, *, service: str, prefetch: int = 16) -> None:
        """Start one consumer per event class, each with `prefetch` messages in work at most.

        Raises ValueError if an event does not name the service as a consumer, UnavailableError
        if the bus cannot be consumed from.
        """
        for route in self._routes.values():
            if service not in route.event_class.consumers:
                raise ValueError(f"{route.event_class.__name__} does not name {service} as a consumer")
        try:
            for route in self._routes.values():
                queue = f"{service}.{route.event_class.type}"
                handler = partial(self._handle, route, bus.system, queue)
                self._subscriptions.append(await bus.consume(queue, handler, prefetch=prefetch))
        except BaseException:
            await self.close()
            raise

    async def close(self, *, drain_seconds: float = 20.0) -> None:
        """Take no new message and let the running handlers finish; put back what takes longer than that."""
        subscriptions, self._subscriptions = self._subscriptions, []
        await asyncio.gather(*(subscription.cancel(drain_seconds=drain_seconds) for subscription in subscriptions))

    async def handle(self, message: Message, *, system: str = "test", queue: str = "test") -> None:
        """Hand one message to its handler, as a running consumer would. Raises what makes it fail.

        Raises PermanentError for an event type without a handler.
        """
        route = self._routes.get(message.type)
        if route is None:
            raise PermanentError(f"No handler takes events of type {message.type!r}.")
        await self._handle(route, system, queue, message)

    async def _handle(self, route: _Route, system: str, queue: str, message: Message) -> None:
        with consumer_span(message, system, queue):
            try:
                event = _decode(message, route.event_class)
                meta = EventMeta(message.id, message.type, message.source, message.time, message.attempt)
                await _within(route.timeout_seconds, route.handler(event, meta))
            except Exception as error:
                _log_failure(queue, message, error)
                raise


def _decode(message: Message, event_class: type[Event]) -> Event:
    if message.type != event_class.type:
        raise PermanentError(f"The queue takes {event_class.type}, not {message.type!r}.")
    try:
        return event_class.model_validate_json(message.body)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise PermanentError(f"The body is not a {event_class.__name__}: {places}") from error


async def _within(seconds: float, work: Awaitable[None]) -> None:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise UnavailableError(f"The handler did not finish within {seconds:g} seconds.") from error


def _log_failure(queue: str, message: Message, error: Exception) -> None:
    extra = {"event_id": message.id, "event_type": message.type, "queue": queue, "attempt": message.attempt}
    text = "Attempt %d at event %s in %s failed: %s"
    values = (message.attempt, message.id, queue, describe(error))
    if isinstance(error, ClientError):
        _logger.info(text, *values, extra=extra)
    elif isinstance(error, AppError):
        _logger.warning(text, *values, extra=extra)
    else:
        _logger.error(text, *values, extra=extra, exc_info=error)
