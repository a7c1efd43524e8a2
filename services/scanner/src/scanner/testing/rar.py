"""Writes rar archives, plain or encrypted: of RAR 5 (rarlab technote) and of RAR 4."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from functools import cache
from typing import Protocol

from Cryptodome.Cipher import AES

_SALT, _VECTOR = bytes(range(16)), bytes(range(16, 32))
_OLD_SALT, _OLD_ROUNDS = bytes(range(8)), 1 << 18
_ROUNDS_LOG2 = 4
"""Few rounds, because tests try many passwords."""


class Rar(Protocol):
    """Makes an archive; with a password members are encrypted, and with `hide_names` the headers too."""

    def __call__(
        self, members: list[tuple[str, bytes]], password: str | None = None, *, hide_names: bool = False
    ) -> bytes: ...


def rar5(members: list[tuple[str, bytes]], password: str | None = None, *, hide_names: bool = False) -> bytes:
    """Return an archive; with a password members are encrypted, and with `hide_names` the headers too."""
    key = _derived(password, 0) if password is not None else None
    head = b"Rar!\x1a\x07\x01\x00"
    lock = bytes([_ROUNDS_LOG2]) + _SALT
    if password is not None and hide_names:
        head += _block(_number(4) + _number(0) + _number(0) + _number(1) + lock + _check(password))
    header_key = key if hide_names else None
    out = bytearray(head + _block(_number(1) + _number(0) + _number(0), header_key))
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
    return bytes(out + _block(_number(5) + _number(0) + _number(0), header_key))


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


def rar4(
    members: list[tuple[str, bytes]], password: str | None = None, *, hide_names: bool = False, packed: bool = False
) -> bytes:
    """Return an archive; `packed` ones hold a compressed stream of literals."""
    header_password = password if hide_names else None
    out = bytearray(b"Rar!\x1a\x07\0" + _old_block(0x73, 0x80 if header_password else 0, bytes(6)))
    for name, content in members:
        raw, flags, salt = name.encode(), 0x8000, b""
        data = _literals(content) if packed else content
        if password is not None:
            flags, salt, data = flags | 0x0404, _OLD_SALT, _old_encrypted(data, password)
        crc, method = zlib.crc32(content), 0x33 if packed else 0x30
        fields = struct.pack("<LLBLLBBHL", len(data), len(content), 3, crc, 0, 29, method, len(raw), 0o100644)
        out += _old_block(0x74, flags, fields + raw + salt, header_password) + data
    return bytes(out + _old_block(0x7B, 0x4000, b"", header_password))


def _old_block(kind: int, flags: int, fields: bytes, password: str | None = None) -> bytes:
    header = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
    header = struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header
    return header if password is None else _OLD_SALT + _old_encrypted(header, password)


def _old_encrypted(data: bytes, password: str) -> bytes:
    key, vector = _old_key(password)
    return AES.new(key, AES.MODE_CBC, vector).encrypt(_padded(data))


@cache
def _old_key(password: str) -> tuple[bytes, bytes]:
    digest, vector = hashlib.sha1(usedforsecurity=False), b""
    for number in range(_OLD_ROUNDS):
        digest.update(password.encode("utf-16-le") + _OLD_SALT + struct.pack("<L", number)[:3])
        if number % (_OLD_ROUNDS // 16) == 0:
            vector += digest.digest()[-1:]
    return b"".join(digest.digest()[start : start + 4][::-1] for start in range(0, 16, 4)), vector


def _literals(content: bytes) -> bytes:
    """Compress by Huffman codes alone: of 8 bits, of 9 for the last byte value and the end of the block."""
    lengths = [0] * 20
    for symbol in (8, 9, 18, 19):
        lengths[symbol] = 2
    bits = "00" + "".join(f"{length:04b}" for length in lengths)
    bits += "00" * 255 + "01" * 2  # 255 lengths of 8, two of 9, then no other codes: 138 and 9 zeros
    bits += "11" + f"{138 - 11:07b}" + "10" + f"{9 - 3:03b}"
    bits += "".join(f"{byte:08b}" if byte < 255 else f"{0x1FE:09b}" for byte in content)
    bits += f"{0x1FF:09b}"
    bits += "0" * (-len(bits) % 8 + 16)  # readers look ahead
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
