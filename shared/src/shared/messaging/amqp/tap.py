"""A listener on everything: a queue that only it has and that is gone with its connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.errors import PermanentError
from shared.messaging.amqp.envelope import decode
from shared.messaging.amqp.link import Link
from shared.messaging.amqp.subscription import ChannelKeeper
from shared.messaging.message import Handler
from shared.messaging.queues import EXCHANGE
from shared.messaging.taps import Tap

_LENGTH_MAX = 10_000


class AmqpTap:
    """Hears every event while connected; after an outage it hears what comes from then on."""

    def __init__(
        self,
        link: Link,
        handler: Handler,
        *,
        repair: Callable[[], Awaitable[None]],
        on_cancel: Callable[[AmqpTap], None],
    ) -> None:
        self._on_cancel = on_cancel
        self._tap = Tap(handler)
        self._keeper = ChannelKeeper(link, "a tap", self._consume, repair=repair)

    async def wait_ready(self) -> None:
        """Return once it hears. Raises UnavailableError if that takes too long."""
        await self._keeper.wait_ready()

    async def cancel(self, *, drain_seconds: float | None = None) -> None:
        """Let the running handler finish, or cancel it after that time."""
        self._on_cancel(self)
        await self._keeper.stop()
        await self._keeper.close()
        await self._tap.cancel(drain_seconds=drain_seconds)

    async def _consume(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments={"x-max-length": _LENGTH_MAX})
        await queue.bind(EXCHANGE, "#")
        await queue.consume(self._accept, no_ack=True)

    async def _accept(self, incoming: AbstractIncomingMessage) -> None:
        try:
            message = decode(incoming)
        except PermanentError:
            return  # not an event; a tap only shows, so there is nobody to tell
        self._tap.offer(message)
