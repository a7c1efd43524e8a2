"""Archive formats read by libarchive: rar, iso, cab, ar, rpm, cpio, xar, lha and more compressed streams.

libarchive is a library of the system (libarchive13); where it is missing, these formats are a gap
`unsupported`. Of each format only its own reader is switched on, so that no other gets to see the bytes.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library
from scanner.unpackers.rest import damaged, not_of_the_type, store_rest

_BLOCK_BYTES = 64 * 1024
_EOF = 1
_MAGIC_WITHIN = 34 * 1024
_TYPE_MASK = 0o170000
_REGULAR = 0o100000
MEMBER_DAMAGED = "The member is damaged or cut off."


class DamagedArchiveError(Exception):
    """libarchive cannot go on."""


class EncryptedArchiveError(Exception):
    """The directory or a member is encrypted."""


class LibarchiveReader:
    """Hands the members of one archive to a sink, in the order of the archive."""

    def __init__(self, source: BinaryIO, name: str, read_formats: tuple[str, ...], read_filter: str) -> None:
        self._ffi: Any = library("libarchive").ffi
        self._source = source
        self._name = name
        self._buffer = ctypes.create_string_buffer(_BLOCK_BYTES)
        # libarchive keeps a pointer to each of these.
        self._read_callback = self._ffi.READ_CALLBACK(self._read)
        self._seek_callback = self._ffi.SEEK_CALLBACK(self._seek)
        self._archive = self._ffi.read_new()
        for read_format in read_formats:
            self._ffi.get_read_format_function(read_format)(self._archive)
        self._ffi.get_read_filter_function(read_filter)(self._archive)

    def _read(self, _archive: int, _context: int, where: Any) -> int:
        size = self._source.readinto(self._buffer)  # type: ignore[attr-defined]  # BinaryIO lacks it, ours has it
        ctypes.cast(where, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(self._buffer)
        return int(size)

    def _seek(self, _archive: int, _context: int, offset: int, whence: int) -> int:
        try:
            return self._source.seek(offset, whence)
        except OSError:
            return -30

    @property
    def consumed_bytes(self) -> int:
        """How far into the source the archive was read."""
        return int(self._ffi.filter_bytes(self._archive, -1))

    def close(self) -> None:
        """Free what libarchive holds."""
        self._ffi.read_free(self._archive)

    def store_all(self, sink: Sink, named: Callable[[str], str] = str) -> None:
        """Store every regular member. Raises DamagedArchiveError, EncryptedArchiveError, LimitReachedError."""
        for entry, warning in self._entries():
            if warning:  # bytes were skipped or a name could not be read
                sink.gap(GapReason.ERROR, f"A header in the {self._name} archive is damaged.")
            kind = self._ffi.entry_filetype(entry) & _TYPE_MASK
            if kind in {_REGULAR, 0}:
                self._store(entry, sink, named)

    def checksum(self, limit: int | None) -> int | None:
        """Return the CRC-32 of all content; None if it has more bytes than the limit.

        Raises DamagedArchiveError, EncryptedArchiveError.
        """
        found, left = 0, limit
        for _, warning in self._entries():
            if warning:
                raise DamagedArchiveError
            for chunk in self._chunks():
                found = zlib.crc32(chunk, found)
                if left is not None and (left := left - len(chunk)) < 0:
                    return None
        return found

    def _entries(self) -> Iterator[tuple[int, bool]]:
        """Yield each entry, valid until the next, and whether libarchive warns of it."""
        self._call(self._ffi.read_set_seek_callback, self._seek_callback)
        self._call(self._ffi.read_open, None, self._ffi.NO_OPEN_CB, self._read_callback, self._ffi.NO_CLOSE_CB)
        entry = self._ffi.entry_new()
        try:
            while (status := self._call(self._ffi.read_next_header2, entry)) != _EOF:
                yield entry, status < 0
        finally:
            self._ffi.entry_free(entry)

    def _store(self, entry: int, sink: Sink, named: Callable[[str], str]) -> None:
        if self._ffi.libarchive.archive_entry_is_encrypted(ctypes.c_void_p(entry)):
            raise EncryptedArchiveError
        damage = (DamagedArchiveError,)
        sink.store(named(self._pathname(entry)), f"{self._name} member", self._chunks(), damage, MEMBER_DAMAGED)

    def _pathname(self, entry: int) -> str:
        wide: str | None = self._ffi.entry_pathname_w(entry)
        if wide:
            return wide
        plain: bytes | None = self._ffi.entry_pathname(entry)
        return (plain or b"").decode("utf-8", "replace")

    def _chunks(self) -> Iterator[bytes]:
        buffer = ctypes.create_string_buffer(_BLOCK_BYTES)
        while size := self._call(self._ffi.read_data, buffer, _BLOCK_BYTES):
            if size < 0:  # a warning: what was read is not what was packed
                raise DamagedArchiveError
            yield buffer.raw[:size]

    def _call(self, function: Any, *arguments: object) -> int:
        """Return the status, negative for a warning. Raises DamagedArchiveError, EncryptedArchiveError."""
        try:
            return int(function(self._archive, *arguments))
        except self._ffi.ArchiveError as error:
            raise self._failure(str(error.msg)) from error

    def _failure(self, message: str) -> Exception:
        # libarchive tells encryption by its messages alone where the directory itself is encrypted.
        return EncryptedArchiveError() if "ncrypt" in message else DamagedArchiveError()


@dataclass(frozen=True, slots=True)
class Format:
    """A format of libarchive and how to know it."""

    name: str
    labels: frozenset[str]
    readers: tuple[str, ...]
    magics: tuple[bytes, ...]
    magic_offset: int = 0
    filter: str = "none"
    end: Callable[[BinaryIO], int | None] | None = None
    """Where the archive ends in the file, if its header says so."""
    sequential: bool = False
    """Read from start to end, so that its end is where reading stopped."""
    whole: bool = True
    """Whether nothing in the file escapes the reader."""


class LibarchiveUnpacker:
    """Opens one format; what lies behind the archive's end is a child of its own."""

    def __init__(self, archive_format: Format) -> None:
        self._format = archive_format
        self.name = archive_format.name
        self.labels = archive_format.labels
        self.whole = archive_format.labels | {"unknown"} if archive_format.whole else frozenset[str]()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the magic number is where it belongs."""
        return any(head.startswith(magic, self._format.magic_offset) for magic in self._format.magics)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store every regular file, then what follows the archive."""
        if not self.recognises(source.read(_MAGIC_WITHIN), b""):
            sink.gap(GapReason.UNSUPPORTED, not_of_the_type(self.name))
            return
        source.seek(0)
        reader = LibarchiveReader(source, self.name, self._format.readers, self._format.filter)
        stream = self._format.readers == ("raw",)
        end = self._format.end(source) if self._format.end else None
        source.seek(0)
        try:
            reader.store_all(sink, (lambda _: name.rpartition(".")[0] or name) if stream else str)
        except EncryptedArchiveError:
            detail = f"The {self.name} archive is encrypted, which cannot be opened here."
            sink.gap(GapReason.ENCRYPTED, detail)
            return
        except DamagedArchiveError:
            sink.gap(GapReason.ERROR, damaged(f"{self.name} archive"))
            return
        finally:
            consumed = reader.consumed_bytes
            reader.close()
        store_rest(source, consumed if self._format.sequential else end, f"{self.name} archive", sink)


