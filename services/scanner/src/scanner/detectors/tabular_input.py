"""The `[input]` table of a tabular model: named figures of the file's bytes, in the order of the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scanner.content import ByteRange
from scanner.detectors.preparation import ModelInput, Prepared, Preparer, read_bounded

Feature = Literal[
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
HISTOGRAM = 256
_LINE_FEED = 0x0A
_WHITE_SPACE = (0x09, 0x0A, 0x0D)


class TabularInput(ModelInput):
    """Which figures, in which order; all are float32, sizes in bytes."""

    features: tuple[Feature, ...] = Field(min_length=1)

    def preparer(self, _folder: Path) -> Preparer:
        """Return what makes rows."""
        return _Figures(self)


class _Figures:
    element_type = "tensor(float)"

    def __init__(self, declared: TabularInput) -> None:
        self._declared = declared
        self.item_shape = (sum(HISTOGRAM if name == "byte_histogram" else 1 for name in declared.features),)

    def prepare(self, content: ByteRange) -> Prepared:
        limit = self._declared.max_bytes
        measured = _Bytes(content.size, np.frombuffer(read_bounded(content, limit), np.uint8))
        row = np.concatenate([np.atleast_1d(_FEATURES[name](measured)) for name in self._declared.features])
        return Prepared(row.astype(np.float32), content.size <= limit)


class _Bytes:
    """The bytes read of a file, with what several figures are made of."""

    def __init__(self, size: int, read: NDArray[np.uint8]) -> None:
        self.size = size
        self.shares = np.bincount(read, minlength=HISTOGRAM) / max(len(read), 1)
        feeds = np.flatnonzero(read == _LINE_FEED)
        edges = np.concatenate([[-1], feeds, [len(read)]])
        self.line_lengths = np.diff(edges) - 1

    def entropy(self) -> float:
        """Return bits a byte, 0 to 8."""
        present = self.shares[self.shares > 0]
        return float(-(present * np.log2(present)).sum()) + 0.0

    def printable(self) -> float:
        """Return the share of ASCII that is shown, and of white space."""
        return float(self.shares[0x20:0x7F].sum() + self.shares[list(_WHITE_SPACE)].sum())


_FEATURES: dict[Feature, Callable[[_Bytes], float | NDArray[np.float64]]] = {
    "size": lambda read: float(read.size),
    "log_size": lambda read: float(np.log1p(read.size)),
    "entropy": _Bytes.entropy,
    "printable_ratio": _Bytes.printable,
    "zero_ratio": lambda read: float(read.shares[0]),
    "high_ratio": lambda read: float(read.shares[0x80:].sum()),
    "lines": lambda read: float(len(read.line_lengths)),
    "longest_line": lambda read: float(read.line_lengths.max()),
    "mean_line": lambda read: float(read.line_lengths.mean()),
    "byte_histogram": lambda read: read.shares,
}
