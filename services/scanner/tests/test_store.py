"""Changes to the detectors directory: in one step, kept for going back, refused when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.detectors.pack import Pack
from scanner.detectors.store import DetectorStore
from scanner.errors import PackRefusedError
from shared.errors import ClientError, NotFoundError

MANIFEST = """name = "mine"
version = "{version}"
kind = "yara"
covers = [
    "txt",
]

[thresholds] # as measured
suspicious = 0.5
malicious = 0.9
"""


def write(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detector.toml").write_text(MANIFEST.format(version=version))
    (folder / "MODEL_CARD.md").write_text("# mine\n")
    (folder / "demo.yar").write_text("rule demo { condition: true }")
    return folder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "detectors"


@pytest.fixture
def store(directory: Path) -> DetectorStore:
    def check(folder: Path) -> None:
        if Pack.read(folder).manifest.version == "broken":
            raise PackRefusedError("It is broken.")

    return DetectorStore(directory, check)


def state(directory: Path) -> tuple[str, str]:
    manifest = Pack.read(directory / "mine").manifest
    assert manifest.thresholds is not None
    assert manifest.covers == ("txt",)
    return manifest.version, manifest.mode


def test_versions_come_and_go(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    assert store.add(write(tmp_path / "one", "1"), shadow=True) == "mine"
    assert state(directory) == ("1", "shadow")
    store.set_mode("mine", "live")
    assert state(directory) == ("1", "live")
    store.add(write(tmp_path / "two", "2"))
    assert state(directory) == ("2", "live")
    store.roll_back("mine")
    assert state(directory) == ("1", "live")
    store.roll_back("mine")
    assert state(directory) == ("1", "shadow")
    with pytest.raises(NotFoundError, match="no earlier version"):
        store.roll_back("mine")


def test_what_was_removed_can_be_brought_back(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    store.add(write(tmp_path / "one", "1"))
    store.remove("mine")
    assert not (directory / "mine").exists()

    store.roll_back("mine")
    assert state(directory) == ("1", "live")


def test_a_broken_pack_changes_nothing(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    store.add(write(tmp_path / "one", "1"))
    with pytest.raises(PackRefusedError, match="broken"):
        store.add(write(tmp_path / "two", "broken"))

    assert state(directory) == ("1", "live")
    assert [path.name for path in (directory / ".versions" / "mine").iterdir()] == ["0001"]


def test_a_folder_put_there_by_hand_is_kept(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    write(directory / "mine", "by hand")
    store.add(write(tmp_path / "two", "2"))
    assert state(directory) == ("2", "live")

    store.roll_back("mine")
    assert state(directory) == ("by hand", "live")


@pytest.mark.parametrize("name", ["none", "..", "../detectors", ".versions", ""])
def test_only_what_is_there_can_be_changed(store: DetectorStore, directory: Path, tmp_path: Path, name: str) -> None:
    store.add(write(tmp_path / "one", "1"))
    for change in (store.remove, lambda one: store.set_mode(one, "shadow")):
        with pytest.raises(NotFoundError):
            change(name)
    assert state(directory) == ("1", "live")


def test_the_mode_it_is_in_is_no_change(store: DetectorStore, tmp_path: Path) -> None:
    store.add(write(tmp_path / "one", "1"))
    with pytest.raises(ClientError, match="live already"):
        store.set_mode("mine", "live")


def test_a_version_on_trial_leaves_the_live_one_at_work(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    store.add(write(tmp_path / "one", "1"))
    store.add(write(tmp_path / "two", "2"), shadow=True)
    trial = Pack.read(directory / "mine.shadow").manifest
    assert (state(directory), trial.version, trial.mode) == (("1", "live"), "2", "shadow")
    with pytest.raises(ClientError, match="Another version"):
        store.set_mode("mine", "shadow")

    store.set_mode("mine", "live")
    assert state(directory) == ("2", "live")
    assert not (directory / "mine.shadow").exists()

    store.roll_back("mine")
    assert state(directory) == ("1", "live")


def test_a_version_on_trial_can_be_removed_alone(store: DetectorStore, directory: Path, tmp_path: Path) -> None:
    store.add(write(tmp_path / "one", "1"))
    with pytest.raises(NotFoundError, match="on trial"):
        store.remove("mine", trial=True)
    store.add(write(tmp_path / "two", "2"), shadow=True)
    store.remove("mine", trial=True)

    assert state(directory) == ("1", "live")
    assert not (directory / "mine.shadow").exists()
