"""Pictures, sound, film, fonts, translations: what stands behind their end, or begins in them as something else does.

What they show is for detectors. But programs that open archives find them behind a picture, and anything can be put
there. Formats that do not tell where they end are only searched for what cannot be there by chance.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.media.pictures import (
    bmp_end,
    gif_end,
    icon_end,
    jpeg_end,
    metafile_end,
    old_metafile_end,
    png_end,
    tiff_end,
)
from scanner.unpackers.media.reader import SLACK_BYTES, DamagedError, Reader
from scanner.unpackers.media.sound_and_film import boxes_end, flash_video_end, matroska_end, midi_end, ogg_end, riff_end
from scanner.unpackers.media.tables import font_end, translation_end, web_font_end
from scanner.unpackers.rest import store_from

_PADDING = b"\0\xff\t\n\r "
_ZIP, _ZIP_END, _ZIP_END_WITHIN = b"PK\x03\x04", b"PK\x05\x06", 66_000
_MAGICS = (
    b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0", b"MSCF\0\0\0\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"%PDF-1.", b"%PDF-2.", b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01",
    b"\x7fELF\x02\x02\x01",
)  # fmt: skip
_FIRST_BYTES = 64
_DOS_PROGRAM, _BEFORE_THAT = b"This program cannot be run in DOS mode", 0x4E
_LONGEST = len(_DOS_PROGRAM)


_End = Callable[[Reader], "int | None"]


class _Format(NamedTuple):
    name: str
    first: re.Pattern[bytes]
    end: _End | None = None


def _formats(*known: tuple[str, bytes, _End]) -> tuple[_Format, ...]:
    return tuple(_Format(name, re.compile(first, re.DOTALL), end) for name, first, end in known)


# Nothing else begins as the first ones do.
_SURE = (
    *_formats(
        ("PNG", rb"\x89PNG\r\n\x1a\n", png_end),
        ("JPEG", rb"\xff\xd8\xff", jpeg_end),
        ("GIF", rb"GIF8[79]a", gif_end),
        ("TIFF", rb"II\*\x00|MM\x00\*", tiff_end),
        ("RIFF", rb"RIFF.{4}(?:AVI |WAVE|WEBP)", riff_end),
        ("film", rb".{4}ftyp", boxes_end),
        ("film", rb"\x1a\x45\xdf\xa3", matroska_end),
        ("Ogg", rb"OggS", ogg_end),
        ("font", rb"wOF[F2]", web_font_end),
    ),
    _Format("media", re.compile(b"fLaC")),
)
_OTHERS = _formats(
    ("BMP", rb"BM", bmp_end),
    ("TIFF", rb"II\+\x00|MM\x00\+", tiff_end),
    ("RIFF", rb"RIFF", riff_end),
    ("icon", rb"\x00\x00[\x01\x02]\x00", icon_end),
    ("icon", rb"icns", lambda reader: reader.seek(reader.at(4, ">L")[0])),
    ("film", rb".{4}(?:jP  |moov|mdat|free|skip|wide|pnot)", boxes_end),
    ("film", rb"FLV\x01", flash_video_end),
    ("metafile", rb"\x01\x00\x00\x00.{36} EMF", metafile_end),
    ("metafile", rb"\xd7\xcd\xc6\x9a", old_metafile_end),
    ("MIDI", rb"MThd", midi_end),
    ("translation", rb"\xde\x12\x04\x95|\x95\x04\x12\xde", translation_end),
    ("font", rb"\x00\x01\x00\x00|OTTO|true|typ1|ttcf", font_end),
)
_ANY = _Format("media", re.compile(b""))


class MediaUnpacker:
    """Makes what does not belong to a file that is passive by itself a child."""

    name = "media"
    labels = frozenset({
        "3gp", "bmp", "emf", "flac", "flv", "gif", "icns", "ico", "jp2", "jpeg", "midi", "mkv", "mo", "mp3", "mp4",
        "ogg", "otf", "png", "psd", "qt", "tiff", "ttf", "wav", "webm", "webp", "wmf", "woff", "woff2",
    })  # fmt: skip
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- the head tells
        """Whether the first bytes are those of one of the formats that nothing else begins with."""
        return any(known.first.match(head) for known in _SURE)

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- it has no name inside
        """Store what begins inside as something else does, or else what follows the end."""
        reader = Reader(source)
        head = reader.peek(_FIRST_BYTES)
        what, _, end_of = next(known for known in (*_SURE, *_OTHERS, _ANY) if known.first.match(head))
        end: int | None = None
        try:
            end = end_of(reader) if end_of else None
        except (DamagedError, struct.error):
            sink.gap(GapReason.ERROR, f"The {what} file is damaged or cut off; it cannot be told what belongs to it.")
        found = _first_inside(source, reader.size if end is None else end)
        if found is not None:
            store_from(source, found, "hidden data", f"inside {what}", sink)
        elif end is not None and _is_more(source, end):
            store_from(source, end, "trailing data", f"after {what}", sink)


def _is_more(source: BinaryIO, end: int) -> bool:
    """Whether something follows that is neither padding nor an archive which is opened anyway."""
    source.seek(end)
    first = source.read(SLACK_BYTES + 1)
    if len(first) <= SLACK_BYTES:
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
        places = [place for first in _MAGICS if (place := data.find(first, 1 if start == 0 else 0)) >= 0]
        stub = data.find(_DOS_PROGRAM)
        if stub >= 0:
            places.append(max(stub - _BEFORE_THAT, 0))
        if places:
            return start + min(places)
        position += len(chunk)
        before = data[-(_LONGEST + _BEFORE_THAT) :]
    return None
