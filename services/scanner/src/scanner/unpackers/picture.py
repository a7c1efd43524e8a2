"""Decodes pictures for image models: the only job of a sandbox worker that unpacks nothing."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
"""The few decoders that hostile files are shown to."""
MAX_PIXELS = 32_000_000
WHOLE, FIRST_FRAME = "picture", "first frame of several"
"""Origins of the only child."""


class UndecodableError(Exception):
    """No picture of these formats, or a damaged one."""


class TooManyPixelsError(Exception):
    """The picture is larger than what is decoded."""


@dataclass(frozen=True, slots=True)
class PictureShape:
    """What a model takes: size in pixels, one or three channels, and how a picture is made to fit."""

    width: int
    height: int
    channels: int
    margin: int = 0
    crop: int = 0
    """1: fill the size and cut the centre out; 0: stretch."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the decoded picture, one a channel."""
        return self.width * self.height * self.channels


def decode(image: Any, data: bytes, shape: PictureShape) -> tuple[bytes, bool]:
    """Return the first frame row by row, and whether it is the only one. `image` is PIL.Image.

    Raises UndecodableError, TooManyPixelsError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            opened = image.open(io.BytesIO(data), formats=FORMATS)
            too_large = opened.width * opened.height > MAX_PIXELS
            whole = not getattr(opened, "is_animated", False)
            picture = None if too_large else opened.convert("L" if shape.channels == 1 else "RGB")
    except MemoryError:
        raise
    except Exception as error:  # its decoders raise whatever they meet: struct, index, value, OS errors
        raise UndecodableError from error
    if picture is None:
        raise TooManyPixelsError
    margin, width, height = shape.margin, shape.width, shape.height
    size = (width + 2 * margin, height + 2 * margin)
    resized = _cropped(picture, shape).resize(size, image.Resampling.BILINEAR)
    return resized.crop((margin, margin, margin + width, margin + height)).tobytes(), whole


def _cropped(picture: Any, shape: PictureShape) -> Any:
    """Return the centre in the proportions of the shape, where it says so."""
    if not shape.crop:
        return picture
    wanted = shape.width / shape.height
    width = max(1, round(min(picture.width, picture.height * wanted)))
    height = max(1, round(min(picture.height, picture.width / wanted)))
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


class PictureDecoder:
    """Makes the decoded picture the only child. It is asked for by name and opens no type by itself."""

    name = "picture"
    labels: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def recognises(self, head: bytes, tail: bytes) -> bool:  # noqa: ARG002 -- for the walk, it recognises nothing
        """Return False."""
        return False

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:  # noqa: ARG002 -- the name does not matter
        """Store the picture in the shape that the job's parameters give."""
        image = library("PIL.Image")
        shape = PictureShape(**sink.parameters)
        try:
            pixels, whole = decode(image, source.read(), shape)
        except UndecodableError:
            sink.gap(GapReason.ERROR, "The picture could not be decoded.")
        except TooManyPixelsError:
            sink.gap(GapReason.TOO_LARGE, f"The picture has more than {MAX_PIXELS} pixels.")
        else:
            sink.store("pixels", WHOLE if whole else FIRST_FRAME, [pixels], (), "")
