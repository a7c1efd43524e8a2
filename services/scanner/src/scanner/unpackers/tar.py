"""tar archives (POSIX.1-2001 pax, ustar, GNU). Links, devices and folders hold no bytes of their own."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink, read_chunks
from scanner.unpackers.rest import store_from

DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError)
_MAGIC_OFFSET = 257


class TarUnpacker:
    """Opens uncompressed tar archives; compressed ones arrive here as the child of their stream."""

    name = "tar"
    labels = frozenset({"tar"})
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the ustar magic is where it belongs; older tar has none."""
        return head[_MAGIC_OFFSET : _MAGIC_OFFSET + 5] == b"ustar"

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- members bring their own names
        """Store every regular file, then whatever follows the last member and is not zero."""
        end = 0
        try:
            with tarfile.open(fileobj=source, mode="r:", errors="replace", encoding="utf-8") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header for ever
                    if member.isreg():
                        self._store(archive, member, sink)
                    end = archive.offset
        except DAMAGE:
            sink.gap(GapReason.ERROR, "The tar archive is damaged or cut off.")
        self._store_rest(source, end, sink)

    def _store(self, archive: tarfile.TarFile, member: tarfile.TarInfo, sink: Sink) -> None:
        sink.check_room()
        handle = archive.extractfile(member)
        if handle is None:
            return
        blame = "The member is damaged or cut off."
        sink.store(member.name, "tar member", _member_chunks(handle, member.size), DAMAGE, blame)  # type: ignore[arg-type]  # typeshed: IO[bytes]

    def _store_rest(self, source: BinaryIO, end: int, sink: Sink) -> None:
        source.seek(end)
        position = end
        for chunk in read_chunks(source):
            if chunk.strip(b"\0"):
                sink.gap(GapReason.ERROR, "Data that is not part of the tar archive follows its last member.")
                store_from(source, position, "trailing data", "after tar archive", sink)
                return
            position += len(chunk)


def _member_chunks(handle: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a member's bytes. Raises EOFError when there are fewer than its header says."""
    got = 0
    while chunk := handle.read(CHUNK_BYTES):
        got += len(chunk)
        yield chunk
    if got < size:
        raise EOFError
