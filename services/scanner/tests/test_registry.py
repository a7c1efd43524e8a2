"""Detectors that come, change and go while scans run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scanner.content import ByteRange
from scanner.detectors.base import Detector, Subject, TypeName
from scanner.detectors.registry import DetectorRegistry
from scanner.detectors.store import DetectorStore
from scanner.engine import EngineSettings, ScanEngine
from scanner.testing import NoPictures
from scanner.threads import Threads
from shared.scan import ContentType, ScanDocument, Verdict

RULE = 'rule demo {{ meta: severity = "high" strings: $a = "{word}" condition: $a }}'


def write_pack(folder: Path, word: str, name: str = "mine") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detector.toml").write_text(f'name = "{name}"\nversion = "{word}"\nkind = "yara"\n')
    (folder / "MODEL_CARD.md").write_text("# mine\n")
    (folder / "demo.yar").write_text(RULE.format(word=word))
    return folder


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[DetectorRegistry]:
    settings = EngineSettings(
        detectors_dir=tmp_path / "packs", rules_dir=tmp_path / "rules", detectors_poll_seconds=0.02
    )
    threads = Threads.start(settings)
    running = await DetectorRegistry.start(settings, threads)
    yield running
    await running.close()
    threads.close()


def names(registry: DetectorRegistry) -> set[str]:
    return {detector.info.name for detector in registry.detectors}


def version(registry: DetectorRegistry, name: str = "mine") -> str | None:
    return next((one.info.version for one in registry.detectors if one.info.name == name), None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- what the watcher does is seen from outside
            await asyncio.sleep(0.02)


async def test_a_folder_is_taken_up_changed_and_dropped(registry: DetectorRegistry, tmp_path: Path) -> None:
    assert "mine" not in names(registry)

    pack = write_pack(tmp_path / "packs" / "mine", "one")
    await until(lambda: version(registry) == "one")
    write_pack(pack, "two")
    await until(lambda: version(registry) == "two")
    (pack / "demo.yar").write_text("rule")
    await until(lambda: version(registry) is None)
    assert [refused.folder for refused in registry.refused] == [pack]


async def test_a_folder_of_rules_needs_no_manifest(registry: DetectorRegistry, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yar").write_text(RULE.format(word="one"))
    await until(lambda: "local-rules" in names(registry))
    before = version(registry, "local-rules")

    (tmp_path / "rules" / "a.yar").write_text(RULE.format(word="other"))
    await until(lambda: version(registry, "local-rules") != before)


async def test_what_has_not_changed_is_not_loaded_again(registry: DetectorRegistry, tmp_path: Path) -> None:
    before = {detector.info.name: detector for detector in registry.detectors}
    write_pack(tmp_path / "packs" / "mine", "one")
    await until(lambda: version(registry) == "one")
    after = {detector.info.name: detector for detector in registry.detectors}

    assert all(after[name] is detector for name, detector in before.items())


async def test_a_scan_keeps_the_detectors_it_began_with(registry: DetectorRegistry, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "packs" / "mine", "one")
    await until(lambda: version(registry) == "one")
    closed: list[Detector] = []
    with registry.lend() as lent:
        old = lent[-1]

        async def close() -> None:
            closed.append(old)

        old.close = close  # type: ignore[method-assign]
        write_pack(pack, "two")
        await until(lambda: version(registry) == "two")
        kind = ContentType(label="txt", mime_type="x/y", group="text", description="", score=1, is_text=True)
        subject = Subject(ByteRange.of(b"one two"), "a", kind, frozenset({TypeName("txt", "text")}), NoPictures())
        assert [finding.detector.version for finding in (await old.inspect(subject)).findings] == ["one"]
        assert closed == []
    await until(lambda: closed == [old])


async def test_changes_while_scans_run_cost_none_of_them(tmp_path: Path) -> None:
    """Added, put into shadow, promoted, rolled back and removed while scans begin and end all the time."""
    directory = tmp_path / "packs"
    settings = EngineSettings(detectors_dir=directory, detectors_poll_seconds=0.05, sandbox_workers=1)
    engine = await ScanEngine.start(settings)
    store = DetectorStore(directory, lambda _folder: None)
    file = tmp_path / "file.txt"
    file.write_text("the word is one, and then two\n" * 10)
    documents: list[ScanDocument] = []
    ended = False

    async def keep_scanning() -> None:
        while not ended:
            documents.append(await engine.scan(file, name="file.txt", scan_id="s", submission_id="s"))

    def ready() -> list[str]:
        return [info.version for info in documents[-1].detectors if info.name == "mine"] if documents else []

    scanning = [asyncio.create_task(keep_scanning()) for _ in range(3)]
    try:
        store.add(write_pack(tmp_path / "source", "one"), shadow=True)
        await until(lambda: ready() == ["one"])
        store.set_mode("mine", "live")
        await until(lambda: documents[-1].verdict is Verdict.MALICIOUS)
        store.add(write_pack(tmp_path / "source", "two"))
        await until(lambda: ready() == ["two"])
        store.roll_back("mine")
        await until(lambda: ready() == ["one"])
        store.remove("mine")
        await until(lambda: ready() == [])
    finally:
        ended = True
        await asyncio.gather(*scanning)
        await engine.close()

    in_shadow = [one for one in documents if any(finding.shadow for finding in one.root.findings)]
    assert in_shadow
    assert all(one.verdict is Verdict.CLEAN for one in in_shadow)
    assert all(not one.coverage.gaps for one in documents)
