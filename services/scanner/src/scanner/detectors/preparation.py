"""What the kinds of model packs share: a file becomes one row of the model's input tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from scanner.config import MEBIBYTE
from scanner.content import ByteRange

Row = NDArray[Any]


class ModelInput(BaseModel):
    """What every `[input]` table has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tensor: str = Field(description="Name of the model's only input.")
    max_bytes: int = Field(
        default=MEBIBYTE, ge=1024, le=64 * MEBIBYTE, description="Of a larger file both ends are read."
    )
    also_scores: tuple[str, ...] = Field(default=(), description="Labels scored without being covered.")


class Prepared(NamedTuple):
    """A row, and whether everything of the file is in it that the kind of model looks at."""

    row: Row
    whole: bool


class Preparer(Protocol):
    """Makes rows; called in threads, several at a time."""

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        ...

    @property
    def element_type(self) -> str:
        """ONNX Runtime's name of the tensor's type, e.g. `tensor(float)`."""
        ...

    def prepare(self, content: ByteRange) -> Prepared:
        """Return the row of a file. Raises DetectorError when it cannot be read as what it should be."""
        ...


def read_bounded(content: ByteRange, max_bytes: int) -> bytes:
    """Return all bytes, of a file over `max_bytes` the first three quarters and the last quarter of that."""
    if content.size <= max_bytes:
        return content.read()
    head = max_bytes * 3 // 4
    return content.read(0, head) + content.read(content.size - (max_bytes - head))


def read_vocabulary(path: Path) -> dict[str, int]:
    """Return the tokens of a file, one a line, with their numbers from 0. Raises OSError, UnicodeDecodeError."""
    return {token: number for number, token in enumerate(path.read_text(encoding="utf-8").splitlines())}
