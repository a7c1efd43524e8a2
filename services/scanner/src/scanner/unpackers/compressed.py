"""gzip, bzip2 and xz: one compressed stream, or several one after another."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink, read_chunks

DAMAGE = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_XZ_MEMORY_BYTES = 256 * 1024 * 1024


class Decompressor(Protocol):
    """The part that `bz2` and `lzma` objects share."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class GzipDecompressor:
    """zlib with the gzip header and trailer checked (RFC 1952), in the shape of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        """Whether the stream has ended and its checksum was right."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether all input so far is used up."""
        return not self._zlib.eof and not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the stream in the input given so far."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to `max_length` bytes. Raises zlib.error."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _xz_decompressor() -> Decompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


class StreamUnpacker:
    """A file that is one compressed stream."""

    def __init__(
        self, name: str, label: str, magic: bytes, suffixes: dict[str, str], start: Callable[[], Decompressor]
    ) -> None:
        self.name = name
        self.labels = frozenset({label})
        self.whole = self.labels
        self._magic = magic
        self._suffixes = suffixes
        self._start = start

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the head carries the format's magic number."""
        return head.startswith(self._magic)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store the content under the name without its suffix, and what follows the stream as a second child."""
        reader = _StreamReader(source, self._magic, self._start)
        sink.store(
            self._child_name(name),
            f"{self.name} stream",
            reader.chunks(),
            DAMAGE,
            f"The {self.name} stream is damaged or cut off.",
        )
        if reader.trailing:
            sink.gap(GapReason.ERROR, f"Data that is not part of the {self.name} stream follows it.")
            sink.store(
                "trailing data", f"after {self.name} stream", reader.rest(), (OSError,), "The file could not be read."
            )

    def _child_name(self, name: str) -> str:
        for suffix, replacement in self._suffixes.items():
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                return name[: -len(suffix)] + replacement
        return name


class _StreamReader:
    def __init__(self, source: BinaryIO, magic: bytes, start: Callable[[], Decompressor]) -> None:
        self._source = source
        self._magic = magic
        self._start = start
        self.trailing = b""

    def chunks(self) -> Iterator[bytes]:
        data = self._source.read(CHUNK_BYTES)
        while data.startswith(self._magic):
            decompressor = self._start()
            yield from self._one_stream(decompressor, data)
            data = decompressor.unused_data
            if len(data) < len(self._magic):
                data += self._source.read(CHUNK_BYTES)
            data = self._without_padding(data)
        self.trailing = data

    def _one_stream(self, decompressor: Decompressor, data: bytes) -> Iterator[bytes]:
        yield decompressor.decompress(data, CHUNK_BYTES)
        while not decompressor.eof:
            more = b""
            if decompressor.needs_input:
                more = self._source.read(CHUNK_BYTES)
                if not more:
                    raise EOFError
            yield decompressor.decompress(more, CHUNK_BYTES)

    def _without_padding(self, data: bytes) -> bytes:
        """Drop the zero bytes that tar and xz allow after a stream."""
        data = data.lstrip(b"\0")
        while not data:
            data = self._source.read(CHUNK_BYTES)
            if not data:
                return b""
            data = data.lstrip(b"\0")
        if len(data) < len(self._magic):
            data += self._source.read(CHUNK_BYTES)
        return data

    def rest(self) -> Iterator[bytes]:
        yield self.trailing
        yield from read_chunks(self._source)


GZIP = StreamUnpacker("gzip", "gzip", b"\x1f\x8b\x08", {".tgz": ".tar", ".gz": "", ".gzip": ""}, GzipDecompressor)
BZIP2 = StreamUnpacker(
    "bzip2", "bzip", b"BZh", {".tbz2": ".tar", ".tbz": ".tar", ".bz2": "", ".bz": ""}, bz2.BZ2Decompressor
)
XZ = StreamUnpacker("xz", "xz", b"\xfd7zXZ\0", {".txz": ".tar", ".xz": ""}, _xz_decompressor)
