"""Browser sessions in the gateway's database: where the cache is in memory, they must outlive the process."""

from __future__ import annotations

import secrets
from datetime import timedelta

from gateway import storage
from gateway.auth.sessions import hashed
from gateway.models.accounts import Session
from shared.clock import now
from shared.database import Database

_NOTED_EVERY = timedelta(seconds=60)
"""A session in use is written no more often than this."""


class KeptSessions:
    """As `SessionStore`, in the table `sessions`, which holds hashes of ids only."""

    def __init__(self, database: Database, *, idle_seconds: int, lifetime_seconds: int) -> None:
        self._database = database
        self._idle = timedelta(seconds=idle_seconds)
        self._lifetime = timedelta(seconds=lifetime_seconds)

    async def start(self, user_id: str) -> str:
        """Return the id (256 random bits) of a new session, and forget those that have ended."""
        session_id, moment = secrets.token_urlsafe(32), now()
        session = Session(user_id=user_id, started_at=moment)
        async with self._database.transaction() as transaction:
            await storage.delete_old_sessions(
                transaction.session, used_before=moment - self._idle, started_before=moment - self._lifetime
            )
            await storage.insert_session(transaction.session, hashed(session_id), session)
        return session_id

    async def find(self, session_id: str, *, keep_alive: bool = True) -> Session | None:
        """Return a session that has not ended; with `keep_alive` it counts as used now."""
        async with self._database.read() as reading:
            found = await storage.find_session(reading, hashed(session_id))
        if found is None:
            return None
        session, used_at = found
        moment = now()
        if moment >= min(used_at + self._idle, session.started_at + self._lifetime):
            await self.end(session_id)
            return None
        if keep_alive and moment - used_at > min(_NOTED_EVERY, self._idle / 10):
            async with self._database.transaction() as transaction:
                await storage.touch_session(transaction.session, hashed(session_id), moment)
        return session

    async def end(self, session_id: str) -> None:
        """Forget a session."""
        async with self._database.transaction() as transaction:
            await storage.delete_session(transaction.session, hashed(session_id))
