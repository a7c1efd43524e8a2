"""The `[input]` table of an image model: decoded, resized, ordered and scaled as it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from scanner.config import MEBIBYTE
from scanner.content import ByteRange
from scanner.detectors.base import Pictures
from scanner.detectors.preparation import ModelInput, Prepared, Preparer, Row
from scanner.errors import DetectorError, TooLargeError
from scanner.unpackers.picture import MAX_PIXELS, PictureShape, TooManyPixelsError, UndecodableError, decode


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
        return PicturePreparer(self)


class PicturePreparer:
    """Makes rows of pictures, decoded by a sandbox worker; a pack's golden file, trusted as its model is, here."""

    element_type = "tensor(float)"

    def __init__(self, declared: ImageInput) -> None:
        self._declared = declared
        channels = 1 if declared.colours == "grey" else 3
        size = (declared.height, declared.width)
        self.item_shape = (channels, *size) if declared.layout == "channels-first" else (*size, channels)
        crop = int(declared.resize == "crop")
        self._shape = PictureShape(declared.width, declared.height, channels, declared.margin, crop)

    async def prepare_in(self, pictures: Pictures, content: ByteRange) -> Prepared:
        """Return the row of a picture that `pictures` decodes. Raises DetectorError."""
        self._check_size(content)
        pixels, whole = await pictures.decode(content, self._shape)
        return Prepared(self._row(pixels), whole)

    def prepare(self, content: ByteRange) -> Prepared:
        """Return the row of the golden file. Raises DetectorError."""
        self._check_size(content)
        try:
            pixels, whole = decode(Image, content.read(), self._shape)
        except UndecodableError as error:
            raise DetectorError("The picture could not be decoded.") from error
        except TooManyPixelsError as error:
            raise TooLargeError(f"The picture has more than {MAX_PIXELS} pixels.") from error
        return Prepared(self._row(pixels), whole)

    def _check_size(self, content: ByteRange) -> None:
        limit = self._declared.max_bytes
        if content.size > limit:
            raise TooLargeError(f"The picture is larger than the {limit} bytes that this model reads.")

    def _row(self, data: bytes) -> Row:
        declared = self._declared
        pixels = np.frombuffer(data, np.uint8).astype(np.float32).reshape(declared.height, declared.width, -1) / 255
        if declared.colours == "bgr":
            pixels = pixels[:, :, ::-1]
        scaled = (pixels - np.array(declared.mean, np.float32)) / np.array(declared.deviation, np.float32)
        row = scaled.transpose(2, 0, 1) if declared.layout == "channels-first" else scaled
        return np.ascontiguousarray(row, dtype=np.float32)
