"""rar archives: by libarchive, and where RAR 5 encrypts them, by way of a decrypted copy.

libarchive decompresses but does not decrypt. Source: RAR 5.0 archive format (rarlab technote), which
describes headers and encryption. RAR 4 encryption is not read.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any, BinaryIO

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink
from scanner.unpackers.libarchive import (
    RAR,
    DamagedArchiveError,
    EncryptedArchiveError,
    LibarchiveReader,
    LibarchiveUnpacker,
    store_rest,
)
from scanner.unpackers.libraries import library
from scanner.unpackers.passwords import PasswordTrial

_MAGIC = b"Rar!\x1a\x07\x01\x00"
_MAX_HEADER_BYTES = 2 * 1024 * 1024
_MAIN, _FILE, _ENCRYPTION, _END = 1, 2, 4, 5
_HAS_EXTRA, _HAS_DATA = 1, 2
_HAS_TIME, _HAS_CRC = 2, 4
_ENCRYPTION_RECORD, _HASH_RECORD = 1, 2
_HAS_CHECK, _CHECKSUMS_ARE_KEYED = 1, 2
_AES_BLOCK = 16
# Sizes are written in as many bytes whatever they are, because they are known only after the data.
_SIZE_BYTES = 8
_LAST_PACKED_BLOCK = 0x40
# The default is 2^15; each password costs that many rounds.
_MOST_ROUNDS_LOG2 = 20
_CHECK_ROUNDS, _CHECKSUM_ROUNDS = 32, 16


class _DamagedError(Exception):
    """The headers do not hold together."""


@dataclass(frozen=True, slots=True)
class _Lock:
    """How something is encrypted: enough to try passwords."""

    rounds_log2: int
    salt: bytes
    check: bytes | None
    vector: bytes = b""
    keyed_checksums: bool = False

    def derived(self, password: str, further_rounds: int = 0) -> bytes:
        """Return 32 bytes; more rounds than those of the key give the values for checks."""
        rounds = (1 << self.rounds_log2) + further_rounds
        return _derived(password, self.salt, rounds)

    def fits(self, password: str) -> bool:
        """Whether the archive's check value is that of the password."""
        if self.check is None or self.rounds_log2 > _MOST_ROUNDS_LOG2:
            return False
        return _folded(self.derived(password, _CHECK_ROUNDS), len(self.check)) == self.check


@dataclass(slots=True)
class _Decrypted:
    """The archive without encryption, what its members must add up to, and where it ends in the file, if it says."""

    copy: IO[bytes]
    checksums: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=lambda: defaultdict(list))
    end: int | None = None


class RarUnpacker(LibarchiveUnpacker):
    """Opens rar archives, encrypted ones of RAR 5 with the passwords there are."""

    def __init__(self) -> None:
        super().__init__(RAR)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Store every member, then what follows the archive."""
        with tempfile.TemporaryFile(dir=".") as copy:
            try:
                decrypted = _Decryption(source, sink, copy).run()
            except (_DamagedError, struct.error, IndexError):
                decrypted = None  # libarchive gets as far as it can and says what is damaged
            if decrypted is None:
                source.seek(0)
                super().unpack(source, name, sink)
            else:
                _store(decrypted, sink)
                store_rest(source, decrypted.end, self.name, sink)


def _store(decrypted: _Decrypted, sink: Sink) -> None:
    decrypted.copy.seek(0)
    reader = _CheckingReader(decrypted)
    try:
        reader.store_all(sink)
    except (DamagedArchiveError, EncryptedArchiveError):
        sink.gap(GapReason.ERROR, "The rar archive is damaged or cut off.")
    finally:
        reader.close()


class _CheckingReader(LibarchiveReader):
    """Compares the members with the checksums that only the password's owner can make."""

    def __init__(self, decrypted: _Decrypted) -> None:
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
            if _folded(hmac.digest(key, struct.pack("<L", found), "sha256"), 4) != checksum:
                raise DamagedArchiveError


