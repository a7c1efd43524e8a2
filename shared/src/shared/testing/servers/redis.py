"""Redis: a key prefix of its own for each test that asks."""

import os

import redis

from shared.testing.servers.naming import fail_for_missing, new_name

VARIABLE = "FUMEHOOD_TEST_CACHE_URL"
DEFAULT_URL = "redis://127.0.0.1:6379/0"


class RedisServer:
    """A server in which everything below our prefixes is ours."""

    def __init__(self) -> None:
        self.url = os.environ.get(VARIABLE, DEFAULT_URL)
        self._prefixes: list[str] = []

    def start(self) -> None:
        """Make sure that the server can be used. Fails the test if not."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=10) as client:
                client.ping()
        except redis.RedisError as error:
            fail_for_missing("Redis", self.url, VARIABLE, error)

    def create_prefix(self) -> str:
        """Return a key prefix that nobody else uses."""
        self._prefixes.append(f"{new_name()}:")
        return self._prefixes[-1]

    def stop(self) -> None:
        """Delete every key below our prefixes."""
        with redis.Redis.from_url(self.url, socket_timeout=10) as client:
            for prefix in self._prefixes:
                for key in client.scan_iter(match=f"{prefix}*", count=1000):
                    client.delete(key)
        self._prefixes.clear()
