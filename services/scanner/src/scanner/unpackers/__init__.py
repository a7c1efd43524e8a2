"""The unpackers: one class a container format, run inside the sandbox.

A new format joins by a class with the shape of `Unpacker` and one entry here.
"""

from __future__ import annotations

from scanner.unpackers.base import Unpacker
from scanner.unpackers.compressed import BZIP2, GZIP, XZ
from scanner.unpackers.tar import TarUnpacker
from scanner.unpackers.zip import ZipUnpacker

UNPACKERS: dict[str, Unpacker] = {
    unpacker.name: unpacker for unpacker in (ZipUnpacker(), TarUnpacker(), GZIP, BZIP2, XZ)
}

HEAD_BYTES = 512
TAIL_BYTES = 66_000
"""Room for a zip archive's end record and the longest comment."""


def unpacker_for(label: str, head: bytes, tail: bytes) -> Unpacker | None:
    """Return the unpacker for a content-type label, else for the magic numbers at both ends, else None."""
    unpackers = UNPACKERS.values()
    by_label = (unpacker for unpacker in unpackers if label in unpacker.labels)
    by_head = (unpacker for unpacker in unpackers if unpacker.recognises(head, b""))
    by_tail = (unpacker for unpacker in unpackers if unpacker.recognises(b"", tail))
    return next((unpacker for group in (by_label, by_head, by_tail) for unpacker in group), None)
