"""Passwords: Argon2id (RFC 9106), in threads, at most a few at once, the same time for unknown accounts."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

CONCURRENT_HASHES = 4


class Passwords:
    """Hashes and checks. Each hash takes 64 MiB while it runs, so no more than four run at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(CONCURRENT_HASHES)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password is right; takes as long where there is no hash to compare with."""
        if password_hash is None:
            self._decoy = self._decoy or await self.hash("nobody has this password")
        async with self._slots:
            right = await asyncio.to_thread(self._verify, password_hash or self._decoy or "", password)
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
