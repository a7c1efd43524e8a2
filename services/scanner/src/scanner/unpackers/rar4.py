"""The encryption of RAR 3 and 4: AES-128 with a key of 262,144 rounds of SHA-1.

Source: the technical note that comes with RAR 4, which describes the headers; of encryption it says nothing, so that
is as free readers do it. No value in the archive checks a password: a member is unpacked with each until its CRC is
right. Older encryption is not read, nor are passwords of more than 28 characters, which RAR hashes in a way of its own.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libarchive import RAR, DamagedArchiveError, EncryptedArchiveError, LibarchiveReader
from scanner.unpackers.passwords import PasswordTrial
from scanner.unpackers.rar_copy import DecryptedCopy, copy_data
from scanner.unpackers.rar_headers import AES_BLOCK, DamagedHeaderError, cipher_of

_MAGIC = b"Rar!\x1a\x07\x00"
_MARK, _MAIN, _FILE, _END = 0x72, 0x73, 0x74, 0x7B
_HAS_DATA, _HEADERS_LOCKED = 0x8000, 0x0080
_SPLIT, _LOCKED, _SOLID, _LARGE, _HAS_SALT = 0x0003, 0x0004, 0x0010, 0x0100, 0x0400
_HEAD = struct.Struct("<HBHH")
_FIELDS = struct.Struct("<LLBLLBBHL")
_SIZES = struct.Struct("<LL")
_MAIN_FIELDS_BYTES = 6
_SALT_BYTES = 8
_STORED = 0x30
_FIRST_VERSION = 29
_ROUNDS_BETWEEN = 0x4000
_LONGEST_PASSWORD = 28
# A wrong password shows long before in what is unpacked.
_TRIED_BYTES = 64 * 1024 * 1024
_MAX_TRIED_IN_VAIN_BYTES = 2 * 1024 * 1024 * 1024
_NO_PASSWORD = "A member of the rar archive is encrypted and no password given fits."  # noqa: S105 -- a sentence


@dataclass(frozen=True, slots=True)
class _Block:
    kind: int
    flags: int
    body: bytes

    @property
    def data_size(self) -> int:
        """Bytes that follow the header. Raises struct.error."""
        if not self.flags & _HAS_DATA:
            return 0
        size: int = struct.unpack_from("<L", self.body)[0]
        if self.kind == _FILE and self.flags & _LARGE:
            size |= struct.unpack_from("<L", self.body, _FIELDS.size)[0] << 32
        return size

    def encoded(self) -> bytes:
        """Return the header as it is written."""
        header = _HEAD.pack(0, self.kind, self.flags, _HEAD.size + len(self.body)) + self.body
        return struct.pack("<H", zlib.crc32(header[2:]) & 0xFFFF) + header[2:]


class _Member:
    """A file's header. Raises struct.error."""

    def __init__(self, block: _Block) -> None:
        self._block = block
        self._fields = list(_FIELDS.unpack_from(block.body))
        self.flags = block.flags
        self.locked = bool(block.flags & _LOCKED)
        self.packed_size = block.data_size
        self.size: int = self._fields[1]
        self._place = _FIELDS.size
        if block.flags & _LARGE:
            self.size |= _SIZES.unpack_from(block.body, self._place)[1] << 32
            self._place += _SIZES.size
        self._place += self._fields[7]
        self.salt = block.body[self._place :][:_SALT_BYTES] if block.flags & _HAS_SALT else b""
        self.crc: int = self._fields[3]
        self.readable = self._fields[5] >= _FIRST_VERSION
        self.stored = self._fields[6] == _STORED

    @property
    def alone(self) -> bool:
        """Whether it can be unpacked without the members before it."""
        return self.stored or not self.flags & _SOLID

    @property
    def kept_size(self) -> int:
        """Bytes without the padding of the last AES block; packed data say themselves where they end."""
        if not self.locked:
            return self.packed_size
        return min(self.size, self.packed_size) if self.stored or self.size == 0 else self.packed_size

    def unlocked(self) -> bytes:
        """Return the header without encryption."""
        body = bytearray(self._block.body)
        struct.pack_into("<L", body, 0, self.kept_size & 0xFFFFFFFF)
        if self.flags & _LARGE:
            struct.pack_into("<L", body, _FIELDS.size, self.kept_size >> 32)
        del body[self._place : self._place + len(self.salt)]
        return _Block(_FILE, self.flags & ~(_LOCKED | _HAS_SALT), bytes(body)).encoded()


