"""`fumehood detectors`, on data of our own making; figures are counted by hand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.measures import calibration_error, measure, reliability
from scanner.detectors.loader import SHIPPED_PACKS
from scanner.engine import EngineSettings, ScanEngine

FUMEHOOD = Path(sys.executable).with_name("fumehood")
SHELL = b"<?php @eval($_" + b"POST['x']); ?>"
BODIES = [b"", SHELL, b"<?php echo 1 + 2;\n" * 40, b"import os\nprint(os.sep)\n" * 500, SHELL + b"\n// more\n" * 900]


def fumehood(data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FUMEHOOD_DATA_DIR": str(data)}
    command = [str(FUMEHOOD), "detectors", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=environment)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    xor = bytes(value ^ 0xA5 for value in range(256))
    columns = {
        "sha256": [hashlib.sha256(body).hexdigest() for body in BODIES],
        "label": [0, 1, 0, 0, 1],
        "language": ["php", "php", "php", "python", "php"],
        "body": [body.translate(xor) for body in BODIES],
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """The shipped model under another name in shadow, where every score is recorded."""
    pack = tmp_path / "detectors" / "echo"
    shutil.copytree(SHIPPED_PACKS / "script-threat", pack)
    manifest = (pack / "detector.toml").read_text()
    (pack / "detector.toml").write_text(manifest.replace('name = "script-threat"', 'name = "echo"\nmode = "shadow"'))
    return pack


def test_list_names_what_runs_and_what_is_refused(tmp_path: Path, shadowed: Path) -> None:
    (tmp_path / "detectors" / "broken").mkdir()
    done = fumehood(tmp_path, "list", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["name"]: line for line in lines if "name" in line}

    assert done.returncode == 0
    assert found["echo"]["mode"] == "shadow"
    assert found["script-threat"]["mode"] == "live"
    assert found["script-threat"]["provider"] == "CPUExecutionProvider"
    assert "php" in found["script-threat"]["covers"]
    assert [Path(line["folder"]).name for line in lines if "refused" in line] == ["broken"]
    assert "detector.toml" in fumehood(tmp_path, "list").stderr


def test_show_gives_manifest_and_card(tmp_path: Path) -> None:
    shown = fumehood(tmp_path, "show", "script-threat").stdout
    facts = json.loads(fumehood(tmp_path, "show", "script-threat", "--json").stdout)

    assert "TPR at 0.1 % FPR" in shown
    assert str(facts["thresholds"]["malicious"]) in shown
    assert Path(facts["model_card"]).is_file()
    assert fumehood(tmp_path, "show", "none").returncode == 2


def test_a_version_in_shadow_is_meant_by_its_version(tmp_path: Path, shadowed: Path) -> None:
    manifest = shadowed / "detector.toml"
    text = manifest.read_text().replace('name = "echo"', 'name = "script-threat"')
    manifest.write_text(
        "\n".join('version = "9"' if line.startswith("version") else line for line in text.splitlines())
    )

    def show(name: str) -> dict[str, object]:
        shown: dict[str, object] = json.loads(fumehood(tmp_path, "show", name, "--json").stdout)
        return shown

    assert show("script-threat")["mode"] == "live"
    assert (show("script-threat@9")["mode"], show("script-threat@9")["version"]) == ("shadow", "9")
    assert fumehood(tmp_path, "show", "script-threat@8").returncode == 2


def test_scores_are_those_of_a_scan(tmp_path: Path, data: Path, shadowed: Path) -> None:
    output = tmp_path / "scores.parquet"
    done = fumehood(tmp_path, "score", "--input", data, "--output", output)
    table = pq.read_table(output).to_pydict()

    async def scan_all() -> list[float]:
        engine = await ScanEngine.start(EngineSettings(detectors_dir=shadowed.parent, sandbox_workers=1))
        try:
            return [await _score_of_scan(engine, tmp_path, body) for body in BODIES]
        finally:
            await engine.close()

    assert done.returncode == 0
    assert list(table) == ["sha256", "score"]
    assert table["sha256"] == [hashlib.sha256(body).hexdigest() for body in BODIES]
    assert table["score"] == pytest.approx(asyncio.run(scan_all()), abs=0.01)


async def _score_of_scan(engine: ScanEngine, folder: Path, body: bytes) -> float:
    path = folder / "file.php"
    path.write_bytes(body)
    document = await engine.scan(path, name="file.php", scan_id="1", submission_id="1")
    scores = [finding.score for finding in document.root.findings if finding.detector.name == "echo"]
    return scores[0] or 0.0 if scores else 0.0


def test_evaluate_measures_each_language_and_all(tmp_path: Path, data: Path) -> None:
    done = fumehood(tmp_path, "evaluate", data, "--json")
    found = json.loads(done.stdout)

    assert {name: (group["malicious"], group["benign"]) for name, group in found["groups"].items()} == {
        "all": (2, 3),
        "php": (2, 2),
        "python": (0, 1),
    }
    assert found["groups"]["all"]["auc"] == 1
    assert found["groups"]["python"]["auc"] is None
    assert sum(one["rows"] for one in found["reliability"]) == 5
    assert "TPR at 0.1 % FPR" in fumehood(tmp_path, "evaluate", data).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.parquet"], "cannot be read"),
        ([__file__], "cannot be read"),
        (["{data}", "--detector", "none"], "no detector named none"),
        (["{data}", "--detector", "eicar"], "gives no scores"),
        (["{data}", "--encoding", "rot13"], "xor-a5 or plain"),
    ],
)
def test_what_cannot_be_evaluated_is_one_clear_line(
    tmp_path: Path, data: Path, arguments: list[str], message: str
) -> None:
    done = fumehood(tmp_path, "evaluate", *(argument.format(data=data) for argument in arguments))

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": [b"x"]}), tmp_path / "data.parquet")

    assert "no column label" in fumehood(tmp_path, "evaluate", tmp_path / "data.parquet").stderr


def test_plain_bodies_are_read_as_they_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sha256": ["a", "b"], "body": [SHELL, b"x = 1\n" * 99]}), tmp_path / "plain.parquet")
    output = tmp_path / "scores.parquet"
    fumehood(tmp_path, "score", "--input", tmp_path / "plain.parquet", "--output", output, "--encoding", "plain")
    shell, harmless = pq.read_table(output).to_pydict()["score"]

    assert shell > 0.5 > harmless


def test_figures_by_hand() -> None:
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.4, 0.2, 0.4, 0.3, 0.1, 0.0])
    figures = measure(labels, scores)

    assert (figures.malicious, figures.benign) == (4, 4)
    assert figures.auc == (4 + 4 + 3.5 + 2) / 16
    assert figures.detection == (0.5, 0.5)


def test_reliability_by_hand() -> None:
    found = reliability(np.array([1, 0, 1]), np.array([0.95, 1.0, 0.05]))

    assert [(one.lower, one.rows, one.malicious_share) for one in found] == [(0.0, 1, 1.0), (0.9, 2, 0.5)]
    assert found[1].mean_score == pytest.approx(0.975)
    assert calibration_error(found) == pytest.approx((0.95 + 2 * 0.475) / 3)


def test_a_pack_is_added_shadowed_promoted_removed_and_brought_back(tmp_path: Path, shadowed: Path) -> None:
    source = shadowed.rename(tmp_path / "source")

    def admin(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FUMEHOOD_DATA_DIR": str(tmp_path)}
        command = [str(FUMEHOOD), "admin", "detectors", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=environment)

    def mode() -> str | None:
        manifest = tmp_path / "detectors" / "echo" / "detector.toml"
        return tomllib.loads(manifest.read_text())["mode"] if manifest.exists() else None

    assert admin("add", source).stdout == "echo is added.\n"
    assert mode() == "shadow"
    assert admin("promote", "echo").returncode == 0
    assert mode() == "live"
    assert admin("remove", "echo").returncode == 0
    assert mode() is None
    assert admin("rollback", "echo").returncode == 0
    assert mode() == "live"
    (source / "model.onnx").write_bytes(b"changed")
    refused = admin("add", source)
    assert refused.returncode == 2
    assert "SHA-256" in refused.stderr
    assert "ships" in admin("add", SHIPPED_PACKS / "script-threat").stderr
