"""Browser sessions: a random id in a cookie, its hash as the key in the cache."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Protocol

from redis.asyncio import Redis

from gateway.models.accounts import Session
from shared.cache import unavailable_when_away
from shared.clock import now


class Sessions(Protocol):
    """What sessions do, wherever they are kept. Every method raises UnavailableError."""

    async def start(self, user_id: str) -> str:
        """Return the id of a new session."""

    async def find(self, session_id: str, *, keep_alive: bool = True) -> Session | None:
        """Return a session that has not ended; with `keep_alive` it counts as used now."""

    async def end(self, session_id: str) -> None:
        """Forget a session."""


def hashed(session_id: str) -> str:
    """Return what is kept of an id: from it nobody can make the cookie."""
    return hashlib.sha256(session_id.encode()).hexdigest()


class SessionStore:
    """Sessions in the cache. They end when idle, when too old, or at sign-out. Every method raises UnavailableError."""

    def __init__(self, cache: Redis, prefix: str, *, idle_seconds: int, lifetime_seconds: int) -> None:
        self._cache = cache
        self._prefix = f"{prefix}session:"
        self._idle_seconds = idle_seconds
        self._lifetime = timedelta(seconds=lifetime_seconds)

    async def start(self, user_id: str) -> str:
        """Return the id (256 random bits) of a new session."""
        session_id = secrets.token_urlsafe(32)
        session = Session(user_id=user_id, started_at=now())
        with unavailable_when_away():
            await self._cache.set(self._key(session_id), session.model_dump_json(), ex=self._idle_seconds)
        return session_id

    async def find(self, session_id: str, *, keep_alive: bool = True) -> Session | None:
        """Return a session that has not ended; with `keep_alive` it counts as used now."""
        key = self._key(session_id)
        with unavailable_when_away():
            found = await self._cache.get(key)
        if found is None:
            return None
        session = Session.model_validate_json(found)
        left_seconds = int((session.started_at + self._lifetime - now()).total_seconds())
        if left_seconds <= 0:
            await self.end(session_id)
            return None
        if keep_alive:
            with unavailable_when_away():
                await self._cache.expire(key, min(self._idle_seconds, left_seconds))
        return session

    async def end(self, session_id: str) -> None:
        """Forget a session."""
        with unavailable_when_away():
            await self._cache.delete(self._key(session_id))

    def _key(self, session_id: str) -> str:
        return self._prefix + hashed(session_id)
