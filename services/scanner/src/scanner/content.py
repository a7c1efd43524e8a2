"""Bytes to look at: a range of an open file, read in pieces so that memory stays flat."""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1024 * 1024


class OpenFile:
    """A file descriptor that is closed when the last range of it is dropped."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._finalizer = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def reading(cls, path: Path) -> OpenFile:
        """Open `path` for reading. Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def spool(cls, folder: Path | None) -> OpenFile:
        """Open a new file without a name, so that nothing is left behind after a crash."""
        with tempfile.TemporaryFile(dir=folder) as handle:
            return cls(os.dup(handle.fileno()))

    @classmethod
    def in_memory(cls, data: bytes) -> OpenFile:
        """Open a file that lies in memory alone and holds `data`."""
        descriptor = os.memfd_create("bytes", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        return cls(descriptor)

    @property
    def size_bytes(self) -> int:
        """Present size of the file."""
        return os.fstat(self.descriptor).st_size


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`size` bytes of `file` from `offset`."""

    file: OpenFile
    offset: int
    size: int

    @classmethod
    def whole(cls, path: Path) -> ByteRange:
        """Take all bytes of the file at `path`. Raises OSError."""
        opened = OpenFile.reading(path)
        return cls(opened, 0, opened.size_bytes)

    @classmethod
    def of(cls, data: bytes) -> ByteRange:
        """Take bytes that never touch a disk."""
        return cls(OpenFile.in_memory(data), 0, len(data))

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """Return up to `length` bytes from `start`; fewer only if the file has become shorter."""
        wanted = self.size - start if length is None else min(length, self.size - start)
        pieces = []
        position = self.offset + start
        while wanted > 0:
            piece = os.pread(self.file.descriptor, min(wanted, CHUNK_BYTES * 16), position)
            if not piece:
                break
            pieces.append(piece)
            position += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in order, 1 MiB at a time."""
        for start in range(0, self.size, CHUNK_BYTES):
            yield self.read(start, CHUNK_BYTES)

    @contextmanager
    def private_copy(self, folder: Path | None) -> Iterator[str]:
        """Give a path to a copy that nobody else can change or shorten, for libraries that map files.

        A mapped file that is cut short by someone else kills the process with SIGBUS.
        """
        with tempfile.TemporaryFile(dir=folder) as handle:
            for chunk in self.chunks():
                handle.write(chunk)
            handle.flush()
            yield f"/proc/self/fd/{handle.fileno()}"


@dataclass(frozen=True, slots=True)
class Hashes:
    """Hexadecimal digests of an artifact."""

    sha256: str
    sha1: str
    md5: str


def hash_content(content: ByteRange) -> Hashes:
    """Compute the three digests in one pass."""
    sha256 = hashlib.sha256()
    sha1 = hashlib.sha1(usedforsecurity=False)
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in content.chunks():
        sha256.update(chunk)
        sha1.update(chunk)
        md5.update(chunk)
    return Hashes(sha256.hexdigest(), sha1.hexdigest(), md5.hexdigest())
