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


def unpacker_for(label: str, head: bytes) -> Unpacker | None:
    """Return the unpacker for a content-type label, else for the magic number at the start, else None."""
    for unpacker in UNPACKERS.values():
        if label in unpacker.labels:
            return unpacker
    for unpacker in UNPACKERS.values():
        if unpacker.recognises(head):
            return unpacker
    return None
