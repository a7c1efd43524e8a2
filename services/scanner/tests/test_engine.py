"""The engine as a whole: verdicts with coverage, many scans at once, deadlines, progress."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from pathlib import Path
from typing import cast

import pytest

from scanner.engine import EngineSettings, ScanEngine, ScanProgress
from scanner.errors import DetectorError
from scanner.identify import load_content_types, magika_folder
from scanner.sandbox.pool import Child, SandboxPool, Unpacked, UnpackJob
from scanner.sessions import ModelSession
from scanner.signatures import SIGNATURES, contradicts
from scanner.testing import Archives, Scan
from scanner.walk import effective_types
from shared.scan import ContentType, CoverageLevel, CoverageReason, Verdict

TEXT = b"The quick brown fox jumps over the lazy dog. " * 20
SHELL_SCRIPT = b'#!/bin/sh\nset -e\nfor file in *.txt; do\n  wc -l "$file"\ndone\n'


async def test_plain_text_is_clean(scan: Scan) -> None:
    document = await scan("notes.txt", TEXT)

    assert document.verdict is Verdict.CLEAN
    assert document.coverage.level is CoverageLevel.COMPLETE
    assert document.root.covered_by == ("fumehood-rules",)
    assert document.root.content_type.label == "txt"
    assert document.root.size_bytes == len(TEXT)
    assert {detector.name for detector in document.detectors} >= {"content-type", "eicar", "fumehood-rules"}


async def test_hashes_are_those_of_the_content(scan: Scan) -> None:
    root = (await scan("abc.txt", b"abc")).root

    assert root.md5 == "900150983cd24fb0d6963f7d28e17f72"
    assert root.sha1 == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert root.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_an_empty_file_is_clean(scan: Scan) -> None:
    document = await scan("empty", b"")

    assert document.verdict is Verdict.CLEAN
    assert document.coverage.level is CoverageLevel.COMPLETE
    assert document.root.content_type.label == "empty"


async def test_the_eicar_file_is_malicious(scan: Scan, eicar: bytes) -> None:
    document = await scan("eicar.com", eicar + b"\r\n")

    assert document.verdict is Verdict.MALICIOUS
    finding = document.root.findings[0]
    assert (finding.detector.name, finding.label) == ("eicar", "eicar-test-file")
    assert finding.locations[0].end == 68


@pytest.mark.parametrize("around", [(b" ", b""), (b"", b" x"), (b"", b" " * 61)])
async def test_what_is_not_the_eicar_file_by_its_definition_is_not_reported(
    scan: Scan, eicar: bytes, around: tuple[bytes, bytes]
) -> None:
    before, after = around

    assert (await scan("eicar.txt", before + eicar + after)).verdict is not Verdict.MALICIOUS


async def test_a_type_that_nothing_covers_is_unknown(scan: Scan) -> None:
    document = await scan("true", Path("/bin/true").read_bytes())

    assert document.verdict is Verdict.UNKNOWN
    assert document.coverage.level is CoverageLevel.NONE
    gap = document.coverage.gaps[0]
    assert gap.reason is CoverageReason.UNSUPPORTED
    assert "elf" in gap.detail


@pytest.mark.parametrize(
    "name",
    ["run.vbe", "game.lua", "run.wsf", "A.INF", "a.desktop", "a.slk", "a.iqy", "x/.htaccess", "Makefile", "a.xml"],
)
async def test_text_that_a_system_would_run_is_not_clean(scan: Scan, name: str) -> None:
    document = await scan(name, TEXT)

    assert document.verdict is Verdict.UNKNOWN
    assert document.coverage.level is CoverageLevel.PARTIAL
    assert document.coverage.gaps[0].reason is CoverageReason.UNSUPPORTED


def test_name_and_first_line_add_to_the_types_to_cover() -> None:
    text = ContentType(label="txt", mime_type="text/plain", group="text", description="Text", score=1, is_text=True)

    def labels(name: str, head: bytes = b"") -> set[str]:
        return {type_name.label for type_name in effective_types(name, text, head)}

    assert labels("notes.txt") == {"txt"}
    assert labels("notes.js") == {"txt", "javascript"}
    assert labels("a/notes.JS. .") == labels("notes.js::$DATA") == {"txt", "javascript"}
    assert labels("notes.js\0.txt") == {"txt", "javascript"}
    assert labels("setup.inf") == labels("x/SETUP.INF ") == {"txt", "inf"}
    assert labels("x/Makefile") == {"txt", "makefile"}
    assert labels("notes", b"#!/usr/bin/perl\n") == {"txt", "perl"}


async def test_a_disguised_program_is_suspicious(scan: Scan) -> None:
    document = await scan("holiday.jpg", Path("/bin/ls").read_bytes())

    assert document.verdict is Verdict.SUSPICIOUS
    assert [finding.label for finding in document.root.findings] == ["disguised-program"]


async def test_the_worst_inside_counts(scan: Scan, archives: Archives, eicar: bytes) -> None:
    document = await scan("x.zip", archives.zip({"a.txt": TEXT, "b/eicar.com": eicar, "c.txt": TEXT + b"c"}))

    assert [artifact.verdict for artifact in document.artifacts] == [
        Verdict.MALICIOUS,
        Verdict.CLEAN,
        Verdict.MALICIOUS,
        Verdict.CLEAN,
    ]
    assert [artifact.id for artifact in document.artifacts] == [0, 1, 2, 3]


async def test_a_file_that_cannot_be_opened_is_unknown(engine: ScanEngine, tmp_path: Path) -> None:
    document = await engine.scan(tmp_path / "missing", name="missing", scan_id="s", submission_id="u")

    assert document.verdict is Verdict.UNKNOWN
    assert document.coverage.level is CoverageLevel.NONE
    assert document.coverage.gaps[0].reason is CoverageReason.ERROR


async def test_a_folder_is_not_an_exception(engine: ScanEngine, tmp_path: Path) -> None:
    document = await engine.scan(tmp_path, name="folder", scan_id="s", submission_id="u")

    assert document.verdict is Verdict.UNKNOWN


async def test_many_scans_at_once_do_not_mix(engine: ScanEngine, tmp_path: Path, archives: Archives) -> None:
    async def one(number: int) -> bool:
        path = tmp_path / f"{number}.zip"
        content = TEXT + str(number).encode()
        path.write_bytes(archives.zip({f"{number}-{index}.txt": content for index in range(3)}))
        document = await engine.scan(path, name=path.name, scan_id=str(number), submission_id=f"u{number}")
        return (
            document.scan_id == str(number)
            and document.verdict is Verdict.CLEAN
            and [artifact.name for artifact in document.artifacts[1:]]
            == [f"{number}-{index}.txt" for index in range(3)]
        )

    assert all(await asyncio.gather(*(one(number) for number in range(30))))


async def test_the_deadline_holds_and_what_was_not_reached_is_said(
    engine: ScanEngine, tmp_path: Path, archives: Archives
) -> None:
    noise = random.Random(3)
    path = tmp_path / "slow.zip"
    path.write_bytes(archives.zip({f"{number}.bin": noise.randbytes(3000) for number in range(190)}))
    document = await engine.scan(path, name="slow.zip", scan_id="s", submission_id="u", budget_seconds=0.4)

    assert document.verdict is Verdict.UNKNOWN
    assert document.root.sha256 != ""
    assert CoverageReason.TIMEOUT in {gap.reason for gap in document.coverage.gaps}


async def test_no_time_at_all_still_gives_a_document(scan: Scan) -> None:
    document = await scan("notes.txt", TEXT, budget_seconds=0)

    assert document.verdict is Verdict.UNKNOWN
    assert {gap.reason for gap in document.coverage.gaps} == {CoverageReason.TIMEOUT}


async def test_progress_is_told_and_throttled(engine: ScanEngine, tmp_path: Path, archives: Archives) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(archives.zip({f"{number}.txt": TEXT + str(number).encode() for number in range(60)}))
    told: list[ScanProgress] = []
    started = time.monotonic()
    await engine.scan(path, name="x.zip", scan_id="s", submission_id="u", on_progress=told.append)

    assert told[-1] == ScanProgress("finished", 61, 61, None)
    assert told[0].artifacts_found == 1
    assert len(told) <= (time.monotonic() - started) / 0.25 + 2


async def test_an_archive_that_holds_itself_ends(engine: ScanEngine, tmp_path: Path, archives: Archives) -> None:
    """A quine unpacks to itself for ever; a fake sandbox plays one."""
    path = tmp_path / "quine.zip"
    path.write_bytes(archives.zip({"quine.zip": b"stands for itself"}))

    class Mirror:
        async def unpack(self, job: UnpackJob) -> Unpacked:
            return Unpacked((Child(job.name, "zip member", job.content, None),), ())

    sandbox = engine._tools.sandbox
    engine._tools = dataclasses.replace(engine._tools, sandbox=cast("SandboxPool", Mirror()))
    document = await engine.scan(path, name="quine.zip", scan_id="s", submission_id="u")
    engine._tools = dataclasses.replace(engine._tools, sandbox=sandbox)

    assert len(document.artifacts) == 2
    assert {gap.reason for gap in document.coverage.gaps} == {CoverageReason.LIMIT_REACHED}
    assert document.verdict is Verdict.UNKNOWN


async def test_open_files_are_given_back(engine: ScanEngine, tmp_path: Path, archives: Archives) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(archives.zip({"a.tar": archives.tar({"b.txt": TEXT})}))
    await engine.scan(path, name="x.zip", scan_id="s", submission_id="u")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await engine.scan(path, name="x.zip", scan_id="s", submission_id="u")

    assert len(list(Path("/proc/self/fd").iterdir())) <= before


async def test_a_broken_pack_is_refused_and_the_rest_works(tmp_path: Path) -> None:
    pack = tmp_path / "packs" / "broken"
    pack.mkdir(parents=True)
    (pack / "detector.toml").write_text("name = ")
    engine = await ScanEngine.start(EngineSettings(detectors_dir=tmp_path / "packs", sandbox_workers=1))

    assert [(refused.folder.name, "TOML" in refused.reason) for refused in engine.refused] == [("broken", True)]
    assert {detector.name for detector in engine.detectors} >= {"content-type", "eicar", "fumehood-rules"}
    await engine.close()


PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
    b"\0\0\0\x0cIDATx\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82"
)


async def test_a_picture_is_clean(scan: Scan) -> None:
    document = await scan("dot.png", PNG)

    assert document.root.content_type.label == "png"
    assert document.verdict is Verdict.CLEAN


async def test_an_archive_behind_a_picture_is_opened(scan: Scan, archives: Archives, eicar: bytes) -> None:
    document = await scan("dot.png", PNG + archives.zip({"eicar.com": eicar}))

    assert document.verdict is Verdict.MALICIOUS
    assert "eicar.com" in {artifact.name for artifact in document.artifacts}


@pytest.mark.parametrize(
    ("label", "head"),
    [
        ("png", b"FOR1\0\0\x10\0BEAM"),
        ("flac", b"FOR1\0\0\x10\0BEAM"),
        ("ico", b"\0\0\1\0\0\0" + bytes(20)),
        ("bmp", b"BM and other words that begin alike"),
        ("mp4", b"\0\0\0\x18moov"),
        ("wav", b"RIFF\0\0\0\0WEBP"),
        ("mp3", b"\xff\xd8\xff\xe0"),
        ("gif", b""),
    ],
)
def test_a_guess_that_the_first_bytes_rule_out_is_not_believed(label: str, head: bytes) -> None:
    assert contradicts(label, head)


@pytest.mark.parametrize(
    ("label", "head"),
    [
        ("png", PNG),
        ("ico", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0"),
        ("bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
        ("mp4", b"\0\0\0\x18ftypisom"),
        ("mp3", b"\xff\xfb\x90\x64"),
        ("mp3", b"ID3\4"),
        ("wav", b"RIFF\0\0\0\0WAVE"),
        ("txt", b"anything"),
    ],
)
def test_a_guess_that_the_first_bytes_allow_is(label: str, head: bytes) -> None:
    assert not contradicts(label, head)


def test_every_covered_binary_type_has_a_signature(engine: ScanEngine) -> None:
    types = load_content_types(magika_folder())
    rules = next(one for one in engine._tools.detectors if one.info.name == "fumehood-rules")

    assert {label for label in rules.covered.labels if not types[label].is_text} <= set(SIGNATURES)


PYTHON = b"""import os


