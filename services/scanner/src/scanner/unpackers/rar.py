"""rar archives: by libarchive, and where they are encrypted, by way of a decrypted copy.

libarchive decompresses but does not decrypt. Source of what is here: RAR 5.0 archive format (rarlab technote),
which describes headers and encryption. The older encryption stands in `rar4`.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from typing import IO, Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libarchive import RAR, LibarchiveUnpacker
from scanner.unpackers.passwords import PasswordTrial
from scanner.unpackers.rar4 import OldDecryption
from scanner.unpackers.rar_copy import DecryptedCopy, copy_data, store_copy
from scanner.unpackers.rar_headers import (
    AES_BLOCK,
    CHECKSUM_ROUNDS,
    ENCRYPTION_RECORD,
    HAS_DATA,
    HAS_EXTRA,
    HASH_RECORD,
    DamagedHeaderError,
    Fields,
    Lock,
    Member,
    cipher_of,
    lock_of,
    number_of,
    record_of,
    records_of,
)
from scanner.unpackers.rest import store_rest

_MAGIC = b"Rar!\x1a\x07\x01\x00"
_MAX_HEADER_BYTES = 2 * 1024 * 1024
_MAIN, _FILE, _ENCRYPTION, _END = 1, 2, 4, 5
# Sizes are written in as many bytes whatever they are, because they are known only after the data.
_SIZE_BYTES = 8
_LAST_PACKED_BLOCK = 0x40


class RarUnpacker(LibarchiveUnpacker):
    """Opens rar archives, encrypted ones with the passwords there are."""

    def __init__(self) -> None:
        super().__init__(RAR)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store every member, then what follows the archive."""
        with tempfile.TemporaryFile(dir=".") as copy:
            try:
                decrypted = _Decryption(source, sink, copy).run() or OldDecryption(source, sink, copy).run()
            except (DamagedHeaderError, struct.error, IndexError):
                decrypted = None  # libarchive gets as far as it can and says what is damaged
            if decrypted is None:
                source.seek(0)
                super().unpack(source, name, sink)
            else:
                store_copy(decrypted, sink)
                store_rest(source, decrypted.end, f"{self.name} archive", sink)


