"""7z archives (7zFormat.txt of the LZMA SDK): by libarchive, or by py7zr where they are encrypted.

libarchive reads every compression of the format (BCJ2 too) but no encryption; py7zr decrypts.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from scanner.unpackers.base import ChildWriter, GapReason, LimitReachedError, Sink
from scanner.unpackers.libarchive import DamagedArchiveError, EncryptedArchiveError, LibarchiveReader
from scanner.unpackers.libraries import LibraryMissingError, library
from scanner.unpackers.passwords import PasswordTrial
from scanner.unpackers.rest import store_rest

_MAGIC = b"7z\xbc\xaf\x27\x1c"
_HEADER = struct.Struct("<6s2xL2QL")
# A stored member shows a wrong password only by its checksum at the end; enough to tell the others.
_PROBE_BYTES = 256 * 1024
# With a wrong password py7zr reads noise as its own structures: it raises these and worse.
_WRONG_PASSWORD = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, lzma.LZMAError, struct.error, zlib.error,
)  # fmt: skip


class SevenZipUnpacker:
    """Opens 7z archives and what follows them."""

    name = "7z"
    labels = frozenset({"sevenzip"})
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether it begins with the format's signature."""
        return head.startswith(_MAGIC)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- members bring their own names
        """Store every member that is a file, then what follows the archive."""
        try:
            _store_all(source, sink)
        except DamagedArchiveError:
            sink.gap(GapReason.ERROR, "The 7z archive is damaged or cut off.")
        except EncryptedArchiveError:
            source.seek(0)
            _EncryptedArchive(source, sink).store_all()
        store_rest(source, _end(source), f"{self.name} archive", sink)


def _store_all(source: BinaryIO, sink: Sink) -> None:
    try:
        reader = LibarchiveReader(source, "7z", ("7zip",), "none")
    except LibraryMissingError:  # py7zr reads nearly everything that is not encrypted too
        raise EncryptedArchiveError from None
    try:
        reader.store_all(sink)
    finally:
        reader.close()


def _end(source: BinaryIO) -> int | None:
    source.seek(0)
    header = source.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    _, _, offset, size, _ = _HEADER.unpack(header)
    return int(_HEADER.size + offset + size)


class _EncryptedArchive:
    """Tries the passwords, then extracts with the one that fits."""

    def __init__(self, source: BinaryIO, sink: Sink) -> None:
        self._source = source
        self._sink = sink
        self._py7zr: Any = library("py7zr")

    def store_all(self) -> None:
        """Store all members, or tell that no password fits. Raises LimitReachedError."""
        candidates: tuple[str | None, ...] = (None, *PasswordTrial(self._sink.passwords).candidates())
        for password in candidates:
            if self._fits(password):
                break
        else:
            self._sink.gap(GapReason.ENCRYPTED, "The 7z archive is encrypted and no password given fits.")
            return
        extraction = _Extraction(self._sink, "encrypted 7z member" if password else "7z member")
        try:
            self._extract(password, extraction)
        except LimitReachedError:
            raise
        except (*_WRONG_PASSWORD, self._py7zr.exceptions.ArchiveError, self._py7zr.PasswordRequired):
            self._sink.gap(GapReason.ERROR, "The 7z archive is damaged or cut off.")
        finally:
            extraction.end()

    def _fits(self, password: str | None) -> bool:
        try:
            self._extract(password, _Probe())
        except _ProbedEnoughError:
            return True
        except (*_WRONG_PASSWORD, self._py7zr.exceptions.ArchiveError, self._py7zr.PasswordRequired):
            return False
        return True

    def _extract(self, password: str | None, destination: _Extraction | _Probe) -> None:
        self._source.seek(0)
        with self._py7zr.SevenZipFile(self._source, password=password) as archive:
            # py7zr refuses names that lead out of a folder; ours are only told, so numbers stand in.
            for number, member in enumerate(archive.files):
                destination.names.append(member.filename)
                member._file_info["filename"] = str(number)  # noqa: SLF001 -- there is no public way to rename
            archive.extractall(factory=destination)


class _ProbedEnoughError(Exception):
    """The password decrypts what was looked at."""


class _Probe:
    """A py7zr writer factory that throws away what it gets, up to a limit."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._seen = 0

    def create(self, filename: str) -> _Probe:  # noqa: ARG002 -- the name does not matter here
        """Take all members."""
        if self._seen:
            raise _ProbedEnoughError
        return self

    def write(self, data: bytes) -> int:
        """Count."""
        self._seen += len(data)
        if self._seen > _PROBE_BYTES:
            raise _ProbedEnoughError
        return len(data)

    def seekable(self) -> bool:
        """Return False: nothing is kept."""
        return False

    def close(self) -> None:
        """Hold nothing."""


class _Extraction:
    """A py7zr writer factory that makes each member a child."""

    def __init__(self, sink: Sink, origin: str) -> None:
        self.names: list[str] = []
        self._sink = sink
        self._origin = origin
        self._writer: ChildWriter | None = None

    def create(self, filename: str) -> _Extraction:
        """Begin the member of that number; py7zr writes one after another."""
        self.end()
        self._writer = self._sink.begin(self.names[int(PurePosixPath(filename).name)], self._origin)
        return self

    def write(self, data: bytes) -> int:
        """Hand the bytes on; those over the member's limit are dropped."""
        if self._writer is not None:
            self._writer.write(data)
        return len(data)

    def seekable(self) -> bool:
        """Return False: what is written goes to the spool."""
        return False

    def close(self) -> None:
        """Say that the member is complete and its checksum right."""
        if self._writer is not None:
            self._writer.end()
            self._writer = None

    def end(self) -> None:
        """End a member that was not completed."""
        if self._writer is not None:
            self._writer.end((GapReason.ERROR, "The member is damaged or cut off."))
            self._writer = None
