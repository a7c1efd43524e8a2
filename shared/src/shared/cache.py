"""The cache: sessions, rate limits and live state. Nothing in it is the only copy of anything that matters.

`redis://` is a Redis server; `memory://` is the same protocol in this process (fakeredis).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import PermanentError, UnavailableError


def open_cache(url: str) -> Redis:
    """Return a client for the URL; it answers `str`. Raises PermanentError for a scheme that is not known."""
    if url.startswith("memory://"):
        return FakeAsyncRedis(decode_responses=True)
    if url.startswith(("redis://", "rediss://", "unix://")):
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=5,
            socket_connect_timeout=5,
            health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), 3),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
    raise PermanentError("FUMEHOOD_CACHE_URL must be memory:// or redis://HOST:PORT/DB")


@contextmanager
def unavailable_when_away() -> Iterator[None]:
    """Raise UnavailableError for whatever means that the cache cannot be reached."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise UnavailableError("The cache does not answer.", retry_after_seconds=5) from error


async def check_cache(cache: Redis) -> None:
    """Raise UnavailableError unless the cache answers."""
    with unavailable_when_away():
        await cache.ping()
