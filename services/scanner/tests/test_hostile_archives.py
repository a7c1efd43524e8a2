"""Archives made to hurt, in every format we can write: bounded, honest about what was not seen, never clean."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable

import libarchive
import pytest

from scanner.sandbox.answers import ANSWERS, GapFound
from scanner.sandbox.messages import JobLimits
from scanner.testing import Scan
from scanner.testing.quine import gzip_quine, zip_quine
from scanner.testing.rar import rar4, rar5
from scanner.unpackers import UNPACKERS
from scanner.unpackers.base import Sink
from scanner.unpackers.libarchive import LIBARCHIVE
from scanner.unpackers.shortcut import ShortcutUnpacker
from shared.scan import CoverageReason, ScanDocument, Verdict

ENTRIES = 100_000
LIMITS = JobLimits(artifacts=10, unpacked_bytes=1 << 20, member_bytes=1 << 20, ratio=100, cpu_seconds=10)
TEXT = b"The quick brown fox jumps over the lazy dog. " * 20
Members = list[tuple[str, bytes]]
Maker = Callable[[Members], bytes]


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


def written(archive_format: str) -> Maker:
    def make(members: Members) -> bytes:
        pieces: list[bytes] = []

        def take(piece: bytes) -> int:
            pieces.append(bytes(piece))
            return len(piece)

        with libarchive.custom_writer(take, archive_format) as archive:
            for name, content in members:
                archive.add_file_from_memory(name, len(content), content)
        return b"".join(pieces)

    return make


def tar(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: Members) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


MAKERS: dict[str, Maker] = {
    "7z": written("7zip"),
    "ar": written("ar_svr4"),
    "cpio": written("cpio_newc"),
    "rar": rar5,
    "rar encrypted": lambda members: rar5(members, "infected"),
    "rar 4": rar4,
    "rar 4 encrypted": lambda members: rar4(members, "infected"),
    "tar": tar,
    "xar": written("xar"),
    "zip": zipped,
}


@pytest.mark.parametrize("name", MAKERS)
async def test_100_000_entries_are_stopped_at_the_limit(scan: Scan, name: str) -> None:
    many = MAKERS[name]([(f"{number}.txt", b"x") for number in range(ENTRIES)])
    document = await scan("many", many)

    assert len(document.artifacts) <= 201
    assert CoverageReason.LIMIT_REACHED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_disc_image_of_many_entries_is_stopped_at_the_limit(scan: Scan) -> None:
    document = await scan("many.iso", written("iso9660")([(f"{number}.txt", b"x") for number in range(10_000)]))

    assert CoverageReason.LIMIT_REACHED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", MAKERS)
async def test_bombs_inside_bombs_are_bounded(scan: Scan, name: str) -> None:
    content = lzma.compress(bytes(32 << 20))
    for _ in range(3):
        content = MAKERS[name]([(f"{number}.bin", content) for number in range(8)])
    document = await scan("bombs", content)

    assert len(document.artifacts) <= 201
    assert CoverageReason.LIMIT_REACHED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


def test_a_quine_really_holds_itself() -> None:
    quine = zip_quine()
    with zipfile.ZipFile(io.BytesIO(quine)) as archive:
        assert archive.namelist() == ["again.zip"]
        assert archive.read("again.zip") == quine

    assert gzip.decompress(gzip_quine()) == gzip_quine()


@pytest.mark.parametrize("quine", [zip_quine, gzip_quine])
async def test_an_archive_that_holds_itself_without_end_is_opened_once(scan: Scan, quine: Callable[[], bytes]) -> None:
    alone = await scan("again", quine())
    packed = await scan("packed", tar([("a.bin", quine()), ("b.bin", quine())]))

    assert alone.artifacts[0].sha256 == alone.artifacts[1].sha256
    assert [artifact.depth for artifact in alone.artifacts] == [0, 1]
    assert [artifact.depth for artifact in packed.artifacts] == [0, 1, 2, 1, 2]
    for document in (alone, packed):
        assert reasons(document) == {CoverageReason.LIMIT_REACHED}
        assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "xar"])  # whose directory has no two of one name
async def test_both_files_of_one_name_are_looked_at(scan: Scan, eicar: bytes, name: str) -> None:
    document = await scan("twice", MAKERS[name]([("a.txt", eicar), ("a.txt", TEXT)]))

    # libarchive takes the second of rar 4 for a later part of the first, and puts zeros in the place of that.
    second = Verdict.UNKNOWN if name.startswith("rar 4") else Verdict.CLEAN
    assert {Verdict.MALICIOUS, second} <= {artifact.verdict for artifact in document.artifacts[1:]}


def larger(content: bytes, place: bytes, offset: int, size: bytes) -> bytes:
    """Overwrite what stands `offset` bytes behind the first appearance of `place`."""
    at = content.index(place) + offset
    return content[:at] + size + content[at + len(size) :]


TWO: Members = [("a.txt", TEXT), ("b.txt", TEXT)]
LYING: dict[str, bytes] = {
    "7z: directory beyond the end": larger(MAKERS["7z"](TWO), b"7z\xbc\xaf", 12, struct.pack("<Q", 1 << 40)),
    "7z: directory of many gigabytes": larger(MAKERS["7z"](TWO), b"7z\xbc\xaf", 20, struct.pack("<Q", 1 << 40)),
    "ar: member beyond the end": larger(MAKERS["ar"](TWO), b"b.txt", 48, b"9999999999"),
    "cpio: member beyond the end": larger(MAKERS["cpio"](TWO), b"070701", 6 + 6 * 8, b"ffffffff"),
    "rar: member beyond the end": MAKERS["rar"](TWO)[:-500],
    "tar: member beyond the end": larger(MAKERS["tar"](TWO), b"a.txt", 124, b"77777777777\0"),
    "tar: negative size": larger(MAKERS["tar"](TWO), b"a.txt", 124, b"\xff" * 12),
    "zip: member beyond the end": larger(MAKERS["zip"](TWO), b"PK\x01\x02", 20, struct.pack("<LL", 1 << 31, 1 << 31)),
    "zip: directory beyond the end": larger(MAKERS["zip"](TWO), b"PK\x05\x06", 16, struct.pack("<L", 1 << 31)),
    "zip: more entries than there are": larger(MAKERS["zip"](TWO), b"PK\x05\x06", 8, struct.pack("<HH", 999, 999)),
}


@pytest.mark.parametrize("name", LYING)
async def test_lying_headers_are_never_clean(scan: Scan, name: str) -> None:
    document = await scan("sample", LYING[name])

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) & {CoverageReason.ERROR, CoverageReason.UNSUPPORTED, CoverageReason.LIMIT_REACHED}


@pytest.mark.parametrize("name", sorted([*(unpacker.name for unpacker in LIBARCHIVE), ShortcutUnpacker.name]))
def test_a_guess_that_the_first_bytes_contradict_opens_nothing(name: str) -> None:
    sent: list[bytes] = []
    sink = Sink(io.BytesIO(), LIMITS, len(TEXT), sent.append)
    UNPACKERS[name].unpack(io.BytesIO(TEXT), "x", sink)
    sink.finish()

    answers = [ANSWERS.validate_json(line) for line in b"".join(sent).splitlines()]
    assert [one.gap.reason for one in answers if isinstance(one, GapFound)] == [CoverageReason.UNSUPPORTED]
