"""The exchanges and queues on RabbitMQ.

    fumehood.events (topic)             --<type>-->  <service>.<type>     one quorum queue per consumer and event
    fumehood.retry.<milliseconds> (fanout)  -->  queue of the same name   one quorum queue per delay
        when the time is up, the broker moves the message to the queue named by its routing key
    fumehood.dead (fanout)                  -->  fumehood.dead            dead letters, quorum

A consumer moves a message by publishing it to a retry or dead exchange, confirmed, and only
then acknowledging it. The broker itself moves expired messages out of the retry queues and
messages over the delivery limit to the dead letters, both at least once
(https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
"""

from __future__ import annotations

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection
from pamqp.common import FieldTable

from shared.messaging.message import RetryPolicy
from shared.messaging.queues import EXCHANGE, QUEUES

DEAD = "fumehood.dead"

_NEVER = 1_000_000_000
_AT_LEAST_ONCE: FieldTable = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-dead-letter-strategy": "at-least-once",
}


def retry_exchange(delay_seconds: float) -> str:
    """Return the name of the exchange (and queue) that holds messages for the delay."""
    return f"fumehood.retry.{round(delay_seconds * 1000)}"


async def declare(connection: AbstractConnection, policy: RetryPolicy) -> None:
    """Create what is missing; what is there stays as it is."""
    channel = await connection.channel(publisher_confirms=False)
    await _declare_dead_letters(channel)
    for delay_seconds in sorted(set(policy.delays_seconds)):
        await _declare_retry(channel, delay_seconds)
    events = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    for name, event in QUEUES.items():
        queue = await channel.declare_queue(
            name,
            durable=True,
            arguments={
                **_AT_LEAST_ONCE,
                "x-dead-letter-exchange": DEAD,
                "x-delivery-limit": policy.crash_limit,
            },
        )
        await queue.bind(events, event.type)
    await channel.close()


async def _declare_dead_letters(channel: AbstractChannel) -> None:
    exchange = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
    # Looking at dead letters counts as delivering them; RabbitMQ 4 drops after 20 by default.
    queue = await channel.declare_queue(
        DEAD, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": _NEVER}
    )
    await queue.bind(exchange)


async def _declare_retry(channel: AbstractChannel, delay_seconds: float) -> None:
    name = retry_exchange(delay_seconds)
    exchange = await channel.declare_exchange(name, ExchangeType.FANOUT, durable=True)
    queue = await channel.declare_queue(
        name,
        durable=True,
        arguments={
            **_AT_LEAST_ONCE,
            "x-message-ttl": round(delay_seconds * 1000),
            "x-dead-letter-exchange": "",
        },
    )
    await queue.bind(exchange)


async def declare_nothing(_: AbstractConnection) -> None:
    """Prepare a connection that only uses what another has declared."""


async def depth(connection: AbstractConnection, queue: str) -> int:
    """Return the number of messages in the queue that no consumer holds."""
    channel = await connection.channel(publisher_confirms=False)
    declared = await channel.declare_queue(queue, passive=True)
    await channel.close()
    return declared.declaration_result.message_count or 0
