"""Real servers for integration and end-to-end tests; each test run gets parts of its own and removes them again.

The addresses are those that `scripts/test-servers` makes sure of; FUMEHOOD_TEST_* variables name others.
A server that does not answer is a failure that says what to do, never a skipped test.
"""

from shared.testing.servers.objects import ObjectServer
from shared.testing.servers.postgres import PostgresServer
from shared.testing.servers.rabbitmq import RabbitServer
from shared.testing.servers.redis import RedisServer

__all__ = ["ObjectServer", "PostgresServer", "RabbitServer", "RedisServer"]
