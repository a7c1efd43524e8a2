"""Archives, honest and hostile: bounded time and memory, an honest coverage, never a false `clean`."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest

from scanner.engine import EngineSettings, ScanEngine
from scanner.testing import Archives, Scan
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


def names(document: ScanDocument) -> list[str]:
    return [artifact.name for artifact in document.artifacts[1:]]


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
async def test_tar_and_its_compressions(scan: Scan, archives: Archives, eicar: bytes, mode: str) -> None:
    document = await scan("x.tar", archives.tar({"a.txt": TEXT, "dir/eicar.com": eicar}, mode))

    assert document.artifacts[-1].name == "dir/eicar.com"
    assert document.artifacts[-1].verdict is Verdict.MALICIOUS
    assert document.verdict is Verdict.MALICIOUS
    assert document.artifacts[0].verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_zip_methods(scan: Scan, archives: Archives, method: int) -> None:
    document = await scan("x.zip", archives.zip({"a.txt": TEXT, "b.txt": TEXT + b"b"}, method))

    assert names(document) == ["a.txt", "b.txt"]
    assert document.artifacts[1].size_bytes == len(TEXT)
    assert document.verdict is Verdict.CLEAN
    assert document.coverage.level is CoverageLevel.COMPLETE


@pytest.mark.parametrize(
    ("name", "packed"),
    [("a.txt.gz", gzip.compress(TEXT, mtime=0)), ("a.txt.bz2", bz2.compress(TEXT)), ("a.txt.xz", lzma.compress(TEXT))],
)
async def test_single_streams(scan: Scan, name: str, packed: bytes) -> None:
    document = await scan(name, packed)

    assert names(document) == ["a.txt"]
    assert document.verdict is Verdict.CLEAN


async def test_streams_one_after_another_are_one_file(scan: Scan) -> None:
    document = await scan("a.txt.gz", gzip.compress(TEXT) + gzip.compress(TEXT) + bytes(512))

    assert document.artifacts[1].size_bytes == 2 * len(TEXT)
    assert document.verdict is Verdict.CLEAN


async def test_what_follows_a_stream_is_looked_at(scan: Scan, archives: Archives, eicar: bytes) -> None:
    document = await scan("a.txt.gz", gzip.compress(TEXT) + archives.zip({"x.com": eicar}))

    assert document.verdict is Verdict.MALICIOUS
    assert CoverageReason.ERROR in reasons(document)


async def test_archives_inside_archives(scan: Scan, archives: Archives, eicar: bytes) -> None:
    content = eicar
    for level in range(5):
        content = archives.zip({f"level{level}.zip": content})
    document = await scan("deep.zip", content)

    assert [artifact.depth for artifact in document.artifacts] == [0, 1, 2, 3, 4, 5]
    assert [artifact.parent_id for artifact in document.artifacts] == [None, 0, 1, 2, 3, 4]
    assert document.verdict is Verdict.MALICIOUS


async def test_depth_is_limited(scan: Scan, archives: Archives, settings: EngineSettings) -> None:
    content = TEXT
    for _ in range(settings.max_depth + 2):
        content = archives.zip({"inner.zip": content})
    document = await scan("deep.zip", content)

    assert len(document.artifacts) == settings.max_depth + 1
    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) == {CoverageReason.LIMIT_REACHED}


async def test_the_number_of_files_is_limited(scan: Scan, archives: Archives, settings: EngineSettings) -> None:
    many = archives.zip({f"{number}.txt": b"x" for number in range(settings.max_artifacts + 50)}, zipfile.ZIP_STORED)
    document = await scan("many.zip", many)

    assert len(document.artifacts) == settings.max_artifacts + 1
    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) == {CoverageReason.LIMIT_REACHED}


async def test_an_archive_of_100_000_entries_takes_bounded_time(scan: Scan, archives: Archives) -> None:
    many = archives.zip({f"{number}.txt": b"x" for number in range(100_000)}, zipfile.ZIP_STORED)
    document = await scan("many.zip", many)

    assert CoverageReason.LIMIT_REACHED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_bomb_is_stopped_by_its_ratio(scan: Scan, archives: Archives, settings: EngineSettings) -> None:
    document = await scan("bomb.zip", archives.zip({"zeros.txt": bytes(64 << 20)}))

    assert document.artifacts[1].size_bytes < 64 << 20
    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) >= {CoverageReason.LIMIT_REACHED}


async def test_the_total_and_the_single_size_are_limited(tmp_path: Path, archives: Archives) -> None:
    settings = EngineSettings(
        work_dir=tmp_path, sandbox_workers=1, max_unpacked_bytes=3000, max_member_bytes=1500, max_ratio=100_000
    )
    engine = await ScanEngine.start(settings)
    path = tmp_path / "x.zip"
    path.write_bytes(archives.zip({"big.txt": b"ab " * 1000, "a.txt": TEXT, "b.txt": TEXT}))
    document = await engine.scan(path, name="x.zip", scan_id="s", submission_id="u")
    await engine.close()

    assert [artifact.size_bytes for artifact in document.artifacts[1:]] == [1500, 900, 600]
    assert document.artifacts[2].verdict is Verdict.CLEAN
    assert [gap.reason for gap in document.artifacts[1].coverage.gaps] == [CoverageReason.LIMIT_REACHED]
    assert document.verdict is Verdict.UNKNOWN


async def test_a_bomb_of_bombs_is_bounded(scan: Scan, archives: Archives, settings: EngineSettings) -> None:
    content = archives.zip({"zeros": bytes(8 << 20)})
    for _ in range(4):
        content = archives.zip({f"{number}.zip": content for number in range(10)})
    document = await scan("bombs.zip", content)

    assert len(document.artifacts) <= settings.max_artifacts + 1
    assert document.verdict is Verdict.UNKNOWN
    assert CoverageReason.LIMIT_REACHED in reasons(document)


async def test_overlapping_members_are_not_unpacked(scan: Scan) -> None:
    """One kernel of compressed zeros that every directory entry points at."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(1 << 20)) + kernel.flush()
    crc = zlib.crc32(bytes(1 << 20))
    sizes = (crc, len(packed), 1 << 20)
    local = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 8, 0, 0, *sizes, 1, 0) + b"a"
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, *sizes, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 100
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 100, 100, len(directory), len(local) + len(packed), 0)
    document = await scan("overlap.zip", local + packed + directory + end)

    assert len(document.artifacts) == 2
    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b.txt", "\ud800", "x" * 4000, "\u202egpj.exe"]
)
async def test_names_are_only_told(scan: Scan, archives: Archives, settings: EngineSettings, name: str) -> None:
    document = await scan(
        "x.tar", archives.tar({name.encode("utf-8", "surrogatepass").decode("utf-8", "replace"): TEXT})
    )

    told = document.artifacts[1].name
    assert "\0" not in told
    assert len(told) <= 1000
    told.encode("utf-8")
    assert settings.work_dir is not None
    assert list(settings.work_dir.glob("**/passwd")) == []


