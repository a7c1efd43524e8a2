"""7z, rar, iso, cab, ar, deb, rpm, cpio and further streams: opened, bounded, honest."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import sys
import zlib
from collections.abc import Callable

import libarchive
import py7zr
import pytest

from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.unpackers import UNPACKERS, libraries
from scanner.unpackers.base import Sink
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

LIMITS = JobLimits(artifacts=10, unpacked_bytes=1 << 20, member_bytes=1 << 20, ratio=100, cpu_seconds=10)
TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


def written(archive_format: str, members: list[tuple[str, bytes]], compression: str | None = None) -> bytes:
    pieces: list[bytes] = []

    def take(piece: bytes) -> int:
        pieces.append(bytes(piece))
        return len(piece)

    with libarchive.custom_writer(take, archive_format, compression) as archive:
        for name, content in members:
            archive.add_file_from_memory(name, len(content), content)
    return b"".join(pieces)


def rar5(members: list[tuple[str, bytes]], *, encrypted: bool = False) -> bytes:
    """Stored members, by the RAR 5.0 archive format note of rarlab."""

    def number(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    def block(fields: bytes, data: bytes = b"") -> bytes:
        sized = number(len(fields)) + fields
        return struct.pack("<L", zlib.crc32(sized)) + sized + data

    out = b"Rar!\x1a\x07\x01\x00"
    if encrypted:
        return out + block(number(4) + number(0) + number(0) + number(0) + b"\x0f" + bytes(16)) + bytes(64)
    out += block(number(1) + number(0) + number(0))
    for name, content in members:
        raw = name.encode()
        fields = number(2) + number(2) + number(len(content)) + number(4) + number(len(content)) + number(0o644)
        fields += struct.pack("<L", zlib.crc32(content)) + number(0) + number(1) + number(len(raw)) + raw
        out += block(fields, content)
    return out + block(number(5) + number(0) + number(0))


def rar4(members: list[tuple[str, bytes]]) -> bytes:
    """Stored members, by technote.txt of RAR 4."""

    def block(kind: int, flags: int, rest: bytes, data: bytes = b"") -> bytes:
        fields = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(fields) & 0xFFFF) + fields + data

    out = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, content in members:
        raw = name.encode()
        size, crc = len(content), zlib.crc32(content)
        rest = struct.pack("<LLBLLBBHL", size, size, 3, crc, 0, 20, 0x30, len(raw), 0o100644) + raw
        out += block(0x74, 0x8000, rest, content)
    return out + block(0x7B, 0x4000, b"")


def cab(members: list[tuple[str, bytes]]) -> bytes:
    """One uncompressed folder, by [MS-CAB]."""
    content = b"".join(data for _, data in members)
    files, position = b"", 0
    for name, data in members:
        files += struct.pack("<LLHHHH", len(data), position, 0, 0, 0, 0x20) + name.encode() + b"\0"
        position += len(data)
    blocks = [content[start : start + 32768] for start in range(0, len(content), 32768)]
    first_data = 36 + 8 + len(files)
    folder = struct.pack("<LHH", first_data, len(blocks), 0)
    data_part = b"".join(struct.pack("<LHH", 0, len(block), len(block)) + block for block in blocks)
    size = first_data + len(data_part)
    header = struct.pack("<4sLLLLLBBHHHHH", b"MSCF", 0, size, 0, 44, 0, 3, 1, 1, len(members), 0, 0, 0)
    return header + folder + files + data_part


def rpm(members: list[tuple[str, bytes]]) -> bytes:
    """A lead, two empty header structures and a payload, by the RPM file format."""
    lead = struct.pack(">4sBBHH66sHH16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"probe", 1, 5)
    empty = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">LL", 0, 0)
    return lead + empty + empty + gzip.compress(written("cpio_newc", members), mtime=0)


def deb(members: list[tuple[str, bytes]]) -> bytes:
    data = Archives().tar(dict(members), "w:xz")
    return written("ar_svr4", [("debian-binary", b"2.0\n"), ("data.tar.xz", data)])


def sevenzip(members: list[tuple[str, bytes]], password: str | None = None, *, hide_names: bool = False) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password=password, header_encryption=hide_names) as archive:
        for name, content in members:
            archive.writestr(content, name)
    return buffer.getvalue()


# A 7z with encrypted names, made as below, that the type model takes for gzip, as it does one of twelve.
LOOKS_LIKE_GZIP = base64.b64decode(
    "N3q8ryccAATUu7OVsAAAAAAAAAAoAAAAAAAAAOUOyjZi4IRAA0Z9ScW3nSJ+5Rnh0N50pvdhKvfI4VRBiUme1m4B6kToe9dRsVpPEv7T/S/4MpFA"
    "vGQGCcQsjsqIUcQzW1FGvj/EsxthhgTE5tt0GIak85kK9FBGp665kBVJEeVco5uRz2kwh1w3NvjCJQw/D77QeScCSnY9OApefcYj5YQc0LA003tP"
    "ruRSUjRZd3Pv23VFBEdSa1eEsDiz5dqjsMUqfdzfpEQ4TJbForFngBcGQAEJcAAHCwEAASQG8QcBElMP1emNUyl1+gB/zIg3wn9URAxpAAA="
)

Maker = Callable[[list[tuple[str, bytes]]], bytes]
MAKERS: dict[str, Maker] = {
    "7z": sevenzip,
    "ar": lambda members: written("ar_svr4", members),
    "cab": cab,
    "cpio": lambda members: written("cpio_newc", members),
    "iso": lambda members: written("iso9660", members),
    "rar4": rar4,
    "rar5": rar5,
    "rpm": rpm,
}
every_format = pytest.mark.parametrize("made", MAKERS.values(), ids=MAKERS)


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


@every_format
async def test_members_come_out(scan: Scan, eicar: bytes, made: Maker) -> None:
    document = await scan("sample", made([("a.txt", TEXT), ("eicar.com", eicar)]))

    assert [artifact.name for artifact in document.artifacts[1:]] == ["a.txt", "eicar.com"]
    assert document.artifacts[1].size_bytes == len(TEXT)
    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert document.verdict is Verdict.MALICIOUS


@every_format
async def test_harmless_archives_are_clean(scan: Scan, made: Maker) -> None:
    document = await scan("sample", made([("a.txt", TEXT)]))

    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert reasons(document) <= {CoverageReason.UNSUPPORTED}


@every_format
@pytest.mark.parametrize("share", [0.4, 0.8])
async def test_a_cut_archive_is_never_clean(scan: Scan, made: Maker, share: float) -> None:
    whole = made([("a.txt", TEXT * 40), ("b.txt", TEXT * 40)])
    document = await scan("sample", whole[: int(len(whole) * share)])

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document)


@every_format
async def test_what_follows_the_archive_is_looked_at(scan: Scan, eicar: bytes, made: Maker) -> None:
    document = await scan("sample", made([("a.txt", TEXT)]) + bytes(4096) + eicar)

    assert document.verdict is not Verdict.CLEAN


@every_format
async def test_the_number_of_members_is_limited(scan: Scan, made: Maker) -> None:
    many = made([(f"{number}.txt", b"x") for number in range(300)])
    document = await scan("sample", many)

    assert len(document.artifacts) == 201
    assert CoverageReason.LIMIT_REACHED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", ["ar", "cab", "cpio", "rar4", "rar5"])
async def test_hostile_names_are_only_told(scan: Scan, name: str) -> None:
    document = await scan("sample", MAKERS[name]([("../../etc/passwd", TEXT)]))

    assert document.artifacts[1].name.endswith("passwd")
    assert document.artifacts[1].verdict is Verdict.CLEAN


@pytest.mark.parametrize("name", ["7z", "cab", "cpio", "rar4", "rar5"])
async def test_two_members_of_one_name_are_both_looked_at(scan: Scan, eicar: bytes, name: str) -> None:
    document = await scan("sample", MAKERS[name]([("a.txt", eicar), ("a.txt", TEXT)]))

    # libarchive takes the second of rar 4 for a later part of the first, and puts zeros in the place of that.
    second = Verdict.UNKNOWN if name == "rar4" else Verdict.CLEAN
    assert [artifact.verdict for artifact in document.artifacts[1:]] == [Verdict.MALICIOUS, second]


async def test_xar_archives_are_opened(scan: Scan, eicar: bytes) -> None:
    document = await scan("x.xar", written("xar", [("eicar.com", eicar)]))

    assert document.verdict is Verdict.MALICIOUS


async def test_a_debian_package_is_opened_to_its_files(scan: Scan, eicar: bytes) -> None:
    document = await scan("x.deb", deb([("usr/bin/eicar", eicar)]))

    assert document.artifacts[-1].name == "usr/bin/eicar"
    assert document.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("compression", ["zstd", "lz4", "lzip", "compress"])
async def test_further_streams(scan: Scan, compression: str) -> None:
    document = await scan("a.txt.x", written("raw", [("a.txt", TEXT)], compression))

    assert [(artifact.name, artifact.size_bytes) for artifact in document.artifacts[1:]] == [("a.txt", len(TEXT))]
    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert reasons(document) <= {CoverageReason.UNSUPPORTED}  # the type model does not know all of them


@pytest.mark.parametrize("compression", ["zstd", "lz4", "lzip", "compress"])
async def test_what_follows_a_stream_is_never_clean(scan: Scan, compression: str) -> None:
    document = await scan("a.txt.x", written("raw", [("a.txt", TEXT)], compression) + b"something behind it" * 10)

    assert document.verdict is Verdict.UNKNOWN


async def test_without_libarchive_its_formats_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libarchive", None)
    monkeypatch.setattr(libraries._Preparation, "done", True)

    with pytest.raises(libraries.LibraryMissingError):
        UNPACKERS["rar"].unpack(io.BytesIO(rar5([])), "x.rar", Sink(io.BytesIO(), LIMITS, 0, lambda _: None))


@pytest.mark.parametrize("archive_format", ["7zip", "cpio_newc", "iso9660", "xar"])
async def test_bombs_are_stopped(scan: Scan, archive_format: str) -> None:
    content = written(archive_format, [("zeros", bytes(64 << 20))], None)
    document = await scan("bomb", gzip.compress(content))

    assert document.verdict is Verdict.UNKNOWN
    assert CoverageReason.LIMIT_REACHED in reasons(document)


@pytest.mark.parametrize("hide_names", [False, True])
async def test_an_encrypted_7z_is_opened_with_its_password(scan: Scan, eicar: bytes, *, hide_names: bool) -> None:
    content = sevenzip([("a.txt", TEXT), ("dir/eicar.com", eicar)], "infected", hide_names=hide_names)
    document = await scan("x.7z", content)

    assert [artifact.name for artifact in document.artifacts[1:]] == ["a.txt", "dir/eicar.com"]
    assert document.artifacts[1].origin == "encrypted 7z member"
    assert document.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("hide_names", [False, True])
async def test_a_7z_that_no_password_opens_is_said(scan: Scan, *, hide_names: bool) -> None:
    document = await scan("x.7z", sevenzip([("a.txt", TEXT)], "nobody knows", hide_names=hide_names))

    assert len(document.artifacts) == 1
    assert CoverageReason.ENCRYPTED in reasons(document)
    assert document.coverage.level is CoverageLevel.NONE


async def test_a_given_password_opens_a_7z(scan: Scan) -> None:
    content = sevenzip([("a.txt", TEXT)], "nobody knows", hide_names=True)
    document = await scan("x.7z", content, passwords=("wrong", "nobody knows"))

    assert document.verdict is Verdict.CLEAN


async def test_noise_that_looks_like_another_format_is_known_by_its_first_bytes(scan: Scan) -> None:
    document = await scan("x.7z", LOOKS_LIKE_GZIP, passwords=("nobody knows",))

    assert document.artifacts[0].content_type.label == "sevenzip"
    assert document.verdict is Verdict.CLEAN


async def test_an_encrypted_rar_is_said(scan: Scan) -> None:
    document = await scan("x.rar", rar5([], encrypted=True))

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) <= {CoverageReason.ENCRYPTED, CoverageReason.ERROR}
