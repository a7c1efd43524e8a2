"""Where sound and film end, and what else is written in RIFF or in boxes."""

from __future__ import annotations

import re

from scanner.unpackers.media.reader import Reader


def riff_end(reader: Reader) -> int | None:
    """Return where it ends, or None if it does not say. Raises DamagedError and struct.error."""
    while reader.peek(4) == b"RIFF":
        (size,) = reader.take("<4xL")
        if size in {0, 0xFFFFFFFF}:  # written by a program that did not know
            return None
        reader.skip(size + size % 2)
    return reader.position


_BOX = re.compile(rb"[ -~\xa9]{4}")


def boxes_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    while _BOX.fullmatch(reader.peek(8)[4:]):
        start = reader.position
        (size,) = reader.take(">L4x")
        if size == 1:
            (size,) = reader.take(">Q")
        if not size:
            return reader.size
        reader.seek(start + max(size, 8))
    return reader.position


def ogg_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    while reader.peek(4) == b"OggS":
        (segments,) = reader.take("26xB")
        reader.skip(sum(reader.read(segments)))
    return reader.position


def midi_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    while reader.peek(4) in {b"MThd", b"MTrk"}:
        reader.skip(reader.take(">4xL")[0])
    return reader.position


def flash_video_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    reader.seek(reader.at(5, ">L")[0] + 4)
    while reader.peek(1) in {b"\x08", b"\x09", b"\x12"}:
        high, low = reader.take(">xBH")
        reader.skip((high << 16) + low + 7 + 4)
    return reader.position


_TOP_ELEMENTS = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\xec", b"\xbf")


def matroska_end(reader: Reader) -> int | None:
    """Return where it ends, or None if it does not say. Raises DamagedError and struct.error."""
    while found := [element for element in _TOP_ELEMENTS if reader.peek(4).startswith(element)]:
        reader.skip(len(found[0]))
        first = reader.peek(1)[0] if reader.peek(1) else 0
        length = 9 - first.bit_length()
        size = int.from_bytes(reader.read(length), "big") & (1 << 7 * length) - 1
        if size == (1 << 7 * length) - 1:
            return None
        reader.skip(size)
    return reader.position
