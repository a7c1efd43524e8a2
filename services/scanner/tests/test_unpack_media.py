"""Pictures, sound, film, fonts and translations with something behind their end or inside: it comes out."""

from __future__ import annotations

import gzip
import io
import random
import struct
from pathlib import Path

import pytest
from PIL import Image

from scanner.sandbox.answers import ANSWERS, ChildFound, GapFound
from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.unpackers.base import Sink
from scanner.unpackers.media import MediaUnpacker
from shared.scan import CoverageReason, Verdict

LIMITS = JobLimits(artifacts=10, unpacked_bytes=1 << 24, member_bytes=1 << 24, ratio=100, cpu_seconds=10)
RANDOM = random.Random(5)
PICTURE = Image.frombytes("RGB", (40, 30), RANDOM.randbytes(40 * 30 * 3))
HIDDEN = RANDOM.randbytes(500)


def picture(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    PICTURE.save(out, form, **options)
    return out.getvalue()


def chunked(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"".join(kind + struct.pack(">L", len(data)) + data for kind, data in chunks)


def boxes(*kinds: bytes) -> bytes:
    return b"".join(struct.pack(">L", 108) + kind + RANDOM.randbytes(100) for kind in kinds)


def profiled_bmp() -> bytes:
    pixels, profile = bytes(4 * 9), RANDOM.randbytes(50)
    header = struct.pack("<LllHHLLllLL", 124, 3, 3, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(72)
    header += struct.pack("<LLL", 124 + len(pixels), len(profile), 0)
    return b"BM" + struct.pack("<LLL", 0, 0, 14 + 124) + header + pixels + profile


WAVE = b"WAVEfmt " + struct.pack("<LHHLLHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<L", 200) + bytes(200)
PAGE = b"OggS" + bytes(22) + b"\x02\x64\x0a" + RANDOM.randbytes(110)
TAG = b"\x09\0\0\x64" + bytes(7) + RANDOM.randbytes(100) + struct.pack(">L", 111)
FONT = struct.pack(">LHHHH4sLLL", 0x10000, 1, 16, 0, 0, b"glyf", 0, 28, 100) + RANDOM.randbytes(100)
MEDIA = {
    "PNG": picture("PNG"),
    "JPEG": picture("JPEG"),
    "progressive JPEG": picture("JPEG", progressive=True),
    "JPEG of two views": picture("JPEG") + bytes(100) + picture("JPEG"),
    "GIF": picture("GIF"),
    "moving GIF": picture("GIF", save_all=True, append_images=[PICTURE.rotate(90)]),
    "BMP": picture("BMP"),
    "BMP with a profile": profiled_bmp(),
    "old BMP": b"BM" + struct.pack("<LLLLHHHH", 0, 0, 26, 12, 3, 3, 1, 24) + bytes(36),
    "TIFF": picture("TIFF"),
    "TIFF of strips": picture("TIFF", compression="tiff_lzw"),
    "large TIFF": picture("TIFF", big_tiff=True),
    "WebP": picture("WEBP"),
    "icon": picture("ICO"),
    "Apple icon": picture("ICNS"),
    "JPEG 2000": boxes(b"jP  ", b"ftyp", b"jp2c"),
    "wave": b"RIFF" + struct.pack("<L", len(WAVE)) + WAVE,
    "film": boxes(b"ftyp", b"moov") + struct.pack(">L4sQ", 1, b"mdat", 116) + RANDOM.randbytes(100),
    "Ogg": PAGE * 3,
    "MIDI": chunked((b"MThd", bytes(6)), (b"MTrk", RANDOM.randbytes(100))),
    "Flash film": b"FLV\1\5\0\0\0\x09" + bytes(4) + TAG * 2,
    "Matroska": b"\x1a\x45\xdf\xa3\x84webm\x18\x53\x80\x67\x01\0\0\0\0\0\0\x64" + RANDOM.randbytes(100),
    "metafile": b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(4) + struct.pack("<L", 152) + RANDOM.randbytes(100),
    "old metafile": b"\xd7\xcd\xc6\x9a" + bytes(18) + struct.pack("<HHHL", 1, 9, 0x300, 59) + RANDOM.randbytes(108),
    "translation": struct.pack("<7L", 0x950412DE, 0, 1, 28, 36, 0, 44)
    + struct.pack("<4L", 1, 44, 90, 46)
    + b"a\0"
    + b"x" * 90
    + b"\0",
    "font": FONT,
    "fonts": struct.pack(">4sLLL", b"ttcf", 0x10000, 1, 16) + FONT[:20] + struct.pack(">LL", 44, 100) + FONT[28:],
    "web font": b"wOF2OTTO" + struct.pack(">L", 112) + RANDOM.randbytes(100),
}


def unpacked(content: bytes) -> tuple[list[tuple[str, bytes]], list[CoverageReason]]:
    """Return origin and bytes of what came out, and what could not be looked at."""
    sent: list[bytes] = []
    spool = io.BytesIO()
    sink = Sink(spool, LIMITS, len(content), sent.append)
    MediaUnpacker().unpack(io.BytesIO(content), "x", sink)
    sink.finish()
    answers = [ANSWERS.validate_json(line) for line in b"".join(sent).splitlines()]
    children = [answer for answer in answers if isinstance(answer, ChildFound)]
    found = [(child.origin, spool.getvalue()[child.start : child.start + child.size]) for child in children]
    return found, [answer.gap.reason for answer in answers if isinstance(answer, GapFound)]


@pytest.mark.parametrize("kind", MEDIA)
def test_what_is_all_of_a_file_leaves_nothing(kind: str) -> None:
    for padding in (b"", b"\0", b"\n", bytes(5000)):
        assert unpacked(MEDIA[kind] + padding) == ([], [])


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<7L", 0x950412DE, 0, 0, 28, 28, 0, 28),
        struct.pack("<12L", 0x950412DE, 1, 0, 28, 28, 0, 28, 0, 48, 0, 48, 48),
        struct.pack(">LHHHH", 0x10000, 0, 0, 0, 0),
        struct.pack(">4sLL", b"ttcf", 0x10000, 0),
        b"\0\0\1\0\0\0",
        b"II*\0\x08\0\0\0" + bytes(6),
    ],
)
def test_files_of_nothing_are_whole(content: bytes) -> None:
    assert unpacked(content) == ([], [])


@pytest.mark.parametrize("kind", MEDIA)
def test_what_stands_behind_the_end_comes_out(kind: str) -> None:
    ((origin, content),), reasons = unpacked(MEDIA[kind] + HIDDEN)

    assert origin.startswith("after ")
    assert content == HIDDEN
    assert reasons == []


@pytest.mark.parametrize("kind", MEDIA.keys() - {"JPEG 2000"})
def test_a_cut_file_is_said(kind: str) -> None:
    found, reasons = unpacked(MEDIA[kind][:-40])

    assert (found, reasons) == ([], [CoverageReason.ERROR])


HIDEABLE = {
    "rar": b"Rar!\x1a\x07\x01\0",
    "7z": b"7z\xbc\xaf\x27\x1c\0\4",
    "program": b"\x7fELF\x02\x01\x01\0",
    "PDF": b"%PDF-1.7\n",
    "DOS program": b"MZ" + bytes(0x4C) + b"This program " + b"cannot be run in DOS mode",
}


@pytest.mark.parametrize("kind", HIDEABLE)
@pytest.mark.parametrize("before", [100, 65_530, 65_536])
def test_what_begins_inside_as_something_else_comes_out(kind: str, before: int) -> None:
    hidden = HIDEABLE[kind] + HIDDEN
    wave = bytes(before) + hidden
    content = b"RIFF" + struct.pack("<L", len(wave) + 4) + b"WAVE" + wave

    assert unpacked(content) == ([("inside RIFF", hidden)], [])


@pytest.mark.parametrize("first", [b"ID3\4", b"fLaC", b"8BPS\0\1", b"RIFF\xff\xff\xff\xffWAVE"])
def test_formats_that_do_not_tell_their_end_are_searched(first: bytes) -> None:
    assert unpacked(first + RANDOM.randbytes(500)) == ([], [])
    assert unpacked(first + bytes(500) + HIDEABLE["rar"]) == (
        [("inside " + ("RIFF" if b"RIFF" in first else "media"), HIDEABLE["rar"])],
        [],
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0AAAA\0\0\0\0" * 200_000,
        b"\xff\xd8\xff" + b"\xff" * 2_000_000,
        b"II*\0\x08\0\0\0" + struct.pack("<HHHLLL", 1, 330, 4, 1, 8, 8),
        b"II*\0\x08\0\0\0" + struct.pack("<HHHLLL", 1, 273, 4, 0xFFFFFFFF, 8, 0),
        b"GIF89a" + bytes(7) + b"\x21\xf9" + b"\1\0" * 1_000_000,
        b"ttcf" + b"\xff" * 400_000,
        b"OggS" * 100_000,
    ],
)
def test_hostile_files_end(content: bytes) -> None:
    unpacked(content)


async def test_a_program_behind_a_picture_is_not_clean(scan: Scan) -> None:
    large = io.BytesIO()
    PICTURE.resize((300, 200)).save(large, "PNG")
    document = await scan("x.png", large.getvalue() + Path("/bin/true").read_bytes())

    assert [artifact.origin for artifact in document.artifacts[1:]] == ["after PNG"]
    assert document.verdict is Verdict.UNKNOWN


async def test_an_archive_behind_a_picture_is_opened(scan: Scan, eicar: bytes, archives: Archives) -> None:
    for packed in (gzip.compress(eicar), archives.zip({"eicar.com": eicar})):
        document = await scan("x.jpg", MEDIA["JPEG"] + packed)

        assert document.verdict is Verdict.MALICIOUS
        assert sum(artifact.size_bytes == len(eicar) for artifact in document.artifacts) == 1
