"""A version in shadow beside the live one: what both made of a file is recorded, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scanner.detectors.loader import SHIPPED_PACKS
from scanner.engine import EngineSettings, ScanEngine
from scanner.testing import Archives, Scan
from shared.scan import DetectorRun, ScanDocument, Verdict

PYTHON = b"import os\n\n\ndef count(path):\n    return len(os.listdir(path))\n" * 10
RULES = """name = "fumehood-rules"
version = "9"
kind = "yara"
mode = "shadow"
covers = ["*"]
"""


@pytest.fixture
def settings(tmp_path: Path, settings: EngineSettings) -> EngineSettings:
    """The shipped script model once more, in shadow, and rules under the name of the shipped ones."""
    pack = tmp_path / "detectors" / "next"
    shutil.copytree(SHIPPED_PACKS / "script-threat", pack)
    manifest = pack / "detector.toml"
    text = manifest.read_text().replace('name = "script-threat"', 'name = "script-threat"\nmode = "shadow"')
    manifest.write_text("\n".join('version = "9"' if x.startswith("version") else x for x in text.splitlines()))
    rules = tmp_path / "detectors" / "rules"
    rules.mkdir()
    (rules / "detector.toml").write_text(RULES)
    (rules / "MODEL_CARD.md").write_text("# rules\n")
    (rules / "demo.yar").write_text("rule demo { condition: false }")
    return settings.model_copy(update={"detectors_dir": tmp_path / "detectors"})


@pytest.fixture
async def plain_engine(settings: EngineSettings) -> AsyncIterator[ScanEngine]:
    running = await ScanEngine.start(settings.model_copy(update={"detectors_dir": None}))
    yield running
    await running.close()


def runs(document: ScanDocument) -> dict[tuple[str, bool], DetectorRun]:
    return {(run.detector, run.shadow): run for run in document.root.runs}


async def test_both_versions_are_recorded_where_neither_finds_anything(scan: Scan) -> None:
    document = await scan("count.py", PYTHON)
    found = runs(document)

    live, shadow = found["script-threat", False], found["script-threat", True]
    assert (live.verdict, shadow.verdict, shadow.version) == (Verdict.CLEAN, Verdict.CLEAN, "9")
    assert live.score is not None
    assert live.score == pytest.approx(shadow.score, abs=0.01)
    assert found["fumehood-rules", False].score is None
    assert document.verdict is Verdict.CLEAN
    assert document.root.covered_by.count("script-threat") == 1


async def test_what_a_detector_did_not_see_whole_is_unknown_to_it(scan: Scan) -> None:
    found = runs(await scan("count.py", PYTHON * 4000))

    assert {found["script-threat", shadow].verdict for shadow in (True, False)} == {Verdict.UNKNOWN}


async def test_only_what_a_shadow_looks_at_has_a_record(scan: Scan, archives: Archives) -> None:
    document = await scan("words.zip", archives.zip({"nothing": b"", "count.py": PYTHON}))

    assert {artifact.name: len(artifact.runs) > 0 for artifact in document.artifacts} == {
        "words.zip": True,
        "nothing": False,
        "count.py": True,
    }


async def test_without_a_shadow_nothing_is_recorded(plain_engine: ScanEngine, tmp_path: Path) -> None:
    path = tmp_path / "count.py"
    path.write_bytes(PYTHON)

    assert (await plain_engine.scan(path, name="count.py", scan_id="1", submission_id="1")).root.runs == ()


async def test_a_shadow_of_the_same_name_covers_nothing(scan: Scan) -> None:
    """The live rules cover plain text; those in shadow say that they cover everything, a shell script too."""
    document = await scan("words.sh", b"Some words. " * 50)

    assert document.root.covered_by == ("fumehood-rules",)
    assert document.verdict is Verdict.UNKNOWN
