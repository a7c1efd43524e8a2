"""Model packs: what is loaded, and what is refused with which reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.detectors.base import Covered, TypeName
from scanner.detectors.loader import SHIPPED_PACKS, LoadedPacks, load_detectors
from scanner.detectors.pack import Pack, rules_sha256
from scanner.engine import EngineSettings
from scanner.threads import Threads

RULE = 'rule demo { meta: severity = "high" strings: $a = "demonstration" condition: $a }'
MANIFEST = 'name = "mine"\nversion = "2.1"\nkind = "yara"\ncovers = ["txt", "group:image"]\n'

WritePack = Callable[..., Path]


@pytest.fixture
def write_pack(tmp_path: Path) -> WritePack:
    def write(manifest: str = MANIFEST, rule: str | None = RULE, *, card: bool = True, folder: str = "mine") -> Path:
        pack = tmp_path / "packs" / folder
        pack.mkdir(parents=True)
        (pack / "detector.toml").write_text(manifest)
        if rule is not None:
            (pack / "demo.yar").write_text(rule)
        if card:
            (pack / "MODEL_CARD.md").write_text("# mine\n")
        return pack

    return write


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[], LoadedPacks]]:
    settings = EngineSettings(detectors_dir=tmp_path / "packs")
    threads = Threads.start(settings)
    yield lambda: load_detectors(settings, threads)
    threads.close()


def test_a_dropped_folder_is_a_detector(write_pack: WritePack, load: Callable[[], LoadedPacks]) -> None:
    pack = write_pack()
    loaded = load()

    assert loaded.refused == ()
    detector = loaded.detectors[-1]
    assert (detector.info.name, detector.info.version, detector.info.kind) == ("mine", "2.1", "yara")
    assert detector.info.model_sha256 == rules_sha256(pack)


@pytest.mark.parametrize(
    ("manifest", "rule", "reason"),
    [
        ("name = ", RULE, "not TOML"),
        ('name = "mine"\nkind = "yara"\n', RULE, "wrong at version"),
        (MANIFEST + "surprise = 1\n", RULE, "wrong at surprise"),
        (MANIFEST.replace('"mine"', '"../mine"'), RULE, "wrong at name"),
        (MANIFEST.replace("yara", "crystal-ball"), RULE, "crystal-ball is not known"),
        (MANIFEST.replace("yara", "builtin"), RULE, "no built-in detector named mine"),
        (MANIFEST + f'sha256 = "{"0" * 64}"\n', RULE, "SHA-256"),
        (MANIFEST, None, "no rule files"),
        (MANIFEST, "rule demo { condition: $missing }", "demo.yar:1: unknown pattern"),
        (MANIFEST.replace('"mine"', '"fumehood-rules"'), RULE, "already loaded"),
    ],
)
def test_a_broken_pack_is_refused_with_its_reason(
    write_pack: WritePack, load: Callable[[], LoadedPacks], manifest: str, rule: str | None, reason: str
) -> None:
    write_pack(manifest, rule)
    loaded = load()

    assert len(loaded.refused) == 1
    assert reason in loaded.refused[0].reason
    assert "fumehood-rules" in {detector.info.name for detector in loaded.detectors}


def test_rules_that_are_left_out_are_said_and_nothing_is_covered(
    write_pack: WritePack, load: Callable[[], LoadedPacks]
) -> None:
    write_pack(rule=RULE + "\nrule broken { condition: $missing }")
    pack = load().packs[-1]

    assert pack.problems == (
        "demo.yar:2: unknown pattern `$missing` (this pattern is not declared in the `strings` section)",
    )
    assert pack.detector.covered == Covered()


def test_a_pack_without_model_card_is_refused(write_pack: WritePack, load: Callable[[], LoadedPacks]) -> None:
    write_pack(card=False)

    assert "MODEL_CARD.md" in load().refused[0].reason


def test_a_model_without_hash_is_refused(write_pack: WritePack, load: Callable[[], LoadedPacks]) -> None:
    pack = write_pack(MANIFEST.replace("yara", "byte-model"))
    (pack / "model.onnx").write_bytes(b"")

    assert "SHA-256 of the model" in load().refused[0].reason


def test_a_right_hash_is_accepted_and_a_changed_rule_is_not(
    write_pack: WritePack, load: Callable[[], LoadedPacks]
) -> None:
    pack = write_pack()
    (pack / "detector.toml").write_text(MANIFEST + f'sha256 = "{rules_sha256(pack)}"\n')
    assert load().refused == ()

    (pack / "demo.yar").write_text(RULE.replace("demonstration", "another thing"))
    assert "SHA-256" in load().refused[0].reason


def test_shadow_mode_is_read(write_pack: WritePack) -> None:
    assert Pack.read(write_pack(MANIFEST + 'mode = "shadow"\n')).shadow


def test_covered_types_are_labels_and_groups() -> None:
    covered = Covered.parse(("txt", "group:image"))

    assert covered.includes(TypeName("txt", "text"))
    assert covered.includes(TypeName("png", "image"))
    assert not covered.includes(TypeName("csv", "code"))


@pytest.mark.parametrize(
    "folder", sorted(path for path in SHIPPED_PACKS.iterdir() if (path / "detector.toml").is_file())
)
def test_shipped_packs_are_whole(folder: Path) -> None:
    pack = Pack.read(folder)

    assert pack.manifest.name == folder.name
    assert len((folder / "MODEL_CARD.md").read_text()) > 200
