"""Archives that hold nothing but themselves, byte for byte, so that they can be unpacked for ever.

The deflate stream is a program of two commands of five bytes: write the next bytes (a stored block), write the last
bytes once more (a block of fixed Huffman codes, RFC 1951). What it writes is header, program and trailer. The
construction is Russ Cox's ("Zip Files All The Way Down", 2010). The CRC-32 of the file, which stands in the file, is
linear in its bits, so that equations over GF(2) give it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

_COMMAND_BYTES = 5
_END_OF_STREAM = b"\x01\0\0\xff\xff"
_CRC_BITS = 32


def zip_quine() -> bytes:
    """Return a zip archive the single member of which is the archive."""
    name, padding = b"again.zip", struct.pack("<HH", 0xCAFE, 24) + bytes(24)

    def ends(crc: int, size: int, packed: int, seed: int) -> tuple[bytes, bytes]:
        fields = struct.pack("<HHHHHLLL", 20, 0, 8, seed, 0x21, crc, packed, size)
        local = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), len(padding)) + name + padding
        entry = b"PK\x01\x02\x14\0" + fields + struct.pack("<HHHHHLL", len(name), 0, 0, 0, 0, 0, 0) + name
        end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local) + packed, 1) + b"\xff"
        return local, entry + end

    return _quine(ends)


def gzip_quine() -> bytes:
    """Return a gzip file the content of which is the file."""

    def ends(crc: int, size: int, packed: int, seed: int) -> tuple[bytes, bytes]:  # noqa: ARG001 -- told nowhere
        header = (
            b"\x1f\x8b\x08\x04" + struct.pack("<LBBH", seed, 0, 255, 60) + b"qu" + struct.pack("<H", 56) + bytes(56)
        )
        return header, struct.pack("<LL", crc, size)

    return _quine(ends)


def _quine(ends: Callable[[int, int, int, int], tuple[bytes, bytes]]) -> bytes:
    """Return the file for a format, given what it writes around the packed data for CRC, sizes and any number."""
    for seed in range(1, 1000):  # not every system of equations has a solution

        def whole(crc: int, seed: int = seed) -> bytes:
            header, trailer = ends(0, 0, 0, 0)
            packed = len(_program(header, trailer)) - len(header) - len(trailer)
            size = len(header) + packed + len(trailer)
            return _program(*ends(crc, size, packed, seed))

        crc = _fixed_point(lambda crc: zlib.crc32(whole(crc)))
        if crc is not None:
            return whole(crc)
    raise AssertionError


def _program(header: bytes, trailer: bytes) -> bytes:
    """Return the file; each line of commands stands beside what it writes."""
    rest = _END_OF_STREAM + trailer
    start, end = len(header) + _COMMAND_BYTES, _COMMAND_BYTES + len(rest)
    w0, w1, w4, r4 = _write(0), _write(_COMMAND_BYTES), _write(4 * _COMMAND_BYTES), _repeat(4 * _COMMAND_BYTES)
    w_start, r_start, w_end, r_end = _write(start), _repeat(start), _write(end), _repeat(end)
    return b"".join([
        header,
        w_start, header, w_start,  # header, w_start
        r_start,  # header, w_start
        w1, r_start,  # r_start
        w1, w1,  # w1
        w4, r_start, w1, w1, w4,  # r_start, w1, w1, w4
        r4,  # r_start, w1, w1, w4
        w4, r4, w4, r4, w4,  # r4, w4, r4, w4
        r4,  # r4, w4, r4, w4
        w4, r4, w0, w0, w_end,  # r4, w0, w0, w_end
        r4,  # r4, w0, w0, w_end
        w0, w0,  # nothing
        w_end, r_end, rest,  # r_end, rest
        r_end,  # r_end, rest
        rest,
    ])  # fmt: skip


def _write(size: int) -> bytes:
    return struct.pack("<BHH", 0, size, size ^ 0xFFFF)


def _repeat(size: int) -> bytes:
    """Return 40 bits that write the last `size` bytes again; of more than 20 the last one is 255."""
    bits = _Bits()
    bits.number(0b010, 3)
    if size <= 4 * _COMMAND_BYTES:
        bits.match(size // 2, size)
        bits.match(size // 2, size)
    else:
        bits.match(size - 1, size)
        bits.code(0b111111111, 9)
    bits.code(0, 7)
    assert bits.count == 8 * _COMMAND_BYTES
    return bits.value.to_bytes(_COMMAND_BYTES, "little")


class _Bits:
    """Bits in the order of RFC 1951, 3.1.1."""

    def __init__(self) -> None:
        self.value = 0
        self.count = 0

    def number(self, value: int, size: int) -> None:
        self.value |= value << self.count
        self.count += size

    def code(self, value: int, size: int) -> None:
        """Huffman codes begin with their highest bit."""
        for place in reversed(range(size)):
            self.number(value >> place & 1, 1)

    def match(self, length: int, distance: int) -> None:
        """Lengths 3 to 114 and distances from 5 as in 3.2.5 and 3.2.6."""
        length, distance = length - 3, distance - 1
        extra = max(0, length.bit_length() - 3)
        self.code(1 + 4 * extra + (length >> extra), 7)
        self.number(length & (1 << extra) - 1, extra)
        extra = distance.bit_length() - 2
        self.code(2 * extra + (distance >> extra), 5)
        self.number(distance & (1 << extra) - 1, extra)


def _fixed_point(crc_of: Callable[[int], int]) -> int | None:
    """Return a CRC that is the file's own once it stands in it; None if there is none."""
    zero = crc_of(0)
    rows: list[tuple[int, int]] = []
    # (A + I) x = zero, column by column: each row keeps the difference it makes and the bits that make it.
    for bit in range(_CRC_BITS):
        row = _reduced((crc_of(1 << bit) ^ zero ^ 1 << bit, 1 << bit), rows)
        if row[0]:
            rows.append(row)
    left, solution = _reduced((zero, 0), rows)
    return None if left else solution


def _reduced(row: tuple[int, int], rows: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the row without the leading bits of the others."""
    value, bits = row
    for other, other_bits in rows:
        if value >> other.bit_length() - 1 & 1:
            value, bits = value ^ other, bits ^ other_bits
    return value, bits