class OldDecryption:
    """Copies an archive block by block, decrypting headers and data."""

    def __init__(self, source: BinaryIO, sink: Sink, copy: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._result = DecryptedCopy(copy)
        self._passwords = PasswordTrial(sink.passwords)
        self._fitting: str | None = None
        self._hidden = False
        self._locked = False
        self._closed = False
        self._members = 0
        self._tried_in_vain_bytes = 0

    def run(self) -> DecryptedCopy | None:
        """Return the decrypted archive; None if nothing in it is encrypted.

        Raises DamagedHeaderError, struct.error.
        """
        self._source.seek(0)
        if self._source.read(len(_MAGIC)) != _MAGIC:
            return None
        self._result.copy.write(_MAGIC)
        block = self._read_block()
        while block is not None and self._copy(block) and self._members <= self._sink.room:
            block = self._read_block()
        if not self._locked:
            return None
        if self._members <= self._sink.room and self._result.end is None and not self._closed:
            self._sink.gap(GapReason.ERROR, "The rar archive is damaged or cut off.")
        return self._result

    def _read_block(self) -> _Block | None:
        """Return the next header; None at the end of the file."""
        cipher = None
        if self._hidden:
            salt = self._source.read(_SALT_BYTES)
            if not salt:
                return None
            cipher = _cipher(self._fitting or "", salt)
        start = self._source.read(AES_BLOCK if cipher else _HEAD.size)
        if not start:
            return None
        start = _decrypted(start, cipher)
        checksum, kind, flags, size = _HEAD.unpack_from(start)
        missing = size - len(start)
        if cipher:
            missing = -(-missing // AES_BLOCK) * AES_BLOCK
        header = start + (_decrypted(self._source.read(missing), cipher) if missing > 0 else b"")
        if not _HEAD.size <= size <= len(header) or zlib.crc32(header[2:size]) & 0xFFFF != checksum:
            raise DamagedHeaderError
        return _Block(kind, flags, header[_HEAD.size : size])

    def _copy(self, block: _Block) -> bool:
        """Copy one block; False after the last, and where nothing further can be read."""
        if block.kind == _MAIN:
            flags = block.flags & ~_HEADERS_LOCKED
            self._result.copy.write(_Block(_MAIN, flags, block.body[:_MAIN_FIELDS_BYTES]).encoded())
            return not block.flags & _HEADERS_LOCKED or self._open_headers()
        if block.kind == _FILE:
            self._copy_file(_Member(block))
        else:
            self._source.seek(block.data_size, 1)  # comments and recovery data are not needed
        if block.kind == _END:
            self._result.copy.write(_Block(_END, block.flags, block.body).encoded())
            self._result.end = self._source.tell()
        return block.kind != _END

    def _open_headers(self) -> bool:
        self._locked = self._hidden = True
        place = self._source.tell()
        for password in self._candidates():
            self._fitting = password
            self._source.seek(place)
            try:
                block = self._read_block()
            except (DamagedHeaderError, struct.error):
                continue
            if block is not None and _MARK <= block.kind <= _END:
                self._passwords.fitted(password)
                self._source.seek(place)
                return True
        self._sink.gap(GapReason.ENCRYPTED, "The rar archive is encrypted and no password given fits.")
        self._result.copy.write(_Block(_END, 0, b"").encoded())
        self._closed = True
        return False

    def _copy_file(self, member: _Member) -> None:
        self._members += 1
        self._locked = self._locked or member.locked
        if not member.locked or member.size == 0:
            self._write(self._result.copy, member, None)
            return
        place = self._source.tell()
        password = self._password(member, place)
        self._source.seek(place)
        if password is None:
            self._source.seek(member.packed_size, 1)
        else:
            self._write(self._result.copy, member, password)

    def _password(self, member: _Member, place: int) -> str | None:
        """Return the password of a member, or say why there is none."""
        if member.flags & _SPLIT:
            self._sink.gap(GapReason.ERROR, "A member of the rar archive has parts in other archives.")
            return None
        if not member.readable:
            self._sink.gap(GapReason.ENCRYPTED, _NO_PASSWORD)
            return None
        if not member.alone and self._fitting is not None:
            return self._fitting
        for password in self._candidates():
            self._source.seek(place)
            if self._opens(member, password):
                self._passwords.fitted(password)
                self._fitting = password
                return password
            self._tried_in_vain_bytes += member.packed_size
            if self._tried_in_vain_bytes > _MAX_TRIED_IN_VAIN_BYTES:
                detail = "The encrypted members of the rar archive are too large to try all passwords on them."
                self._sink.gap(GapReason.LIMIT_REACHED, detail)
                break
        self._passwords.failed()
        self._sink.gap(GapReason.ENCRYPTED, _NO_PASSWORD)
        return None

    def _candidates(self) -> tuple[str, ...]:
        return tuple(one for one in self._passwords.candidates() if len(one) <= _LONGEST_PASSWORD)

    def _opens(self, member: _Member, password: str) -> bool:
        """Whether the member, in an archive of its own, has the right CRC."""
        with tempfile.TemporaryFile(dir=".") as trial:
            trial.write(_MAGIC + _Block(_MAIN, 0, bytes(_MAIN_FIELDS_BYTES)).encoded())
            self._write(trial, member, password)
            trial.seek(0)
            reader = LibarchiveReader(trial, RAR.name, RAR.readers, RAR.filter)
            try:
                # libarchive compares the CRC, too, but not of stored members.
                return reader.checksum(None if member.stored else _TRIED_BYTES) in {member.crc, None}
            except (DamagedArchiveError, EncryptedArchiveError):
                return False
            finally:
                reader.close()

    def _write(self, copy: IO[bytes], member: _Member, password: str | None) -> None:
        cipher = None if password is None else _cipher(password, member.salt)
        copy.write(member.unlocked())
        copy_data(self._source, copy, member.packed_size, member.kept_size, cipher)


def _decrypted(data: bytes, cipher: Any) -> bytes:
    if cipher is None:
        return data
    if len(data) % AES_BLOCK:
        raise DamagedHeaderError
    return bytes(cipher.decrypt(data))


def _cipher(password: str, salt: bytes) -> Any:
    return cipher_of(*_derived(password, salt))


@lru_cache(maxsize=64)
def _derived(password: str, salt: bytes) -> tuple[bytes, bytes]:
    """Return key and initialization vector, of 16 bytes each."""
    seed = password.encode("utf-16-le", "replace") + salt
    size = len(seed) + 3
    digest, vector = hashlib.sha1(usedforsecurity=False), bytearray()
    # Seed and number of the round, 16,384 at a time: one update is much faster than one for each.
    rounds = bytearray((seed + bytes(3)) * _ROUNDS_BETWEEN)
    rounds[size - 3 :: size] = bytes(range(256)) * (_ROUNDS_BETWEEN // 256)
    for number in range(AES_BLOCK):
        high = number * _ROUNDS_BETWEEN >> 8
        rounds[size - 2 :: size] = b"".join(bytes([high + step & 0xFF]) * 256 for step in range(_ROUNDS_BETWEEN // 256))
        rounds[size - 1 :: size] = bytes([high >> 8]) * _ROUNDS_BETWEEN
        digest.update(rounds[:size])
        vector.append(digest.digest()[19])
        digest.update(memoryview(rounds)[size:])
    key = struct.unpack(">4L", digest.digest()[:16])
    return struct.pack("<4L", *key), bytes(vector)