async def test_links_and_devices_are_not_followed(scan: Scan) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "/etc/shadow"), (tarfile.CHRTYPE, "")):
            info = tarfile.TarInfo("thing")
            info.type, info.linkname = kind, target
            archive.addfile(info)
    document = await scan("links.tar", buffer.getvalue())

    assert len(document.artifacts) == 1
    assert document.verdict is Verdict.CLEAN


async def test_two_files_of_one_name_are_both_looked_at(scan: Scan, eicar: bytes) -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.txt", eicar)
        archive.writestr("a.txt", TEXT)
    document = await scan("twice.zip", buffer.getvalue())

    assert [artifact.verdict for artifact in document.artifacts[1:]] == [Verdict.MALICIOUS, Verdict.CLEAN]


async def test_encrypted_members_are_said(scan: Scan, archives: Archives) -> None:
    content = bytearray(archives.zip({"a.txt": TEXT, "b.txt": TEXT}))
    first_local, first_entry = content.find(b"PK\x03\x04"), content.find(b"PK\x01\x02")
    content[first_local + 6] |= 1
    content[first_entry + 8] |= 1
    document = await scan("secret.zip", bytes(content))

    assert names(document) == ["b.txt"]
    assert reasons(document) == {CoverageReason.ENCRYPTED}
    assert document.verdict is Verdict.UNKNOWN


