"""The bus on RabbitMQ (3.10 or later), through aio-pika."""

from shared.messaging.amqp.bus import AmqpBus

__all__ = ["AmqpBus"]