class _Decryption:
    """Copies an archive block by block, decrypting headers and data."""

    def __init__(self, source: BinaryIO, sink: Sink, copy: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._result = DecryptedCopy(copy)
        self._trials: dict[tuple[bytes, int], str | None] = {}
        self._passwords = PasswordTrial(sink.passwords)
        self._header_key: bytes | None = None
        self._locked = False
        self._closed = False
        self._members = 0

    def run(self) -> DecryptedCopy | None:
        """Return the decrypted archive; None if nothing in it is encrypted or headers stay closed.

        Raises DamagedHeaderError, struct.error, IndexError.
        """
        self._source.seek(0)
        if self._source.read(len(_MAGIC)) != _MAGIC:
            return None
        self._result.copy.write(_MAGIC)
        header = self._read_header()
        while header is not None and self._copy(Fields(header)):
            if self._members > self._sink.room:
                return self._result if self._locked else None  # more than may be stored, which the sink will say
            header = self._read_header()
        if not self._locked:
            return None
        if self._result.end is None and not self._closed:
            self._sink.gap(GapReason.ERROR, "The rar archive is damaged or cut off.")
        return self._result

    def _read_header(self) -> bytes | None:
        """Return type, flags and what follows, without checksum and size; None at the end of the file."""
        cipher = None
        if self._header_key is not None:
            vector = self._source.read(AES_BLOCK)
            if not vector:
                return None
            cipher = cipher_of(self._header_key, vector)
        start = self._read_exactly(AES_BLOCK, cipher) if cipher else self._source.read(7)
        if not start:
            return None
        fields = Fields(start[4:])
        size = fields.number()
        end = 4 + fields.position + size
        if size > _MAX_HEADER_BYTES:
            raise DamagedHeaderError
        missing = end - len(start)
        if cipher:
            missing = -(-missing // AES_BLOCK) * AES_BLOCK
        header = start + (self._read_exactly(missing, cipher) if missing > 0 else b"")
        if not cipher and missing < 0:
            self._source.seek(missing, 1)
        if zlib.crc32(header[4:end]) != struct.unpack_from("<L", header)[0]:
            raise DamagedHeaderError
        return header[4 + fields.position : end]

    def _read_exactly(self, size: int, cipher: Any) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise DamagedHeaderError
        return bytes(cipher.decrypt(data)) if cipher else data

    def _copy(self, fields: Fields) -> bool:
        """Copy one block; False after the last, and where nothing further can be read."""
        kind, flags = fields.number(), fields.number()
        extra_size = fields.number() if flags & HAS_EXTRA else 0
        data_size = fields.number() if flags & HAS_DATA else 0
        if kind == _ENCRYPTION:
            return self._open_headers(fields)
        body = fields.rest()
        extra = body[len(body) - extra_size :] if extra_size else b""
        body = body[: len(body) - extra_size]
        if kind == _FILE:
            self._copy_file(flags, body, extra, data_size)
        else:
            if kind in {_MAIN, _END}:
                self._write(kind, flags & ~(HAS_EXTRA | HAS_DATA), body, b"", None)
            self._source.seek(data_size, 1)  # comments, indexes and recovery data are not needed
        if kind == _END:
            self._result.end = self._source.tell()
        return kind != _END

    def _open_headers(self, fields: Fields) -> bool:
        self._locked = True
        fields.number()
        flags = fields.number()
        lock = lock_of(fields, flags, with_vector=False)
        password = self._password(lock)
        if password is None:
            self._sink.gap(GapReason.ENCRYPTED, "The rar archive is encrypted and no password given fits.")
            self._closed = True
            return False
        self._header_key = lock.derived(password)
        return True

    def _copy_file(self, flags: int, body: bytes, extra: bytes, data_size: int) -> None:
        self._members += 1
        records = dict(records_of(extra))
        locked = records.pop(ENCRYPTION_RECORD, None)
        if locked is None:
            self._write(_FILE, flags, body, extra, data_size)
            copy_data(self._source, self._result.copy, data_size, data_size, None)
            return
        self._locked = True
        fields = Fields(locked)
        fields.number()
        lock = lock_of(fields, fields.number(), with_vector=True)
        password = self._password(lock)
        if password is None:
            self._sink.gap(GapReason.ENCRYPTED, "A member of the rar archive is encrypted and no password given fits.")
            self._source.seek(data_size, 1)
            return
        member = Member(body)
        if lock.keyed_checksums:
            records.pop(HASH_RECORD, None)
            if member.crc is not None:
                checksum = (lock.derived(password, CHECKSUM_ROUNDS), member.crc)
                self._result.checksums[member.name].append(checksum)
            body = member.without_crc()
        extra = b"".join(record_of(*one) for one in records.items())
        # The padding of the last AES block has to go; where packed data ends, they say themselves.
        size = min(member.size, data_size) if member.stored else data_size
        header_at = self._result.copy.tell()
        self._write(_FILE, flags, body, extra, size)
        start = self._result.copy.tell()
        copy_data(self._source, self._result.copy, data_size, size, cipher_of(lock.derived(password), lock.vector))
        if not member.stored:
            size = _packed_size(self._result.copy, start, size)
            self._result.copy.seek(header_at)
            self._write(_FILE, flags, body, extra, size)
            self._result.copy.seek(start + size)
            self._result.copy.truncate()

    def _write(self, kind: int, flags: int, body: bytes, extra: bytes, data_size: int | None) -> None:
        flags = flags & ~HAS_EXTRA | (HAS_EXTRA if extra else 0)
        header = number_of(kind) + number_of(flags) + (number_of(len(extra)) if extra else b"")
        header += b"" if data_size is None or not flags & HAS_DATA else number_of(data_size, _SIZE_BYTES)
        header += body + extra
        header = number_of(len(header)) + header
        self._result.copy.write(struct.pack("<L", zlib.crc32(header)) + header)

    def _password(self, lock: Lock) -> str | None:
        place = (lock.salt, lock.rounds_log2)
        if place not in self._trials:
            fitting = next((one for one in self._passwords.candidates() if lock.fits(one)), None)
            self._trials[place] = fitting
            if fitting is None:
                self._passwords.failed()
            else:
                self._passwords.fitted(fitting)
        return self._trials[place]


def _packed_size(copy: IO[bytes], start: int, size: int) -> int:
    """Return how many of the packed bytes from `start` are blocks, up to the one that is marked as the last."""
    position = start
    while position < start + size:
        copy.seek(position)
        head = copy.read(2)
        if len(head) < 2:
            break
        length = int.from_bytes(copy.read((head[0] >> 3 & 7) + 1), "little")
        position += 3 + (head[0] >> 3 & 7) + length
        if head[0] & _LAST_PACKED_BLOCK:
            break
    return min(position - start, size)