async def test_an_archive_with_only_encrypted_members_was_not_looked_at(scan: Scan, archives: Archives) -> None:
    content = bytearray(archives.zip({"a.txt": TEXT}))
    content[content.find(b"PK\x03\x04") + 6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    document = await scan("secret.zip", bytes(content))

    assert document.coverage.level is CoverageLevel.NONE


@pytest.mark.parametrize("cut", [10, 60, 200, -5])
@pytest.mark.parametrize("mode", ["zip", "tar", "gz", "bz2", "xz"])
async def test_a_cut_archive_is_never_clean(scan: Scan, archives: Archives, mode: str, cut: int) -> None:
    noise = random.Random(1).randbytes(600)
    whole = {
        "zip": archives.zip({"a.bin": noise}),
        "tar": archives.tar({"a.txt": noise})[: 512 + 600],
        "gz": gzip.compress(noise),
        "bz2": bz2.compress(noise),
        "xz": lzma.compress(noise),
    }[mode]
    document = await scan(f"cut.{mode}", whole[:cut])

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) & {CoverageReason.ERROR, CoverageReason.UNSUPPORTED}


async def test_a_wrong_checksum_is_an_error(scan: Scan, archives: Archives) -> None:
    content = bytearray(archives.zip({"a.txt": TEXT}, zipfile.ZIP_STORED))
    content[content.find(TEXT[:10])] ^= 0xFF
    document = await scan("x.zip", bytes(content))

    assert reasons(document) == {CoverageReason.ERROR}
    assert document.artifacts[1].verdict is Verdict.UNKNOWN


async def test_a_header_that_contradicts_the_directory_is_an_error(scan: Scan, archives: Archives) -> None:
    content = bytearray(archives.zip({"a.txt": TEXT}, zipfile.ZIP_STORED))
    local = content.find(b"PK\x03\x04")
    struct.pack_into("<L", content, local + 22, 7)
    document = await scan("x.zip", bytes(content))

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_file_hidden_from_the_directory_is_found(scan: Scan, archives: Archives, eicar: bytes) -> None:
    """The directory lists only the second archive; readers of local headers see the first."""
    hidden = archives.zip({"hidden.com": eicar + b" " * 20}, zipfile.ZIP_STORED)
    document = await scan("x.zip", hidden + archives.zip({"a.txt": TEXT}))

    assert any(artifact.origin == "not listed in zip directory" for artifact in document.artifacts)
    assert document.verdict is Verdict.MALICIOUS


async def test_documents_built_on_zip_are_opened(scan: Scan, archives: Archives) -> None:
    document = await scan(
        "x.docx",
        archives.zip(
            {
                "[Content_Types].xml": b'<?xml version="1.0"?><Types xmlns="x"></Types>',
                "_rels/.rels": b'<?xml version="1.0"?><Relationships></Relationships>',
                "word/document.xml": b'<?xml version="1.0"?><w:document></w:document>',
                "word/media/picture.txt": TEXT,
            }
        ),
    )

    assert len(document.artifacts) == 5
    assert document.verdict is Verdict.UNKNOWN


async def test_an_empty_archive_is_clean(scan: Scan, archives: Archives) -> None:
    document = await scan("empty.zip", archives.zip({}))

    assert document.verdict is Verdict.CLEAN


def anonymous_memory_kib() -> int:
    """Memory of our own; pages of a mapped file are the kernel's to drop."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


async def test_memory_does_not_grow_with_the_file(scan: Scan) -> None:
    line = random.Random(2).randbytes(512).hex().encode() + b"\n"
    packed = gzip.compress(line * 1000, 1) * 200
    await scan("warm.txt.gz", packed[: len(packed) // 200])
    before = anonymous_memory_kib()
    peak = before

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, anonymous_memory_kib())
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    document = await scan("large.txt.gz", packed)
    watching.cancel()

    assert document.artifacts[1].size_bytes == 1000 * 200 * len(line)
    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert peak - before < 64 * 1024
