import tomllib
from pathlib import Path

import pytest

from script_threat.calibration import Calibration
from script_threat.card import figures_table, table
from script_threat.evaluation import LanguageFigures
from script_threat.pack import GOLDEN_TEXT, PackFacts, render_manifest, sha256_of


def test_the_manifest_keeps_every_digit() -> None:
    facts = PackFacts("1.2.3", Calibration(0.7439164928970204, -2.4), 0.551371101636996, 0.888464141093678, 0.4585)
    manifest = tomllib.loads(render_manifest(facts, "ab" * 32))
    assert manifest["version"] == "1.2.3"
    assert manifest["sha256"] == "ab" * 32
    assert manifest["calibration"] == {"method": "platt", "slope": 0.7439164928970204, "intercept": -2.4}
    assert manifest["thresholds"] == {"suspicious": 0.551371101636996, "malicious": 0.888464141093678}
    assert manifest["input"]["golden"]["text"] == GOLDEN_TEXT


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"abc")
    assert sha256_of(tmp_path / "model.onnx").startswith("ba7816bf")


def test_a_table_has_a_rule_below_its_head() -> None:
    assert table(["a", "b"], [["1", "2"]]).splitlines() == ["| a | b |", "|---|---|", "| 1 | 2 |"]


@pytest.mark.parametrize(
    ("baseline", "expected"), [({}, "| 0.9000 |"), ({"php": ("0.8", "-", "-")}, "| 0.9000 (0.8) |")]
)
def test_the_baseline_stands_in_brackets(baseline: dict[str, tuple[str, str, str]], expected: str) -> None:
    assert expected in figures_table([LanguageFigures("php", 10, 20, 0.9, 0.5, 0.4)], baseline)
