"""The unpackers: one class a container format, run inside the sandbox.

A new format joins by a class with the shape of `Unpacker` and one entry here.
"""

from __future__ import annotations

from scanner.unpackers.base import Unpacker
from scanner.unpackers.compressed import BZIP2, GZIP, XZ
from scanner.unpackers.libarchive import LIBARCHIVE
from scanner.unpackers.sevenzip import SevenZipUnpacker
from scanner.unpackers.tar import TarUnpacker
from scanner.unpackers.zip import ZipUnpacker

_ALL: tuple[Unpacker, ...] = (ZipUnpacker(), TarUnpacker(), GZIP, BZIP2, XZ, SevenZipUnpacker(), *LIBARCHIVE)
UNPACKERS: dict[str, Unpacker] = {unpacker.name: unpacker for unpacker in _ALL}

HEAD_BYTES = 34 * 1024
"""As far as the volume descriptor of a disc image."""
TAIL_BYTES = 66_000
"""Room for a zip archive's end record and the longest comment."""


def unpackers_for(labels: frozenset[str], head: bytes, tail: bytes) -> tuple[Unpacker, ...]:
    """Return the unpackers to run: for the content-type labels, for the magic numbers at both ends.

    A file that is two formats at once is opened as both.
    """
    unpackers = UNPACKERS.values()
    by_head = next((unpacker for unpacker in unpackers if unpacker.recognises(head, b"")), None)
    by_tail = next((unpacker for unpacker in unpackers if unpacker.recognises(b"", tail)), None)
    by_label = [unpacker for unpacker in unpackers if labels & unpacker.labels]
    if by_head is not None:  # a container that the type model guessed and the magic number contradicts
        by_label = [unpacker for unpacker in by_label if not unpacker.whole or unpacker.recognises(head, b"")]
    return tuple(dict.fromkeys(unpacker for unpacker in (*by_label, by_head, by_tail) if unpacker is not None))
