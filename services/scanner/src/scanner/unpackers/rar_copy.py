"""The decrypted copy of a rar archive: what both ways of decryption write and libarchive reads."""

from __future__ import annotations

import hmac
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink
from scanner.unpackers.libarchive import RAR, DamagedArchiveError, EncryptedArchiveError, LibarchiveReader
from scanner.unpackers.rar_headers import AES_BLOCK, folded


@dataclass(slots=True)
class DecryptedCopy:
    """The archive without encryption, what its members must add up to, and where it ends in the file, if it says."""

    copy: IO[bytes]
    checksums: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=lambda: defaultdict(list))
    """Keys and keyed CRCs of RAR 5, in the order of the members; all others libarchive compares."""
    end: int | None = None


def store_copy(decrypted: DecryptedCopy, sink: Sink) -> None:
    """Store the members of the copy. Raises LimitReachedError."""
    decrypted.copy.seek(0)
    reader = _CheckingReader(decrypted)
    try:
        reader.store_all(sink)
    except (DamagedArchiveError, EncryptedArchiveError):
        sink.gap(GapReason.ERROR, "The rar archive is damaged or cut off.")
    finally:
        reader.close()


def copy_data(source: BinaryIO, copy: IO[bytes], size: int, kept: int, cipher: Any) -> None:
    """Copy `size` bytes, decrypted if there is a cipher, and of the result only the first `kept`."""
    while size > 0:
        chunk = source.read(min(size, CHUNK_BYTES))
        if not chunk:
            return  # libarchive will miss it
        size -= len(chunk)
        if cipher:
            chunk = cipher.decrypt(chunk[: len(chunk) // AES_BLOCK * AES_BLOCK])
        copy.write(chunk[:kept])
        kept -= min(kept, len(chunk))


class _CheckingReader(LibarchiveReader):
    """Compares the members with the checksums that only the password's owner can make."""

    def __init__(self, decrypted: DecryptedCopy) -> None:
        super().__init__(decrypted.copy, "encrypted rar", RAR.readers, RAR.filter)  # type: ignore[arg-type]  # IO[bytes]
        self._checksums = decrypted.checksums
        self._member = ""

    def _pathname(self, entry: int) -> str:
        self._member = super()._pathname(entry)
        return self._member

    def _chunks(self) -> Iterator[bytes]:
        found = 0
        for chunk in super()._chunks():
            found = zlib.crc32(chunk, found)
            yield chunk
        expected = self._checksums.get(self._member)
        if expected:
            key, checksum = expected.pop(0)
            if folded(hmac.digest(key, struct.pack("<L", found), "sha256"), 4) != checksum:
                raise DamagedArchiveError
