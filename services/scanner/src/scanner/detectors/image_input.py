"""The `[input]` table of an image model: decoded, resized, ordered and scaled as it was trained."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from scanner.config import MEBIBYTE
from scanner.content import ByteRange
from scanner.detectors.preparation import ModelInput, Prepared, Preparer
from scanner.errors import DetectorError, TooLargeError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
"""The few decoders that hostile files are shown to."""
MAX_PIXELS = 32_000_000


class ImageInput(ModelInput):
    """How a picture becomes numbers; `mean` and `deviation` are of values from 0 to 1."""

    max_bytes: int = Field(default=16 * MEBIBYTE, ge=1024, le=64 * MEBIBYTE)
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    colours: Literal["rgb", "bgr", "grey"] = "rgb"
    layout: Literal["channels-first", "channels-last"] = "channels-first"
    resize: Literal["stretch", "crop"] = Field(default="stretch", description="crop: fill, then cut the centre out.")
    margin: int = Field(default=0, ge=0, le=1024, description="Pixels cut off each edge after resizing.")
    mean: tuple[float, ...] = Field(default=(0.0,), min_length=1, max_length=3)
    deviation: tuple[float, ...] = Field(default=(1.0,), min_length=1, max_length=3)

    def preparer(self, _folder: Path) -> Preparer:
        """Return what makes rows."""
        return _Pictures(self)


class _Pictures:
    element_type = "tensor(float)"

    def __init__(self, declared: ImageInput) -> None:
        self._declared = declared
        channels = 1 if declared.colours == "grey" else 3
        size = (declared.height, declared.width)
        self.item_shape = (channels, *size) if declared.layout == "channels-first" else (*size, channels)

    def prepare(self, content: ByteRange) -> Prepared:
        declared = self._declared
        if content.size > declared.max_bytes:
            raise TooLargeError(f"The picture is larger than the {declared.max_bytes} bytes that this model reads.")
        picture, whole = self._picture(content.read())
        pixels = np.asarray(picture, dtype=np.float32) / 255
        pixels = pixels.reshape(declared.height, declared.width, -1)
        if declared.colours == "bgr":
            pixels = pixels[:, :, ::-1]
        scaled = (pixels - np.array(declared.mean, np.float32)) / np.array(declared.deviation, np.float32)
        row = scaled.transpose(2, 0, 1) if declared.layout == "channels-first" else scaled
        return Prepared(np.ascontiguousarray(row, dtype=np.float32), whole)

    def _picture(self, data: bytes) -> tuple[Image.Image, bool]:
        """Return the first frame in the declared size and colours, and whether it is the only one.

        Raises DetectorError.
        """
        declared = self._declared
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                opened = Image.open(io.BytesIO(data), formats=FORMATS)
                too_large = opened.width * opened.height > MAX_PIXELS
                whole = not getattr(opened, "is_animated", False)
                picture = None if too_large else opened.convert("L" if declared.colours == "grey" else "RGB")
        except Exception as error:  # its decoders raise whatever they meet: struct, index, value, OS errors
            raise DetectorError("The picture could not be decoded.") from error
        if picture is None:
            raise TooLargeError(f"The picture has more than {MAX_PIXELS} pixels.")
        margin, width, height = declared.margin, declared.width, declared.height
        resized = self._cropped(picture).resize((width + 2 * margin, height + 2 * margin), Image.Resampling.BILINEAR)
        return resized.crop((margin, margin, margin + width, margin + height)), whole

    def _cropped(self, picture: Image.Image) -> Image.Image:
        """Return the centre in the proportions of the model's input, where the manifest says so."""
        if self._declared.resize == "stretch":
            return picture
        wanted = self._declared.width / self._declared.height
        width = max(1, round(min(picture.width, picture.height * wanted)))
        height = max(1, round(min(picture.height, picture.width / wanted)))
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        return picture.crop((left, top, left + width, top + height))
