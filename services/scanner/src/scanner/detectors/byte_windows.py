"""Turns bytes into the token windows that a byte model reads, as its manifest declares.

Every kept byte remembers its offset in the original, so that evidence can be shown where it
stands. The steps are those with which the shipped model was trained
(`services/scanner/training/script_threat/preprocessing.py`); a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from scanner.content import ByteRange

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Window = NDArray[np.int32]

Step = Literal["utf16-to-utf8", "fold-case", "fold-space", "collapse-space", "shorten-runs"]
_SPACE = 0x20
_WHITE_SPACE = [0x09, 0x0A, 0x0B, 0x0C, 0x0D]
_SNIFFED_BYTES = 4096
_ZEROS_OF_UTF16 = 0.4
_ZEROS_OF_TEXT = 0.05
_MOST_LEFT_OUT = 64
_RUN_LONGEST, _RUN_HEAD, _RUN_TAIL = 40, 8, 4
_RUN_APART = 8
_IN_RUN = np.zeros(256, dtype=bool)
_IN_RUN[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")] = True


class Golden(BaseModel):
    """A text and the logit that a right installation gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    logit: float
    tolerance: float = Field(gt=0)


class ByteModelInput(BaseModel):
    """The `[input]` table of a byte model's manifest; sizes in bytes or tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tensor: str = "tokens"
    score: str = "score"
    evidence: str | None = None
    normalise: tuple[Step, ...] = ()
    window: int = Field(ge=64, le=1 << 20)
    stride: int = Field(ge=1)
    alignment: int = Field(ge=1, le=4096)
    padding_token: int = 256
    max_bytes: int = Field(ge=1024, le=64 << 20)
    also_scores: tuple[str, ...] = ()
    golden: Golden | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Normalised bytes and where each stood in the original."""

    codes: Bytes
    offsets: Offsets


def read_ends(content: ByteRange, max_bytes: int) -> tuple[bytes, int, int]:
    """Return the bytes looked at, where the tail begins in them, and how many were left out there.

    Of a file over `max_bytes` the first three quarters and the last quarter of that are read.
    """
    if content.size <= max_bytes:
        return content.read(), content.size, 0
    head = max_bytes * 3 // 4
    tail = max_bytes - head
    return content.read(0, head) + content.read(content.size - tail, tail), head, content.size - max_bytes


def normalise(read: bytes, cut: int, left_out: int, steps: tuple[Step, ...]) -> Script:
    """Fold encoding, case and white space, shorten what is encoded; `cut` and `left_out` as `read_ends` gives them."""
    script = _decode(read) if "utf16-to-utf8" in steps else Script(*_identity(read, 0))
    codes, offsets = _fold_table(steps)[script.codes], script.offsets
    if "collapse-space" in steps:
        space = codes == _SPACE
        kept = np.ones(len(codes), dtype=bool)
        kept[1:] = ~(space[1:] & space[:-1])
        codes, offsets = codes[kept], offsets[kept]
    if "shorten-runs" in steps:
        kept = _outside_long_runs(codes)
        codes, offsets = codes[kept], offsets[kept]
    return Script(codes, np.where(offsets >= cut, offsets + left_out, offsets))


def stretch(offsets: Offsets) -> tuple[int, int]:
    """Return the range of most of the offsets: where much was left out between two of them, it ends."""
    parts = np.split(offsets, np.flatnonzero(np.diff(offsets) > _MOST_LEFT_OUT) + 1)
    longest = max(parts, key=len)
    return int(longest[0]), int(longest[-1]) + 1


def window_starts(length: int, declared: ByteModelInput) -> list[int]:
    """Return where the windows begin; there is always one, and the last is aligned with the end."""
    if length <= declared.window:
        return [0]
    return [*range(0, length - declared.window, declared.stride), length - declared.window]


def window_tokens(codes: Bytes, start: int, declared: ByteModelInput) -> Window:
    """Return one window as int32, padded to a multiple of the alignment."""
    part = codes[start : start + declared.window]
    width = max(1, -(-len(part) // declared.alignment)) * declared.alignment
    tokens = np.full(width, declared.padding_token, dtype=np.int32)
    tokens[: len(part)] = part
    return tokens


def _outside_long_runs(codes: Bytes) -> NDArray[np.bool_]:
    """Return False for what a long run of characters of base64 has between its ends; lines of it are one run."""
    edges = np.diff(_IN_RUN[codes].astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - starts > _RUN_LONGEST
    starts, ends = starts[long], ends[long]
    first, last = np.ones((2, len(starts)), dtype=np.bool_)
    first[1:] = last[:-1] = starts[1:] - ends[:-1] > _RUN_APART
    steps = np.zeros(len(codes) + 1, dtype=np.int64)
    steps[starts[first] + _RUN_HEAD] = 1
    steps[ends[last] - _RUN_TAIL] = -1
    outside: NDArray[np.bool_] = np.cumsum(steps[:-1]) == 0
    return outside


def _identity(read: bytes, skip: int) -> tuple[Bytes, Offsets]:
    return np.frombuffer(read, dtype=np.uint8)[skip:], np.arange(skip, len(read), dtype=np.int64)


def _fold_table(steps: tuple[Step, ...]) -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    if "fold-case" in steps:
        table[ord("A") : ord("Z") + 1] += 32
    if "fold-space" in steps:
        table[_WHITE_SPACE] = _SPACE
    return table


def _decode(read: bytes) -> Script:
    order = _utf16_order(read)
    if order is not None:
        return _utf16_to_utf8(read, order)
    return Script(*_identity(read, 3 if read.startswith(b"\xef\xbb\xbf") else 0))


def _utf16_order(data: bytes) -> str | None:
    """Return numpy's sign of the byte order of UTF-16 text, by its mark or by the places of its zero bytes."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "<" if data[0] == 0xFF else ">"
    head = np.frombuffer(data[:_SNIFFED_BYTES], dtype=np.uint8)
    if len(head) < 8:
        return None
    even, odd = float(np.mean(head[0::2] == 0)), float(np.mean(head[1::2] == 0))
    if odd > _ZEROS_OF_UTF16 and even < _ZEROS_OF_TEXT:
        return "<"
    if even > _ZEROS_OF_UTF16 and odd < _ZEROS_OF_TEXT:
        return ">"
    return None


def _utf16_to_utf8(data: bytes, order: str) -> Script:
    """Encode each unit by itself, which keeps this a table look-up; halves of surrogate pairs stay halves."""
    units = np.frombuffer(data[: len(data) // 2 * 2], dtype=f"{order}u2").astype(np.int64)
    starts = np.arange(len(units), dtype=np.int64) * 2
    kept = units != 0xFEFF
    units, starts = units[kept], starts[kept]
    lengths = 1 + (units >= 0x80) + (units >= 0x800)
    out = np.zeros((len(units), 3), dtype=np.uint8)
    out[:, 0] = np.choose(lengths - 1, [units & 0x7F, 0xC0 | (units >> 6) & 0x1F, 0xE0 | units >> 12])
    out[:, 1] = 0x80 | np.where(lengths == 2, units, units >> 6) & 0x3F
    out[:, 2] = 0x80 | units & 0x3F
    used = np.arange(3) < lengths[:, None]
    return Script(out[used], np.repeat(starts, lengths))
