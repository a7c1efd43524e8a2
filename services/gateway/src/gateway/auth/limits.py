"""Rate limits in the cache, shared by all replicas: sliding windows (library `limits`)."""

from __future__ import annotations

import ipaddress
import math
import time
from dataclasses import dataclass
from typing import Any, cast

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis

from shared.cache import unavailable_when_away
from shared.errors import RateLimitedError


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` acts of one kind in `seconds`, for each one who acts."""

    name: str
    amount: int
    seconds: int


class RateLimits:
    """Counts acts. Every method raises UnavailableError when the cache is away."""

    def __init__(self, cache: Redis, prefix: str) -> None:
        storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix=f"{prefix}limit",
            connection_pool=cast("Any", cache.connection_pool),
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def count(self, limit: Limit, who: str) -> None:
        """Count one act. Raises RateLimitedError with the time to wait if it is one too many."""
        with unavailable_when_away():
            if await self._limiter.hit(_item(limit), limit.name, who):
                return
        await self._refuse(limit, who)

    async def check(self, limit: Limit, who: str) -> None:
        """Raise RateLimitedError if one more act would be too many; count nothing."""
        with unavailable_when_away():
            if await self._limiter.test(_item(limit), limit.name, who):
                return
        await self._refuse(limit, who)

    async def forget(self, limit: Limit, who: str) -> None:
        """Start again from nothing."""
        with unavailable_when_away():
            await self._limiter.clear(_item(limit), limit.name, who)

    async def _refuse(self, limit: Limit, who: str) -> None:
        with unavailable_when_away():
            window = await self._limiter.get_window_stats(_item(limit), limit.name, who)
        wait_seconds = max(1, math.ceil(window.reset_time - time.time()))
        raise RateLimitedError(
            f"Too many requests. Try again in {wait_seconds} seconds.", retry_after_seconds=wait_seconds
        )


def network_of(address: str) -> str:
    """Return the address to count by: itself, or for IPv6 its /64, which one customer has as a whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _item(limit: Limit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(limit.amount, limit.seconds)
