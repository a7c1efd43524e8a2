"""Pictures, sound, film and fonts: what stands behind their end, or begins in them as something else does.

What they show is for detectors. But programs that open archives find them behind a picture, and anything can be put
there. Formats that do not tell where they end are only searched for what cannot be there by chance.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from scanner.unpackers.base import CHUNK_BYTES, GapReason, Sink, read_chunks

_SLACK_BYTES = 16
"""What writers leave behind the end, or leave out of it."""
_PADDING = b"\0\xff\t\n\r "
_MAX_PARTS = 1_000_000
_ZIP, _ZIP_END, _ZIP_END_WITHIN = b"PK\x03\x04", b"PK\x05\x06", 66_000
_FIRST_BYTES = (
    b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0", b"MSCF\0\0\0\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"%PDF-1.", b"%PDF-2.", b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01",
    b"\x7fELF\x02\x02\x01",
)  # fmt: skip
_DOS_PROGRAM, _BEFORE_THAT = b"This program cannot be run in DOS mode", 0x4E
_LONGEST = len(_DOS_PROGRAM)


class _DamagedError(Exception):
    """It cannot be told where the file ends."""


class _Reader:
    """Reads what is there, and counts: the formats have parts of parts, and each part costs time."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = source.seek(0, 2)
        self.position = source.seek(0)
        self._parts = 0

    def seek(self, position: int) -> int:
        self._parts += 1
        if self.size < position <= self.size + _SLACK_BYTES:
            position = self.size
        if not 0 <= position <= self.size or self._parts > _MAX_PARTS:
            raise _DamagedError
        self.position = self._source.seek(position)
        return position

    def skip(self, size: int) -> int:
        return self.seek(self.position + size)

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise _DamagedError
        self.position += size
        return data

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.read(struct.calcsize(form)))

    def at(self, position: int, form: str) -> tuple[int, ...]:
        self.seek(position)
        return self.take(form)

    def peek(self, size: int) -> bytes:
        data = self._source.read(size)
        self._source.seek(self.position)
        return data

    def find(self, pattern: re.Pattern[bytes]) -> None:
        """Go to the next match of a pattern of two bytes."""
        last = b""
        while chunk := self._source.read(CHUNK_BYTES):
            match = pattern.search(last + chunk)
            if match is not None:
                self.seek(self.position - len(last) + match.start())
                return
            self.position += len(chunk)
            last = chunk[-1:]
        raise _DamagedError


def _png(reader: _Reader) -> int:
    reader.seek(8)
    while True:
        size, kind = reader.take(">LL")
        reader.skip(size + 4)
        if kind == 0x49454E44:  # IEND
            return reader.position


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG, _JPEG_END, _JPEG_SCAN, _JPEG_ALONE = b"\xff\xd8\xff", 0xD9, 0xDA, frozenset({0x01, *range(0xD0, 0xD9)})


def _jpeg(reader: _Reader) -> int:
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


def _gif(reader: _Reader) -> int:
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
            raise _DamagedError
        reader.skip(1)
        blocks()
    return reader.position


_UNPACKED = frozenset({0, 3, 6})


def _bmp(reader: _Reader) -> int:
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


def _riff(reader: _Reader) -> int | None:
    while reader.peek(4) == b"RIFF":
        (size,) = reader.take("<4xL")
        if size in {0, 0xFFFFFFFF}:  # written by a program that did not know
            return None
        reader.skip(size + size % 2)
    return reader.position


def _icon(reader: _Reader) -> int:
    (count,) = reader.at(4, "<H")
    return reader.seek(max(map(sum, [reader.take("<8xLL") for _ in range(count)]), default=0))


_BOX = re.compile(rb"[ -~\xa9]{4}")


def _boxes(reader: _Reader) -> int:
    while _BOX.fullmatch(reader.peek(8)[4:]):
        start = reader.position
        (size,) = reader.take(">L4x")
        if size == 1:
            (size,) = reader.take(">Q")
        if not size:
            return reader.size
        reader.seek(start + max(size, 8))
    return reader.position


# Bytes of a value by its type (TIFF 6.0 section 2, and the additions for more than 4 GiB).
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_NUMBERS = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_TIFF_DATA = {273: 279, 324: 325, 513: 514}
"""Where strips, tiles and thumbnails begin, and how long they are."""
_TIFF_DIRECTORIES = frozenset({330, 34665, 34853, 40965})


def _tiff(reader: _Reader) -> int:
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
            if kind in _TIFF_NUMBERS and amount <= _MAX_PARTS and tag in _TIFF_WANTED:
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


def _metafile(reader: _Reader) -> int:
    return reader.seek(reader.at(48, "<L")[0])


def _old_metafile(reader: _Reader) -> int:
    return reader.seek(22 + 2 * reader.at(22 + 6, "<L")[0])


def _ogg(reader: _Reader) -> int:
    while reader.peek(4) == b"OggS":
        (segments,) = reader.take("26xB")
        reader.skip(sum(reader.read(segments)))
    return reader.position


def _midi(reader: _Reader) -> int:
    while reader.peek(4) in {b"MThd", b"MTrk"}:
        reader.skip(reader.take(">4xL")[0])
    return reader.position


def _flash_video(reader: _Reader) -> int:
    reader.seek(reader.at(5, ">L")[0] + 4)
    while reader.peek(1) in {b"\x08", b"\x09", b"\x12"}:
        high, low = reader.take(">xBH")
        reader.skip((high << 16) + low + 7 + 4)
    return reader.position


