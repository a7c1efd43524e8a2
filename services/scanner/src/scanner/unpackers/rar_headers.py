"""Headers of RAR 5 archives: their numbers, their records, and how they say that something is encrypted.

Source: RAR 5.0 archive format (rarlab technote).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scanner.unpackers.libraries import library

HAS_EXTRA, HAS_DATA = 1, 2
ENCRYPTION_RECORD, HASH_RECORD = 1, 2
AES_BLOCK = 16
CHECKSUM_ROUNDS = 16
_CHECK_ROUNDS = 32
_HAS_TIME, _HAS_CRC = 2, 4
_HAS_CHECK, _CHECKSUMS_ARE_KEYED = 1, 2
# The default is 2^15; each password costs that many rounds.
_MOST_ROUNDS_LOG2 = 20


class DamagedHeaderError(Exception):
    """The headers do not hold together."""


@dataclass(frozen=True, slots=True)
class Lock:
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
        return folded(self.derived(password, _CHECK_ROUNDS), len(self.check)) == self.check


@lru_cache(maxsize=64)
def _derived(password: str, salt: bytes, rounds: int) -> bytes:
    """Members of one archive mostly share the salt, and each derivation is meant to be slow."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


class Fields:
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


class Member:
    """The fields of a file header that matter here."""

    def __init__(self, body: bytes) -> None:
        fields = Fields(body)
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
        return number_of(self._flags & ~_HAS_CRC) + body[self._after_flags : self._crc_at] + body[self._crc_at + 4 :]


def lock_of(fields: Fields, flags: int, *, with_vector: bool) -> Lock:
    """Read how something is encrypted. Raises IndexError."""
    rounds_log2, salt = fields.take(1)[0], fields.take(16)
    vector = fields.take(AES_BLOCK) if with_vector else b""
    check = fields.take(12)[:8] if flags & _HAS_CHECK else None
    return Lock(rounds_log2, salt, check, vector, with_vector and bool(flags & _CHECKSUMS_ARE_KEYED))


def records_of(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each record. Raises IndexError."""
    fields = Fields(extra)
    while fields.position < len(extra):
        record = Fields(fields.take(fields.number()))
        yield record.number(), record.rest()


def record_of(kind: int, content: bytes) -> bytes:
    """Return a record as it is written."""
    record = number_of(kind) + content
    return number_of(len(record)) + record


def number_of(value: int, size: int = 1) -> bytes:
    """Write a number in `size` bytes at least."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < size:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def folded(value: bytes, size: int) -> bytes:
    """XOR the pieces of that size."""
    folded = bytearray(size)
    for number, byte in enumerate(value):
        folded[number % size] ^= byte
    return bytes(folded)


def cipher_of(key: bytes, vector: bytes) -> Any:
    """Return AES in CBC mode with that key."""
    aes = library("Cryptodome.Cipher.AES")
    return aes.new(key, aes.MODE_CBC, vector)