def _field(source: BinaryIO, offset: int) -> int | None:
    source.seek(offset)
    data = source.read(4)
    return int(struct.unpack("<L", data)[0]) if len(data) == 4 else None


def _cab_end(source: BinaryIO) -> int | None:
    """CFHEADER.cbCabinet of [MS-CAB] 2.1."""
    return _field(source, 8)


def iso_end(source: BinaryIO) -> int | None:
    """Volume space size of ECMA-119 8.4.8, in sectors of 2048 bytes."""
    sectors = _field(source, 16 * 2048 + 80)
    return None if sectors is None else sectors * 2048


ISO = Format("iso", frozenset({"iso"}), ("iso9660",), (b"CD001",), 16 * 2048 + 1, end=iso_end)
RAR = Format("rar", frozenset({"rar"}), ("rar", "rar5"), (b"Rar!\x1a\x07",), sequential=True)
_FORMATS = (
    Format("cab", frozenset({"cab"}), ("cab",), (b"MSCF\0\0\0\0",), end=_cab_end),
    Format("ar", frozenset({"ar", "deb"}), ("ar",), (b"!<arch>\n",), sequential=True),
    Format("rpm", frozenset({"rpm"}), ("cpio",), (b"\xed\xab\xee\xdb",), filter="all", whole=False),
    Format("cpio", frozenset({"cpio"}), ("cpio",), (b"07070", b"\xc7\x71", b"\x71\xc7"), sequential=True),
    Format("xar", frozenset({"xar"}), ("xar",), (b"xar!",), whole=False),
    Format("lha", frozenset({"lha"}), ("lha",), (b"-lh", b"-lz"), 2, whole=False),
    Format("zstd", frozenset({"zst"}), ("raw",), (b"\x28\xb5\x2f\xfd",), filter="zstd"),
    Format("lz4", frozenset({"lz4"}), ("raw",), (b"\x04\x22\x4d\x18",), filter="lz4", sequential=True),
    Format("lzip", frozenset({"lz"}), ("raw",), (b"LZIP",), filter="lzip", sequential=True),
    Format("compress", frozenset(), ("raw",), (b"\x1f\x9d",), filter="compress"),
)
LIBARCHIVE = tuple(LibarchiveUnpacker(archive_format) for archive_format in _FORMATS)
