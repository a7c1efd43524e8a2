"""Pictures for image models are decoded in the sandbox: the same numbers, and a crash costs one artifact."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from scanner.content import ByteRange
from scanner.detectors.base import ScoringDetector
from scanner.detectors.image_input import ImageInput, PicturePreparer
from scanner.detectors.loader import load_pack
from scanner.engine import EngineSettings
from scanner.errors import DetectorError, TooLargeError
from scanner.sandbox.pictures import SandboxPictures
from scanner.sandbox.pool import SandboxPool
from scanner.testing import NoPictures
from scanner.threads import Threads
from scanner.unpackers.picture import PictureShape

HOSTILE = (sys.executable, str(Path(__file__).with_name("hostile_worker.py")))
SHAPE = PictureShape(8, 8, 3)


@pytest.fixture
async def pictures(settings: EngineSettings) -> AsyncIterator[SandboxPictures]:
    pool = await SandboxPool.start(settings)
    yield SandboxPictures(pool, settings)
    await pool.close()


def preparer(**declared: object) -> PicturePreparer:
    made = ImageInput.model_validate({"tensor": "p", "width": 20, "height": 10, **declared}).preparer(Path())
    assert isinstance(made, PicturePreparer)
    return made


def saved(kind: str, size: tuple[int, int] = (60, 40)) -> bytes:
    buffer = io.BytesIO()
    grey = Image.linear_gradient("L").resize(size)
    Image.merge("RGB", [grey, grey.transpose(Image.Transpose.FLIP_TOP_BOTTOM), grey]).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP"])
async def test_the_sandbox_gives_the_same_numbers(pictures: SandboxPictures, kind: str) -> None:
    content = ByteRange.of(saved(kind))
    made = preparer(margin=3, resize="crop", mean=(0.5,), deviation=(0.5,))
    decoded = await made.prepare_in(pictures, content)

    assert np.array_equal(decoded.row, made.prepare(content).row)
    assert decoded.whole


async def test_what_cannot_be_decoded_is_said(pictures: SandboxPictures) -> None:
    cut, large = saved("PNG")[:60], io.BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")

    with pytest.raises(DetectorError, match="could not be decoded"):
        await preparer().prepare_in(pictures, ByteRange.of(cut))
    with pytest.raises(TooLargeError, match="pixels"):
        await preparer().prepare_in(pictures, ByteRange.of(large.getvalue()))


@pytest.mark.parametrize("action", [b"crash", b"lie", b"garbage", b"folder"])
async def test_a_decoder_taken_over_costs_that_picture(settings: EngineSettings, action: bytes) -> None:
    pool = await SandboxPool.start(settings, HOSTILE)
    with pytest.raises(DetectorError):
        await SandboxPictures(pool, settings).decode(ByteRange.of(action), SHAPE)
    with pytest.raises(DetectorError):
        await SandboxPictures(pool, settings).decode(ByteRange.of(b"environment"), SHAPE)
    await pool.close()


async def test_a_decoder_that_hangs_is_killed(settings: EngineSettings) -> None:
    hasty = settings.model_copy(update={"detector_seconds": 1.0})
    pool = await SandboxPool.start(hasty, HOSTILE)
    with pytest.raises(DetectorError, match="time limit"):
        await SandboxPictures(pool, hasty).decode(ByteRange.of(b"sleep"), SHAPE)
    await pool.close()


def brightness(pack: Path) -> None:
    """Write a pack whose model gives the mean of the first channel."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["p"], ["score"], axes=[2, 3], keepdims=0)],
        "brightness",
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["files", 3, 2, 2])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["files", 3])],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    pack.mkdir(parents=True)
    (pack / "model.onnx").write_bytes(network)
    (pack / "MODEL_CARD.md").write_text("# brightness\n")
    (pack / "golden.png").write_bytes(grey(255))
    (pack / "detector.toml").write_text(
        f"""
        name = "brightness"
        version = "1"
        kind = "image-model"
        covers = ["png"]
        sha256 = "{hashlib.sha256(network).hexdigest()}"
        thresholds = {{suspicious = 0.5, malicious = 0.9}}
        input = {{tensor = "p", width = 2, height = 2}}
        output = {{tensor = "score", gives = "probability", column = 0}}
        golden = {{file = "golden.png", score = 1.0}}
        """
    )


def grey(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


async def test_a_model_is_shown_what_the_sandbox_decoded(settings: EngineSettings, tmp_path: Path) -> None:
    brightness(tmp_path / "brightness")
    threads = Threads.start(settings)
    detector = load_pack(tmp_path / "brightness", settings, threads).detector
    assert isinstance(detector, ScoringDetector)
    pool = await SandboxPool.start(settings)
    content = ByteRange.of(grey(51))

    assert await detector.score(content, SandboxPictures(pool, settings)) == pytest.approx(0.2)
    with pytest.raises(DetectorError, match="No picture is decoded here"):
        await detector.score(content, NoPictures())

    await detector.close()
    await pool.close()
    threads.close()
