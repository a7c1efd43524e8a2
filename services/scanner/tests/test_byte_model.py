"""Byte models: windows, batches, calibration, thresholds and evidence; with a small network.

The network gives each exclamation mark one point and says in which position it stood, so every
expected figure can be counted by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import math
import random
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from scanner.content import ByteRange
from scanner.detectors.base import Subject, TypeName
from scanner.detectors.byte_model import ByteModelConfig, ByteModelDetector
from scanner.detectors.byte_windows import ByteModelInput, Step, normalise, read_ends, window_starts, window_tokens
from scanner.detectors.loader import SHIPPED_PACKS
from scanner.detectors.pack import Pack
from scanner.engine import EngineSettings
from scanner.errors import PackRefusedError
from scanner.sessions import ModelSession, Row, open_session
from scanner.testing import NoPictures
from scanner.threads import Threads
from shared.scan import ContentType, CoverageReason, Verdict

TRAINING = Path(__file__).parent.parent / "training/script_threat/preprocessing.py"
STEPS: tuple[Step, ...] = ("utf16-to-utf8", "fold-case", "fold-space", "collapse-space", "shorten-runs")
MANIFEST = """
name = "shouting"
version = "1.0"
kind = "byte-model"
covers = ["javascript"]
sha256 = "{sha256}"
[thresholds]
suspicious = 0.5
malicious = 0.9
[calibration]
method = "platt"
slope = 1.0
intercept = -3.0
[input]
evidence = "evidence"
normalise = ["utf16-to-utf8", "fold-case", "fold-space", "collapse-space"]
window = 256
stride = 192
alignment = 64
max_bytes = 4096
also_scores = ["shell"]
[input.golden]
text = "Hello!"
logit = 1.0
tolerance = 0.01
"""


def shouting() -> bytes:
    """Count the exclamation marks in every 64 tokens (evidence) and in the window (score)."""
    nodes = [
        helper.make_node("Equal", ["tokens", "mark"], ["found"]),
        helper.make_node("Cast", ["found"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["ones", "blocks"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "last"], ["evidence"], keepdims=0),
        helper.make_node("ReduceSum", ["evidence", "first"], ["score"], keepdims=0),
    ]
    constants = [
        helper.make_tensor("mark", TensorProto.INT32, [1], [ord("!")]),
        helper.make_tensor("blocks", TensorProto.INT64, [3], [0, -1, 64]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("first", TensorProto.INT64, [1], [1]),
    ]
    graph = helper.make_graph(
        nodes,
        "shouting",
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, ["windows", "length"])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["windows"]),
            helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["windows", "blocks"]),
        ],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    serialized: bytes = made.SerializeToString()
    return serialized


SHOUTING = shouting()


class Counted(ModelSession):
    """Keeps the sizes of its batches."""

    batches: list[int]

    def run(self, outputs: Sequence[str], tensor: str, rows: Sequence[Row], **sizes: int) -> list[NDArray[np.float32]]:
        self.batches.append(len(rows))
        return super().run(outputs, tensor, rows, **sizes)


Make = Callable[..., ByteModelDetector]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[ByteModelDetector] = []
    settings = EngineSettings(model_batch=4)
    threads = Threads.start(settings)

    def build(batches: list[int] | None = None, **changes: str) -> ByteModelDetector:
        (tmp_path / "model.onnx").write_bytes(SHOUTING)
        (tmp_path / "MODEL_CARD.md").write_text("# shouting")
        manifest = MANIFEST.format(sha256=hashlib.sha256(SHOUTING).hexdigest())
        for old, new in changes.items():
            manifest = manifest.replace(f"{old} = ", f"{new}\n# ")
        (tmp_path / "detector.toml").write_text(manifest)
        pack = Pack.read(tmp_path)
        opened = open_session(tmp_path / "model.onnx", settings)
        session = Counted(opened.session, opened.provider, opened.limits)
        session.batches = [] if batches is None else batches
        detector = ByteModelDetector(pack, ByteModelConfig.of(pack), session, threads)
        made.append(detector)
        return detector

    yield build
    for detector in made:
        await detector.close()
    threads.close()


@pytest.fixture
def subject(tmp_path: Path) -> Callable[..., Subject]:
    def build(content: bytes, label: str = "javascript") -> Subject:
        path = tmp_path / f"{hashlib.md5(content).hexdigest()}.js"
        path.write_bytes(content)
        kind = ContentType(label=label, mime_type="x/y", group="code", description=label, score=1, is_text=True)
        return Subject(ByteRange.whole(path), "a.js", kind, frozenset({TypeName(label, "code")}), NoPictures())

    return build


@pytest.mark.parametrize(
    ("marks", "verdict", "score"),
    [
        (0, None, None),
        (2, None, None),
        (3, Verdict.SUSPICIOUS, 0.5),
        (5, Verdict.SUSPICIOUS, 1 / (1 + math.exp(-2))),
        (6, Verdict.MALICIOUS, 1 / (1 + math.exp(-3))),
    ],
)
async def test_the_calibrated_score_meets_the_thresholds(
    make: Make, subject: Callable[..., Subject], marks: int, verdict: Verdict | None, score: float | None
) -> None:
    inspection = await make().inspect(subject(b"alert(1)\n" + b"!" * marks))

    if verdict is None:
        assert inspection.findings == ()
        return
    (finding,) = inspection.findings
    assert finding.verdict is verdict
    assert finding.score == pytest.approx(score)
    assert finding.detector.provider == "CPUExecutionProvider"
    assert inspection.gaps == ()


async def test_of_a_type_it_does_not_cover_it_says_suspicious_at_most(
    make: Make, subject: Callable[..., Subject]
) -> None:
    (finding,) = (await make().inspect(subject(b"!" * 20, "shell"))).findings

    assert finding.verdict is Verdict.SUSPICIOUS


async def test_the_evidence_is_where_it_stands_in_the_original(make: Make, subject: Callable[..., Subject]) -> None:
    """White space collapses before the model reads, so places in its window are not places in the file."""
    content = b"x = 1;   \n" * 30 + b"shout('!!!!!!!!');\n" + b"y = 2;\n" * 10
    (finding,) = (await make().inspect(subject(content))).findings

    heaviest = finding.locations[0]
    assert heaviest.start <= content.index(b"!") < heaviest.end
    assert heaviest.first_line is not None
    assert heaviest.last_line is not None
    assert heaviest.first_line <= 31 <= heaviest.last_line
    assert sum(location.weight or 0 for location in finding.locations) == pytest.approx(1)
    assert "line" in finding.reason


async def test_evidence_does_not_span_what_the_model_did_not_read(make: Make, subject: Callable[..., Subject]) -> None:
    content = b"x = 1;" + b" " * 5000 + b"shout('!!!!!!!!');\n"
    (finding,) = (await make().inspect(subject(content))).findings

    heaviest = finding.locations[0]
    assert heaviest.start > 5000
    assert content[heaviest.start : heaviest.end].count(b"!") == 8


async def test_the_worst_window_decides(make: Make, subject: Callable[..., Subject]) -> None:
    content = b"a" * 1000 + b"!" * 6 + b"b" * 1000
    (finding,) = (await make().inspect(subject(content))).findings

    assert finding.score == pytest.approx(1 / (1 + math.exp(-3)))


async def test_windows_of_many_files_share_runs(make: Make, subject: Callable[..., Subject]) -> None:
    batches: list[int] = []
    detector = make(batches)
    subjects = [subject(b"z" * 100 + b"!" * number) for number in range(12)]
    inspections = await asyncio.gather(*(detector.inspect(one) for one in subjects))

    assert [bool(inspection.findings) for inspection in inspections] == [number >= 3 for number in range(12)]
    assert len(batches) < 12


async def test_of_a_large_file_both_ends_are_read_and_that_is_said(make: Make, subject: Callable[..., Subject]) -> None:
    detector = make()
    hidden = await detector.inspect(subject(b"a" * 4000 + b"!" * 9 + b"a" * 6000))
    found = await detector.inspect(subject(b"a" * 9000 + b"\n" + b"!" * 9))

    assert hidden.findings == ()
    assert [gap.reason for gap in hidden.gaps] == [CoverageReason.TOO_LARGE]
    assert found.findings[0].locations[0].start <= 9001 < found.findings[0].locations[0].end
    assert found.findings[0].locations[0].first_line is None


async def test_utf_16_is_read_as_text(make: Make, subject: Callable[..., Subject]) -> None:
    text = "x = 1;\r\n" * 5 + "!" * 8
    (finding,) = (await make().inspect(subject(text.encode("utf-16")))).findings

    assert finding.verdict is Verdict.MALICIOUS
    assert finding.locations[0].end <= len(text.encode("utf-16"))


async def test_in_shadow_every_score_is_recorded(make: Make, subject: Callable[..., Subject]) -> None:
    (finding,) = (await make(version='version = "1.0"\nmode = "shadow"').inspect(subject(b"calm"))).findings

    assert finding.shadow
    assert finding.verdict is Verdict.CLEAN


def test_it_wants_what_it_covers_and_what_it_also_scores(make: Make, subject: Callable[..., Subject]) -> None:
    detector = make()

    assert detector.wants(subject(b"x", "javascript"))
    assert detector.wants(subject(b"x", "shell"))
    assert not detector.wants(subject(b"x", "csv"))
    assert not detector.wants(subject(b"", "javascript"))
    assert detector.covered.includes(TypeName("javascript", "code"))
    assert not detector.covered.includes(TypeName("shell", "code"))


def test_a_model_that_misses_its_golden_text_is_refused(make: Make) -> None:
    make().check_golden()
    with pytest.raises(PackRefusedError, match="golden"):
        make(logit="logit = 2.0").check_golden()


def test_a_shipped_model_with_a_wrong_golden_file_or_tensor_is_refused(tmp_path: Path) -> None:
    settings = EngineSettings()
    threads = Threads.start(settings)
    shutil.copytree(SHIPPED_PACKS / "script-threat", tmp_path / "pack")
    manifest = (tmp_path / "pack" / "detector.toml").read_text()
    (tmp_path / "pack" / "golden.js").write_text("x = 1;\n")

    def load(changed: str) -> None:
        (tmp_path / "pack" / "detector.toml").write_text(changed)
        ByteModelDetector.load(Pack.read(tmp_path / "pack"), settings, threads)

    load(manifest + '\n[golden]\nfile = "golden.js"\nscore = 0.0\ntolerance = 1\n')
    with pytest.raises(PackRefusedError, match=r"golden file golden\.js"):
        load(manifest + '\n[golden]\nfile = "golden.js"\nscore = 1.0\ntolerance = 0.0001\n')
    with pytest.raises(PackRefusedError, match="inputs are tokens"):
        load(manifest.replace('tensor = "tokens"', 'tensor = "bytes"'))
    threads.close()


@pytest.mark.parametrize(
    ("table", "replacement", "reason"),
    [
        ("window", "window = 1", "window"),
        ("method", 'method = "guess"', "method"),
        ("normalise", 'normalise = ["rot13"]', "normalise"),
    ],
)
def test_a_wrong_manifest_is_refused(make: Make, table: str, replacement: str, reason: str) -> None:
    with pytest.raises(PackRefusedError, match=reason):
        make(**{table: replacement})


@pytest.fixture(scope="module")
def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("script_threat_preprocessing", TRAINING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPTS = [
    b"",
    b"x",
    b"  Import  OS\r\n\r\n\tprint(1)\n",
    b"\xef\xbb\xbf<?PHP echo 1;",
    "Wörter, 文字, 🎈 \r\n".encode("utf-16"),
    "$Text = 1\r\n".encode("utf-16-le") * 300,
    "$Text = 1\r\n".encode("utf-16-be") * 300,
    b"odd \xff\xfe bytes\x00\x01" * 50,
    b"line of code;\n" * 1000,
    b"big   file\n" * 120_000,
    b"x = '" + b"QUJD" * 11 + b"'\n" + b"-" * 41 + b"\n" + b"a" * 40 + b" " + b"0f" * 900_000,
    b"x = '''\n"
    + (b"QUJD" * 19 + b"\n") * 50
    + b"QUI=\n'''; y = '"
    + b"QUJD" * 19
    + b"' +\n    '"
    + b"QUJD" * 19
    + b"'",
    random.Random(4).randbytes(9000),
]


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_scripts_are_read_as_in_training(training: ModuleType, tmp_path: Path, number: int) -> None:
    declared = ByteModelInput(
        window=training.WINDOW,
        stride=training.STRIDE,
        alignment=training.ALIGNMENT,
        max_bytes=training.MAX_BYTES,
        padding_token=training.PADDING_TOKEN,
    )
    data = SCRIPTS[number]
    path = tmp_path / "script"
    path.write_bytes(data)
    read, cut, left_out = read_ends(ByteRange.whole(path), declared.max_bytes)
    ours = normalise(read, cut, left_out, STEPS)
    reference = training.normalise(data)

    assert np.array_equal(ours.codes, reference.codes)
    assert np.array_equal(ours.offsets, reference.offsets)
    starts = window_starts(len(ours.codes), declared)
    assert starts == training.window_starts(len(reference.codes))
    expected = training.tokenise(reference.codes, starts)
    for start, row in zip(starts, expected, strict=True):
        window = window_tokens(ours.codes, start, declared)
        assert np.array_equal(window, row[: len(window)])
        assert (row[len(window) :] == training.PADDING_TOKEN).all()
