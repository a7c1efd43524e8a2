"""Writes RAR 5 archives of stored members, plain or encrypted (RAR 5.0 archive format, rarlab technote)."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from functools import cache

from Cryptodome.Cipher import AES

_SALT, _VECTOR = bytes(range(16)), bytes(range(16, 32))
_ROUNDS_LOG2 = 4
"""Few rounds, because tests try many passwords."""


def rar5(members: list[tuple[str, bytes]], password: str | None = None, *, hide_names: bool = False) -> bytes:
    """Return an archive; with a password members are encrypted, and with `hide_names` the headers too."""
    key = _derived(password, 0) if password is not None else None
    head = b"Rar!\x1a\x07\x01\x00"
    lock = bytes([_ROUNDS_LOG2]) + _SALT
    if password is not None and hide_names:
        head += _block(_number(4) + _number(0) + _number(0) + _number(1) + lock + _check(password))
    header_key = key if hide_names else None
    out = _block(_number(1) + _number(0) + _number(0), header_key)
    for name, content in members:
        raw, extra, data, crc = name.encode(), b"", content, struct.pack("<L", zlib.crc32(content))
        if password is not None and key is not None:
            record = _number(1) + _number(0) + _number(3) + lock + _VECTOR + _check(password)
            extra = _number(len(record)) + record
            data = AES.new(key, AES.MODE_CBC, _VECTOR).encrypt(_padded(content))
            crc = _folded(hmac.digest(_derived(password, 16), crc, "sha256"), 4)
        fields = _number(2) + _number(3 if extra else 2) + (_number(len(extra)) if extra else b"") + _number(len(data))
        fields += _number(4) + _number(len(content)) + _number(0o644) + crc + _number(0) + _number(1)
        out += _block(fields + _number(len(raw)) + raw + extra, header_key) + data
    return head + out + _block(_number(5) + _number(0) + _number(0), header_key)


def _block(fields: bytes, key: bytes | None = None) -> bytes:
    sized = _number(len(fields)) + fields
    header = struct.pack("<L", zlib.crc32(sized)) + sized
    return header if key is None else _VECTOR + AES.new(key, AES.MODE_CBC, _VECTOR).encrypt(_padded(header))


@cache
def _derived(password: str, further_rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), _SALT, (1 << _ROUNDS_LOG2) + further_rounds)


def _check(password: str) -> bytes:
    value = _folded(_derived(password, 32), 8)
    return value + hashlib.sha256(value).digest()[:4]


def _folded(value: bytes, size: int) -> bytes:
    folded = bytearray(size)
    for number, byte in enumerate(value):
        folded[number % size] ^= byte
    return bytes(folded)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 16) * 16, b"\0")


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
