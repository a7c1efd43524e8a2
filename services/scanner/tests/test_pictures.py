"""Pictures for image models are decoded in the sandbox: the same numbers, and a crash costs one artifact."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scanner.content import ByteRange
from scanner.detectors.image_input import ImageInput, PicturePreparer
from scanner.engine import EngineSettings
from scanner.errors import DetectorError, TooLargeError
from scanner.sandbox.pictures import SandboxPictures
from scanner.sandbox.pool import SandboxPool
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
