"""Publishing with confirms: it returns when the broker has taken the message, or raises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.errors import UnavailableError
from shared.messaging.amqp.link import Link, NoAnswerError, ask

Parcel = tuple[str, str, aio_pika.Message, bool]
"""Exchange, routing key, message, and whether it must reach at least one queue."""


class Publisher:
    """One confirming channel on a link, opened again when it is lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: AbstractChannel | None = None
        self._unconfirmed: AbstractChannel | None = None
        self._owner: AbstractConnection | None = None
        self._opening = asyncio.Lock()

    async def send(self, exchange: str, routing_key: str, message: aio_pika.Message) -> None:
        """Publish one message that must reach a queue. Raises UnavailableError."""
        await self.send_all([(exchange, routing_key, message, True)])

    async def send_all(self, parcels: Sequence[Parcel]) -> None:
        """Publish all at once; return when each is confirmed. Raises UnavailableError if one is not."""
        channel = await self._open_channel()
        underlay = await channel.get_underlay_channel()
        publishing = asyncio.gather(
            *(
                underlay.basic_publish(
                    message.body,
                    exchange=exchange,
                    routing_key=routing_key,
                    properties=message.properties,
                    mandatory=mandatory,
                )
                for exchange, routing_key, message, mandatory in parcels
            ),
            return_exceptions=True,
        )
        try:
            results: Sequence[object] = await ask(publishing)
        except NoAnswerError:
            # A broker short of memory or disk reads nothing from who publishes. Trying again on the
            # same connection would pile the messages up in our memory.
            self._link.drop()
            raise
        for result in results:
            if isinstance(result, DeliveredMessage):
                await self._link.repair()
                raise UnavailableError(f"RabbitMQ has no queue for {result.routing_key!r}.", retry_after_seconds=5)
            if not isinstance(result, Basic.Ack):
                cause = result if isinstance(result, Exception) else None
                raise UnavailableError("RabbitMQ did not confirm the message.", retry_after_seconds=5) from cause

    async def send_unconfirmed(self, exchange: str, routing_key: str, message: aio_pika.Message) -> None:
        """Write the message to the socket and leave it at that. Raises UnavailableError."""
        channel = self._unconfirmed
        if channel is None or channel.is_closed:
            channel = self._unconfirmed = await ask(_open(self._link.connection, confirms=False))
        underlay = await channel.get_underlay_channel()
        await underlay.basic_publish(
            message.body, exchange=exchange, routing_key=routing_key, properties=message.properties
        )

    async def _open_channel(self) -> AbstractChannel:
        async with self._opening:
            connection = self._link.connection
            channel = self._channel
            if channel is None or channel.is_closed or self._owner is not connection:
                channel = await ask(_open(connection, confirms=True))
                self._channel, self._owner = channel, connection
            return channel


async def _open(connection: AbstractConnection, *, confirms: bool) -> AbstractChannel:
    return await connection.channel(publisher_confirms=confirms, on_return_raises=False)
