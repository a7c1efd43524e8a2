"""Text, image and tabular models: real ONNX graphs small enough to be worked out by hand."""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from scanner.content import ByteRange
from scanner.detectors.base import Subject, TypeName
from scanner.detectors.calibration import ModelOutput
from scanner.detectors.image_input import ImageInput
from scanner.detectors.loader import LoadedPacks, load_detectors
from scanner.detectors.model import ModelDetector
from scanner.detectors.tabular_input import TabularInput
from scanner.detectors.text_input import TextInput, fnv1a_ngrams
from scanner.engine import EngineSettings
from scanner.errors import DetectorError, TooLargeError
from scanner.testing import NoPictures
from scanner.threads import Threads
from shared.scan import ContentType, CoverageReason, Verdict

MANIFEST = """
name = "mine"
version = "1.0"
kind = "tabular-model"
covers = ["txt"]
sha256 = "{sha256}"
[thresholds]
suspicious = 0.5
malicious = 0.9
[input]
tensor = "figures"
features = ["high_ratio", "log_size"]
max_bytes = 2048
also_scores = ["csv"]
[output]
tensor = "score"
gives = "logit"
[golden]
file = "golden.bin"
score = 0.5
"""

Write = Callable[..., Path]
Load = Callable[[], LoadedPacks]


def model(weights: list[list[float]], output_type: int = TensorProto.FLOAT) -> bytes:
    """Multiply the figures with the weights: a logit for each column."""
    columns = len(weights[0])
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["figures", "weights"], ["product"]),
            helper.make_node("Cast", ["product"], ["score"], to=output_type),
        ],
        "linear",
        [helper.make_tensor_value_info("figures", TensorProto.FLOAT, ["files", len(weights)])],
        [helper.make_tensor_value_info("score", output_type, ["files", columns])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [len(weights), columns], np.ravel(weights).tolist())],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    serialized: bytes = made.SerializeToString()
    return serialized


