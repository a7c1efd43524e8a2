"""What an object store does, and which keys there are."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from shared.errors import PermanentError

CHUNK_BYTES = 1 << 20
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


class ObjectStore(Protocol):
    """Keys are lower-case paths made by us, never by a user. Bytes are durable when a put returns."""

    async def put_file(self, key: str, path: Path) -> None:
        """Store the file's bytes under the key, replacing what was there. `path` may be moved away."""

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store the bytes under the key, replacing what was there."""

    async def exists(self, key: str) -> bool:
        """Return whether the key holds bytes."""

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB. Raises NotFoundError."""

    async def delete(self, key: str) -> None:
        """Remove the key; nothing happens if it is not there."""

    async def check(self) -> None:
        """Raise UnavailableError unless the store can be used now."""

    def spool_directory(self) -> Path:
        """Return a local directory for bytes on their way in; moving from it to the store is cheap."""


def checked_key(key: str) -> str:
    """Return the key. Raises PermanentError if it is not one that we make."""
    if not _KEY.fullmatch(key) or ".." in key:
        raise PermanentError("That is not a valid object key.")
    return key