def count_lines(folder):
    total = 0
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as handle:
            total += sum(1 for _ in handle)
    return total


if __name__ == "__main__":
    print(count_lines("."))
"""


async def test_a_script_that_the_model_covers_can_be_clean(scan: Scan) -> None:
    document = await scan("count.py", PYTHON)

    assert document.root.content_type.label == "python"
    assert "script-threat" in document.root.covered_by
    assert document.verdict is Verdict.CLEAN


async def test_a_script_that_the_model_reads_only_in_part_is_not_clean(scan: Scan) -> None:
    document = await scan("count.py", PYTHON * 4000)

    assert document.verdict is Verdict.UNKNOWN
    assert {gap.reason for gap in document.coverage.gaps} == {CoverageReason.TOO_LARGE}


async def test_a_detector_that_does_not_cover_a_type_leaves_no_gap_in_it(scan: Scan) -> None:
    document = await scan("words.txt", TEXT * 2000)

    assert document.coverage.level is CoverageLevel.COMPLETE
    assert document.root.covered_by == ("fumehood-rules",)


class BrokenModel:
    """A type model that fails on every run."""

    def run(self, outputs: object, tensor: object, rows: object) -> list[object]:
        raise DetectorError("The model run failed.")


async def test_a_type_model_that_fails_costs_coverage_and_no_more(engine: ScanEngine, scan: Scan) -> None:
    engine._tools.identifier._model = cast("ModelSession", BrokenModel())
    document = await scan("words.txt", TEXT)

    assert document.verdict is Verdict.UNKNOWN
    assert document.root.content_type.label == "unknown"
    assert [gap.reason for gap in document.coverage.gaps] == [CoverageReason.ERROR]


async def test_without_room_to_unpack_nothing_is_clean(
    engine: ScanEngine, scan: Scan, archives: Archives, settings: EngineSettings
) -> None:
    engine._tools.sandbox._settings = settings.model_copy(update={"work_dir": Path("/does/not/exist")})
    document = await scan("x.zip", archives.zip({"a.txt": TEXT}))

    assert document.verdict is Verdict.UNKNOWN
    assert [gap.reason for gap in document.coverage.gaps] == [CoverageReason.ERROR]