EIGHTS = model([[8.0], [0.0]])
"""Eight times the share of bytes from 0x80 up."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_pack(network: bytes = EIGHTS, golden: bytes = b"plain", **changes: str) -> Path:
        pack = tmp_path / "packs" / "mine"
        pack.mkdir(parents=True)
        (pack / "model.onnx").write_bytes(network)
        (pack / "MODEL_CARD.md").write_text("# mine\n")
        (pack / "golden.bin").write_bytes(golden)
        manifest = MANIFEST.format(sha256=hashlib.sha256(network).hexdigest())
        for old, new in changes.items():
            manifest = manifest.replace(f"\n{old} = ", f"\n{new}\n# ")
        (pack / "detector.toml").write_text(manifest)
        return pack

    return write_pack


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    settings = EngineSettings(detectors_dir=tmp_path / "packs")
    threads = Threads.start(settings)
    yield lambda: load_detectors(settings, threads)
    threads.close()


@pytest.fixture
async def detector(write: Write, load: Load) -> AsyncIterator[ModelDetector]:
    write()
    loaded = load()
    assert loaded.refused == ()
    found = loaded.detectors[-1]
    assert isinstance(found, ModelDetector)
    yield found
    await found.close()


def subject(content: bytes, label: str = "txt") -> Subject:
    kind = ContentType(label=label, mime_type="x/y", group="text", description=label, score=1, is_text=True)
    return Subject(ByteRange.of(content), "a", kind, frozenset({TypeName(label, "text")}), NoPictures())


@pytest.mark.parametrize(
    ("high", "label", "verdict"),
    [(0, "txt", Verdict.SUSPICIOUS), (3, "txt", Verdict.MALICIOUS), (3, "csv", Verdict.SUSPICIOUS)],
)
async def test_a_file_gets_the_calibrated_score(
    detector: ModelDetector, high: int, label: str, verdict: Verdict
) -> None:
    (finding,) = (await detector.inspect(subject(b"\xff" * high + b"a" * (8 - high), label))).findings

    assert finding.score == pytest.approx(1 / (1 + math.exp(-high)))
    assert finding.verdict is verdict
    assert finding.detector.provider == "CPUExecutionProvider"


async def test_files_in_flight_share_batches_and_keep_their_scores(detector: ModelDetector) -> None:
    contents = [b"\xff" * number + b"a" * (8 - number) for number in range(9)]
    scores = await asyncio.gather(*(detector.score(ByteRange.of(content), NoPictures()) for content in contents))

    assert scores == pytest.approx([1 / (1 + math.exp(-number)) for number in range(9)])


async def test_what_was_not_read_is_said(detector: ModelDetector) -> None:
    inspection = await detector.inspect(subject(b"a" * 2049))

    assert [gap.reason for gap in inspection.gaps] == [CoverageReason.TOO_LARGE]


def test_it_wants_what_it_covers_or_scores_besides(detector: ModelDetector) -> None:
    assert detector.wants(subject(b"a"))
    assert detector.wants(subject(b"a", "csv"))
    assert not detector.wants(subject(b"a", "php"))
    assert not detector.wants(subject(b""))


@pytest.mark.parametrize(
    ("network", "changes", "reason"),
    [
        (EIGHTS, {"score": "score = 0.9"}, "golden file golden.bin 0.5000"),
        (EIGHTS, {"file": 'file = "none.bin"'}, "none.bin cannot be read"),
        (EIGHTS, {"file": 'file = "../detector.toml"'}, "golden.file"),
        (EIGHTS, {"features": 'features = ["size"]'}, "shape [files, 2]"),
        (EIGHTS, {"features": 'features = ["colour"]'}, "input.features"),
        (EIGHTS, {"tensor": 'tensor = "none"'}, "inputs are figures"),
        (EIGHTS, {"gives": 'gives = "logit"\ncolumn = 3'}, "no right column"),
        (EIGHTS, {"kind": 'kind = "text-model"'}, "wrong at input"),
        (model([[1.0, 2.0], [0.0, 0.0]]), {}, "no right column"),
        (model([[1.0], [0.0]], TensorProto.INT64), {}, "tensor(int64)"),
        (model([[float("nan")], [0.0]]), {}, "not a number"),
        (b"no model", {}, "cannot load the model"),
    ],
)
def test_a_broken_pack_is_refused_with_its_reason(
    write: Write, load: Load, network: bytes, changes: dict[str, str], reason: str
) -> None:
    write(network, **changes)
    loaded = load()

    assert [reason in refused.reason for refused in loaded.refused] == [True], loaded.refused
    assert "fumehood-rules" in {detector.info.name for detector in loaded.detectors}


def test_a_pack_without_golden_file_is_refused(write: Write, load: Load) -> None:
    pack = write()
    manifest = (pack / "detector.toml").read_text()
    (pack / "detector.toml").write_text(manifest[: manifest.index("[golden]")])

    assert "[golden]" in load().refused[0].reason


def test_probabilities_of_a_class_become_logits() -> None:
    output = ModelOutput(tensor="p", gives="probability", column=1)

    assert output.logits(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32)) == pytest.approx([0, math.log(9)], abs=1e-5)


def text(content: bytes, **declared: object) -> tuple[np.ndarray, bool]:
    made = TextInput.model_validate({"tensor": "text", **declared})
    return made.preparer(Path("/none")).prepare(ByteRange.of(content))


@pytest.mark.parametrize("encoded", ["Grüße".encode(), "Grüße".encode("utf-16"), b"\xef\xbb\xbf" + "Grüße".encode()])
def test_text_is_decoded_by_its_mark(encoded: bytes) -> None:
    row, whole = text(encoded, features="string", lower_case=True)

    assert (row.tolist(), whole) == (["grüße"], True)


def test_cut_text_is_not_whole() -> None:
    assert text(b"abcdef", features="string", max_characters=3) == (np.array(["abc"], object), False)


def test_words_and_characters_are_numbered_by_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("<pad>\n<unknown>\neval\n(\na\n")
    base = {"tensor": "ids", "length": 5, "vocabulary": "vocabulary.txt"}
    words = TextInput.model_validate({**base, "features": "words"}).preparer(tmp_path)
    characters = TextInput.model_validate({**base, "features": "characters"}).preparer(tmp_path)

    assert words.prepare(ByteRange.of(b"eval(b a")).row.tolist() == [2, 3, 1, 4, 0]
    assert characters.prepare(ByteRange.of(b"a(b")).row.tolist() == [4, 3, 1, 0, 0]
    assert not characters.prepare(ByteRange.of(b"aaaaaa")).whole


def test_ngrams_are_hashed_by_fnv_1a() -> None:
    # Test vectors of the FNV authors: "a" and "foobar".
    assert fnv1a_ngrams(np.frombuffer(b"a", np.uint8), 1).tolist() == [0xE40C292C]
    assert fnv1a_ngrams(np.frombuffer(b"foobar", np.uint8), 6).tolist() == [0xBF9CF968]

    row, _ = text(b"abab", features="hashed-ngrams", ngrams=(2, 2), buckets=1024, weights="counts")
    assert sorted(row[row > 0].tolist()) == [1, 2]
    row, _ = text(b"abab", features="hashed-ngrams", ngrams=(2, 2), buckets=1024)
    assert np.linalg.norm(row) == pytest.approx(1)


def picture(mode: str, size: tuple[int, int], colour: object, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("declared", "shape", "corner"),
    [
        ({}, (3, 4, 6), [1.0, 0.0, 0.2]),
        ({"colours": "bgr"}, (3, 4, 6), [0.2, 0.0, 1.0]),
        ({"mean": [0.5], "deviation": [0.5]}, (3, 4, 6), [1.0, -1.0, -0.6]),
    ],
)
def test_a_picture_is_scaled_and_ordered(
    declared: dict[str, object], shape: tuple[int, ...], corner: list[float]
) -> None:
    made = ImageInput.model_validate({"tensor": "pixels", "width": 6, "height": 4, **declared}).preparer(Path())
    row = made.prepare(ByteRange.of(picture("RGB", (60, 30), (255, 0, 51)))).row

    assert row.shape == made.item_shape == shape
    assert row[:, 0, 0].tolist() == pytest.approx(corner, abs=1e-6)


def test_channels_last_grey_and_cropped() -> None:
    made = ImageInput(tensor="p", width=2, height=2, colours="grey", layout="channels-last", resize="crop")
    wide = Image.new("L", (40, 10), 255)
    wide.paste(0, (15, 0, 25, 10))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    row = made.preparer(Path()).prepare(ByteRange.of(buffer.getvalue())).row

    assert row.shape == (2, 2, 1)
    assert row.max() == 0


def test_a_margin_is_cut_off_after_resizing() -> None:
    framed = Image.new("L", (60, 60), 255)
    framed.paste(0, (15, 15, 45, 45))
    buffer = io.BytesIO()
    framed.save(buffer, "PNG")
    made = ImageInput(tensor="p", width=20, height=20, margin=20, colours="grey").preparer(Path())

    assert made.prepare(ByteRange.of(buffer.getvalue())).row.max() == 0


@pytest.mark.parametrize("content", [b"no picture", picture("RGB", (9, 9), 0)[:40], picture("RGB", (9, 9), 0, "TIFF")])
def test_what_is_no_picture_is_not_looked_at(content: bytes) -> None:
    made = ImageInput(tensor="p", width=2, height=2).preparer(Path())
    with pytest.raises(DetectorError, match="could not be decoded"):
        made.prepare(ByteRange.of(content))


def test_of_a_moving_picture_only_the_first_frame_is_read() -> None:
    buffer = io.BytesIO()
    frames = [Image.new("L", (8, 8), colour) for colour in (0, 255)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    row, whole = ImageInput(tensor="p", width=2, height=2).preparer(Path()).prepare(ByteRange.of(buffer.getvalue()))

    assert row.max() == 0
    assert not whole


def test_a_picture_beyond_the_limits_is_too_large() -> None:
    made = ImageInput(tensor="p", width=2, height=2).preparer(Path())
    with pytest.raises(TooLargeError, match="pixels"):
        made.prepare(ByteRange.of(picture("1", (9000, 9000), 0)))
    with pytest.raises(TooLargeError, match="bytes"):
        ImageInput(tensor="p", width=2, height=2, max_bytes=1024).preparer(Path()).prepare(ByteRange.of(bytes(2000)))


def test_the_figures_of_bytes() -> None:
    features = [
        "size",
        "log_size",
        "entropy",
        "printable_ratio",
        "zero_ratio",
        "high_ratio",
        "lines",
        "longest_line",
        "mean_line",
        "byte_histogram",
    ]
    made = TabularInput.model_validate({"tensor": "f", "features": features}).preparer(Path())
    row, whole = made.prepare(ByteRange.of(b"aaa\n\0\0\xff\xff"))

    assert whole
    assert row.shape == made.item_shape == (9 + 256,)
    expected = [8, math.log(9), -(3 / 8 * math.log2(3 / 8) + 1 / 8 * math.log2(1 / 8) + 2 * 1 / 4 * math.log2(1 / 4))]
    assert row[:9].tolist() == pytest.approx([*expected, 0.5, 0.25, 0.25, 2, 4, 3.5])
    assert row[9 + ord("a")] == pytest.approx(3 / 8)
