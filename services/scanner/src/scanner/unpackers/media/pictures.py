"""Where pictures end."""

from __future__ import annotations

import re

from scanner.unpackers.base import CHUNK_BYTES
from scanner.unpackers.media.reader import MAX_PARTS, DamagedError, Reader


def png_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    reader.seek(8)
    while True:
        size, kind = reader.take(">LL")
        reader.skip(size + 4)
        if kind == 0x49454E44:  # IEND
            return reader.position


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG, _JPEG_END, _JPEG_SCAN, _JPEG_ALONE = b"\xff\xd8\xff", 0xD9, 0xDA, frozenset({0x01, *range(0xD0, 0xD9)})


def jpeg_end(reader: Reader) -> int:
    """Return where it ends, the last where several follow one another. Raises DamagedError and struct.error."""
    end = 0
    while reader.peek(3) == _JPEG:
        reader.skip(2)
        while (code := reader.take("BB")[1]) != _JPEG_END:
            if code == 0xFF:  # filling
                reader.skip(-1)
            elif code not in _JPEG_ALONE:
                (size,) = reader.take(">H")
                reader.skip(size - 2)
            if code == _JPEG_SCAN:
                reader.find(_MARKER)
        end = reader.position
        padding = reader.peek(CHUNK_BYTES)
        reader.skip(len(padding) - len(padding.lstrip(b"\0")))  # of pictures of several views
    return end


def gif_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""

    def blocks() -> None:
        while size := reader.take("B")[0]:
            reader.skip(size)

    def palette(flags: int) -> None:
        if flags & 0x80:
            reader.skip(3 << (flags & 7) + 1)

    reader.seek(10)
    palette(reader.take("B2x")[0])
    while (kind := reader.take("B")[0]) != 0x3B:
        if kind == 0x2C:
            palette(reader.take("8xB")[0])
        elif kind != 0x21:
            raise DamagedError
        reader.skip(1)
        blocks()
    return reader.position


_UNPACKED = frozenset({0, 3, 6})


def bmp_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    start, header = reader.at(10, "<LL")
    if header == 12:
        width, height, bits = reader.take("<HH2xH")
        return reader.seek(start + (width * bits + 31) // 32 * 4 * height)
    width, height, bits, packing, size = reader.take("<ll2xHLL")
    end = start + ((width * bits + 31) // 32 * 4 * abs(height) if packing in _UNPACKED else size)
    if header >= 124:
        profile, profile_size = reader.at(14 + 112, "<LL")
        end = max(end, 14 + profile + profile_size if profile else 0)
    return reader.seek(end)


def icon_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    (count,) = reader.at(4, "<H")
    return reader.seek(max(map(sum, [reader.take("<8xLL") for _ in range(count)]), default=0))


# Bytes of a value by its type (TIFF 6.0 section 2, and the additions for more than 4 GiB).
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_NUMBERS = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_TIFF_DATA = {273: 279, 324: 325, 513: 514}
"""Where strips, tiles and thumbnails begin, and how long they are."""
_TIFF_DIRECTORIES = frozenset({330, 34665, 34853, 40965})


def tiff_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    order = "<" if reader.peek(2) == b"II" else ">"
    big = reader.at(2, f"{order}H")[0] == 43
    long, count_form, value_bytes = ("Q", "Q", 8) if big else ("L", "H", 4)
    waiting = list(reader.at(8 if big else 4, f"{order}{long}"))
    seen, end = set(waiting), reader.position
    while waiting:
        (count,) = reader.at(waiting.pop(), f"{order}{count_form}")
        numbers: dict[int, tuple[int, ...]] = {}
        for _ in range(count):
            tag, kind, amount = reader.take(f"{order}HH{long}")
            place, size = reader.position, _TIFF_BYTES.get(kind, 1) * amount
            after = reader.skip(value_bytes)
            if size > value_bytes:
                (place,) = reader.at(place, f"{order}{long}")
                end = max(end, place + size)
            if kind in _TIFF_NUMBERS and amount <= MAX_PARTS and tag in _TIFF_WANTED:
                numbers[tag] = reader.at(place, f"{order}{amount}{_TIFF_NUMBERS[kind]}")
            reader.seek(after)
        following = reader.take(f"{order}{long}")
        end = max(end, reader.position)
        for starts, sizes in _TIFF_DATA.items():
            end = max(end, *map(sum, zip(numbers.get(starts, ()), numbers.get(sizes, ()), strict=False)), 0)
        directories = [found for tag in _TIFF_DIRECTORIES for found in numbers.get(tag, ())]
        more = {found for found in (*following, *directories) if found} - seen
        waiting += more
        seen |= more
    return reader.seek(end)


_TIFF_WANTED = _TIFF_DIRECTORIES | set(_TIFF_DATA) | set(_TIFF_DATA.values())


def metafile_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    return reader.seek(reader.at(48, "<L")[0])


def old_metafile_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    return reader.seek(22 + 2 * reader.at(22 + 6, "<L")[0])
