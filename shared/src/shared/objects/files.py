"""Objects as files below one directory."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from typing_extensions import override

from shared.errors import NotFoundError, UnavailableError
from shared.objects.store import CHUNK_BYTES, ObjectStore, checked_key


class FileObjectStore(ObjectStore):
    """Objects as files below one directory, written to a side directory, synced, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._incoming = self._root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    @override
    def spool_directory(self) -> Path:
        return self._incoming

    @override
    async def put_file(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._move_in, key, path)

    @override
    async def put_bytes(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._write, key, data)

    @override
    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._path(key).is_file)

    @override
    async def stream(self, key: str) -> AsyncIterator[bytes]:
        try:
            file = await asyncio.to_thread(self._path(key).open, "rb")
        except FileNotFoundError:
            raise NotFoundError(f"There is no object {key}.") from None
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    @override
    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    @override
    async def check(self) -> None:
        if not await asyncio.to_thread(os.access, self._incoming, os.W_OK):
            raise UnavailableError(f"The object directory {self._root} cannot be written.")

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _write(self, key: str, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        self._move_in(key, Path(name))

    def _move_in(self, key: str, path: Path) -> None:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(path, os.O_RDONLY)
        path.replace(target)
        _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