class _Decryption:
    """Copies an archive block by block, decrypting headers and data."""

    def __init__(self, source: BinaryIO, sink: Sink, copy: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._result = _Decrypted(copy)
        self._trials: dict[tuple[bytes, int], str | None] = {}
        self._passwords = PasswordTrial(sink.passwords)
        self._header_key: bytes | None = None
        self._locked = False
        self._closed = False
        self._members = 0

    def run(self) -> _Decrypted | None:
        """Return the decrypted archive; None if nothing in it is encrypted or headers stay closed.

        Raises _DamagedError, struct.error, IndexError.
        """
        self._source.seek(0)
        if self._source.read(len(_MAGIC)) != _MAGIC:
            return None
        self._result.copy.write(_MAGIC)
        header = self._read_header()
        while header is not None and self._copy(_Fields(header)):
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
            vector = self._source.read(_AES_BLOCK)
            if not vector:
                return None
            cipher = _cipher(self._header_key, vector)
        start = self._read_exactly(_AES_BLOCK, cipher) if cipher else self._source.read(7)
        if not start:
            return None
        fields = _Fields(start[4:])
        size = fields.number()
        end = 4 + fields.position + size
        if size > _MAX_HEADER_BYTES:
            raise _DamagedError
        missing = end - len(start)
        if cipher:
            missing = -(-missing // _AES_BLOCK) * _AES_BLOCK
        header = start + (self._read_exactly(missing, cipher) if missing > 0 else b"")
        if not cipher and missing < 0:
            self._source.seek(missing, 1)
        if zlib.crc32(header[4:end]) != struct.unpack_from("<L", header)[0]:
            raise _DamagedError
        return header[4 + fields.position : end]

    def _read_exactly(self, size: int, cipher: Any) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise _DamagedError
        return bytes(cipher.decrypt(data)) if cipher else data

    def _copy(self, fields: _Fields) -> bool:
        """Copy one block; False after the last, and where nothing further can be read."""
        kind, flags = fields.number(), fields.number()
        extra_size = fields.number() if flags & _HAS_EXTRA else 0
        data_size = fields.number() if flags & _HAS_DATA else 0
        if kind == _ENCRYPTION:
            return self._open_headers(fields)
        body = fields.rest()
        extra = body[len(body) - extra_size :] if extra_size else b""
        body = body[: len(body) - extra_size]
        if kind == _FILE:
            self._copy_file(flags, body, extra, data_size)
        else:
            if kind in {_MAIN, _END}:
                self._write(kind, flags & ~(_HAS_EXTRA | _HAS_DATA), body, b"", None)
            self._source.seek(data_size, 1)  # comments, indexes and recovery data are not needed
        if kind == _END:
            self._result.end = self._source.tell()
        return kind != _END

    def _open_headers(self, fields: _Fields) -> bool:
        self._locked = True
        fields.number()
        flags = fields.number()
        lock = _lock_of(fields, flags, with_vector=False)
        password = self._password(lock)
        if password is None:
            self._sink.gap(GapReason.ENCRYPTED, "The rar archive is encrypted and no password given fits.")
            self._closed = True
            return False
        self._header_key = lock.derived(password)
        return True

    def _copy_file(self, flags: int, body: bytes, extra: bytes, data_size: int) -> None:
        self._members += 1
        records = dict(_records(extra))
        locked = records.pop(_ENCRYPTION_RECORD, None)
        if locked is None:
            self._write(_FILE, flags, body, extra, data_size)
            self._copy_data(data_size, data_size, None)
            return
        self._locked = True
        fields = _Fields(locked)
        fields.number()
        lock = _lock_of(fields, fields.number(), with_vector=True)
        password = self._password(lock)
        if password is None:
            self._sink.gap(GapReason.ENCRYPTED, "A member of the rar archive is encrypted and no password given fits.")
            self._source.seek(data_size, 1)
            return
        member = _Member(body)
        if lock.keyed_checksums:
            records.pop(_HASH_RECORD, None)
            if member.crc is not None:
                checksum = (lock.derived(password, _CHECKSUM_ROUNDS), member.crc)
                self._result.checksums[member.name].append(checksum)
            body = member.without_crc()
        extra = b"".join(_record(*one) for one in records.items())
        # The padding of the last AES block has to go; where packed data ends, they say themselves.
        size = min(member.size, data_size) if member.stored else data_size
        header_at = self._result.copy.tell()
        self._write(_FILE, flags, body, extra, size)
        start = self._result.copy.tell()
        self._copy_data(data_size, size, _cipher(lock.derived(password), lock.vector))
        if not member.stored:
            size = _packed_size(self._result.copy, start, size)
            self._result.copy.seek(header_at)
            self._write(_FILE, flags, body, extra, size)
            self._result.copy.seek(start + size)
            self._result.copy.truncate()

    def _copy_data(self, size: int, kept: int, cipher: Any) -> None:
        while size > 0:
            chunk = self._source.read(min(size, CHUNK_BYTES))
            if not chunk:
                return  # libarchive will miss it
            size -= len(chunk)
            if cipher:
                chunk = cipher.decrypt(chunk[: len(chunk) // _AES_BLOCK * _AES_BLOCK])
            self._result.copy.write(chunk[:kept])
            kept -= min(kept, len(chunk))

    def _write(self, kind: int, flags: int, body: bytes, extra: bytes, data_size: int | None) -> None:
        flags = flags & ~_HAS_EXTRA | (_HAS_EXTRA if extra else 0)
        header = _number(kind) + _number(flags) + (_number(len(extra)) if extra else b"")
        header += b"" if data_size is None or not flags & _HAS_DATA else _number(data_size, _SIZE_BYTES)
        header += body + extra
        header = _number(len(header)) + header
        self._result.copy.write(struct.pack("<L", zlib.crc32(header)) + header)

    def _password(self, lock: _Lock) -> str | None:
        place = (lock.salt, lock.rounds_log2)
        if place not in self._trials:
            fitting = next((one for one in self._passwords.candidates() if lock.fits(one)), None)
            self._trials[place] = fitting
            if fitting is None:
                self._passwords.failed()
            else:
                self._passwords.fitted(fitting)
        return self._trials[place]


@lru_cache(maxsize=64)
def _derived(password: str, salt: bytes, rounds: int) -> bytes:
    """Members of one archive mostly share the salt, and each derivation is meant to be slow."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


class _Fields:
    """Reads the numbers of a header one after another. Raises IndexError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def number(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 63:
                raise IndexError

    def take(self, size: int) -> bytes:
        taken = self._data[self.position : self.position + size]
        if len(taken) < size:
            raise IndexError
        self.position += size
        return taken

    def rest(self) -> bytes:
        return self._data[self.position :]


class _Member:
    """The fields of a file header that matter here."""

    def __init__(self, body: bytes) -> None:
        fields = _Fields(body)
        self._flags = fields.number()
        self._after_flags = fields.position
        self.size = fields.number()
        fields.number()
        if self._flags & _HAS_TIME:
            fields.take(4)
        self._crc_at = fields.position
        self.crc = fields.take(4) if self._flags & _HAS_CRC else None
        self.stored = fields.number() >> 7 & 7 == 0
        fields.number()
        self.name = fields.take(fields.number()).decode("utf-8", "replace")
        self._body = body

    def without_crc(self) -> bytes:
        body = self._body
        if self.crc is None:
            return body
        return _number(self._flags & ~_HAS_CRC) + body[self._after_flags : self._crc_at] + body[self._crc_at + 4 :]


def _lock_of(fields: _Fields, flags: int, *, with_vector: bool) -> _Lock:
    rounds_log2, salt = fields.take(1)[0], fields.take(16)
    vector = fields.take(_AES_BLOCK) if with_vector else b""
    check = fields.take(12)[:8] if flags & _HAS_CHECK else None
    return _Lock(rounds_log2, salt, check, vector, with_vector and bool(flags & _CHECKSUMS_ARE_KEYED))


def _records(extra: bytes) -> Iterator[tuple[int, bytes]]:
    fields = _Fields(extra)
    while fields.position < len(extra):
        record = _Fields(fields.take(fields.number()))
        yield record.number(), record.rest()


def _record(kind: int, content: bytes) -> bytes:
    record = _number(kind) + content
    return _number(len(record)) + record


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


def _number(value: int, size: int = 1) -> bytes:
    """Write a number in `size` bytes at least."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < size:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _folded(value: bytes, size: int) -> bytes:
    """XOR the pieces of that size."""
    folded = bytearray(size)
    for number, byte in enumerate(value):
        folded[number % size] ^= byte
    return bytes(folded)


def _cipher(key: bytes, vector: bytes) -> Any:
    aes = library("Cryptodome.Cipher.AES")
    return aes.new(key, aes.MODE_CBC, vector)