_TOP_ELEMENTS = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\xec", b"\xbf")


def _matroska(reader: _Reader) -> int | None:
    while found := [element for element in _TOP_ELEMENTS if reader.peek(4).startswith(element)]:
        reader.skip(len(found[0]))
        first = reader.peek(1)[0] if reader.peek(1) else 0
        length = 9 - first.bit_length()
        size = int.from_bytes(reader.read(length), "big") & (1 << 7 * length) - 1
        if size == (1 << 7 * length) - 1:
            return None
        reader.skip(size)
    return reader.position


def _web_font(reader: _Reader) -> int:
    return reader.seek(reader.at(8, ">L")[0])


def _font(reader: _Reader) -> int:
    fonts: tuple[int, ...] = (0,)
    if reader.peek(4) == b"ttcf":
        (count,) = reader.at(8, ">L")
        fonts = reader.take(f">{min(count, 1000)}L")
    end = reader.position
    for font in fonts:
        (count,) = reader.at(font + 4, ">H")
        reader.skip(6)
        end = max(end, *map(sum, [reader.take(">8xLL") for _ in range(count)]), 0)
    return reader.seek(end)


_Ends = Callable[[_Reader], "int | None"]
_ENDS: tuple[tuple[str, re.Pattern[bytes], _Ends], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL), end)
    for name, pattern, end in (
        ("PNG", rb"\x89PNG\r\n\x1a\n", _png),
        ("JPEG", _JPEG, _jpeg),
        ("GIF", rb"GIF8[79]a", _gif),
        ("BMP", rb"BM", _bmp),
        ("TIFF", rb"II[*+]\x00|MM\x00[*+]", _tiff),
        ("RIFF", rb"RIFF", _riff),
        ("icon", rb"\x00\x00[\x01\x02]\x00", _icon),
        ("icon", rb"icns", lambda reader: reader.seek(reader.at(4, ">L")[0])),
        ("film", rb".{4}(?:ftyp|jP  |moov|mdat|free|skip|wide|pnot)", _boxes),
        ("metafile", rb"\x01\x00\x00\x00.{36} EMF", _metafile),
        ("metafile", rb"\xd7\xcd\xc6\x9a", _old_metafile),
        ("Ogg", rb"OggS", _ogg),
        ("MIDI", rb"MThd", _midi),
        ("film", rb"FLV\x01", _flash_video),
        ("film", rb"\x1a\x45\xdf\xa3", _matroska),
        ("font", rb"wOF[F2]", _web_font),
        ("font", rb"\x00\x01\x00\x00|OTTO|true|typ1|ttcf", _font),
    )
)


_SURE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}(?:AVI |WAVE|WEBP)|II\*\x00|MM\x00\*|.{4}ftyp|OggS|fLaC"
    rb"|\x1a\x45\xdf\xa3|wOF[F2]",
    re.DOTALL,
)


class MediaUnpacker:
    """Makes what does not belong to a picture, sound, film or font a child."""

    name = "media"
    labels = frozenset({
        "3gp", "bmp", "emf", "flac", "flv", "gif", "icns", "ico", "jp2", "jpeg", "midi", "mkv", "mp3", "mp4", "ogg",
        "otf", "png", "psd", "qt", "tiff", "ttf", "wav", "webm", "webp", "wmf", "woff", "woff2",
    })  # fmt: skip
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the first bytes are those of one of the formats that nothing else begins with."""
        return _SURE.match(head) is not None

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- it has no name inside
        """Store what begins inside as something else does, or else what follows the end."""
        reader = _Reader(source)
        head = reader.peek(64)
        what, end_of = next(((what, end) for what, first, end in _ENDS if first.match(head)), ("media", None))
        end: int | None = None
        try:
            end = end_of(reader) if end_of else None
        except (_DamagedError, struct.error):
            sink.gap(GapReason.ERROR, f"The {what} file is damaged or cut off; it cannot be told what belongs to it.")
        found = _first_inside(source, reader.size if end is None else end)
        if found is not None:
            _store(source, found, f"inside {what}", sink)
        elif end is not None and _is_more(source, end):
            _store(source, end, f"behind {what}", sink)


def _store(source: BinaryIO, start: int, origin: str, sink: Sink) -> None:
    source.seek(start)
    sink.store("hidden data", origin, read_chunks(source), (OSError,), "The file could not be read.")


def _is_more(source: BinaryIO, end: int) -> bool:
    """Whether something follows that is neither padding nor an archive which is opened anyway."""
    source.seek(end)
    first = source.read(_SLACK_BYTES + 1)
    if len(first) <= _SLACK_BYTES:
        return False
    size = source.seek(0, 2)
    source.seek(max(end, size - _ZIP_END_WITHIN))
    if first.startswith(_ZIP) and _ZIP_END in source.read():
        return False
    source.seek(end)
    return any(chunk.strip(_PADDING) for chunk in read_chunks(source))


def _first_inside(source: BinaryIO, end: int) -> int | None:
    """Return where the first thing begins that cannot be there by chance."""
    source.seek(0)
    before, position = b"", 0
    for chunk in read_chunks(source, end):
        data = before + chunk
        start = position - len(before)
        places = [place for first in _FIRST_BYTES if (place := data.find(first, 1 if start == 0 else 0)) >= 0]
        stub = data.find(_DOS_PROGRAM)
        if stub >= 0:
            places.append(max(stub - _BEFORE_THAT, 0))
        if places:
            return start + min(places)
        position += len(chunk)
        before = data[-max(_LONGEST + _BEFORE_THAT, 1) :]
    return None
