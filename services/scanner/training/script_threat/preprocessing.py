"""Turns the bytes of a script into the token windows that the model reads.

Five steps, each a few numpy operations, so that a service can repeat them:

1. UTF-16 (by byte-order mark, or by the places of its zero bytes) becomes UTF-8; a UTF-8 mark is cut off.
2. ASCII capitals become small letters, the six ASCII white-space bytes become a space.
3. A run of spaces becomes one space.
4. Of a long run of characters as base64 and hexadecimal have them, or rules of dashes, only the ends stay: what is
   encoded says nothing before it is decoded, and its chance n-grams would drown what stands beside it. Lines of them
   are one run.
5. The result is cut into overlapping windows, the last one aligned with the end.

Every kept byte remembers its offset in the original, so that evidence can be shown where it stands.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]

PADDING_TOKEN = 256
WINDOW = 4096  # tokens the model reads at once
STRIDE = 3584  # tokens between the starts of two windows
ALIGNMENT = 64  # a window's length is padded to a multiple of this; also the width of one evidence position
MAX_BYTES = 1024 * 1024  # read of one file: the first 3/4 and the last 1/4 of this
SNIFFED_BYTES = 4096  # looked at for the places of zero bytes

RUN_LONGEST, RUN_HEAD, RUN_TAIL = 40, 8, 4  # characters of a run that stay as they are; of a longer one both ends
RUN_APART = 8  # bytes between two long runs that are one: the end of a line, quotes, a sign between strings
IN_RUN = np.zeros(256, dtype=bool)
IN_RUN[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")] = True

SPACE = 0x20
FOLD = np.arange(256, dtype=np.uint8)
FOLD[ord("A") : ord("Z") + 1] += 32
FOLD[[0x09, 0x0A, 0x0B, 0x0C, 0x0D]] = SPACE


@dataclass(frozen=True)
class Script:
    """Normalised bytes of a script and where each stood in the original."""

    codes: Bytes
    offsets: Offsets


def utf16_order(data: bytes) -> str | None:
    """The byte order of UTF-16 text, "<" or ">", or None where the bytes are something else."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "<" if data[0] == 0xFF else ">"
    head = np.frombuffer(data[:SNIFFED_BYTES], dtype=np.uint8)
    if len(head) < 8:
        return None
    even, odd = float(np.mean(head[0::2] == 0)), float(np.mean(head[1::2] == 0))
    if odd > 0.4 and even < 0.05:
        return "<"
    if even > 0.4 and odd < 0.05:
        return ">"
    return None


def utf16_to_utf8(data: bytes, order: str) -> Script:
    """The text as UTF-8; each half of a surrogate pair is encoded alone, which keeps this a table look-up."""
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


def read_range(data: bytes) -> tuple[bytes, int, int]:
    """The bytes that are looked at, where the second part was cut off, and how many were left out there."""
    if len(data) <= MAX_BYTES:
        return data, len(data), 0
    head = MAX_BYTES * 3 // 4
    tail = MAX_BYTES - head
    return data[:head] + data[-tail:], head, len(data) - MAX_BYTES


def outside_long_runs(codes: Bytes) -> npt.NDArray[np.bool_]:
    """False for what long runs have between their ends; what stands in several lines or strings is one run."""
    edges = np.diff(IN_RUN[codes].astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - starts > RUN_LONGEST
    starts, ends = starts[long], ends[long]
    first, last = np.ones((2, len(starts)), dtype=np.bool_)
    first[1:] = last[:-1] = starts[1:] - ends[:-1] > RUN_APART
    steps = np.zeros(len(codes) + 1, dtype=np.int64)
    steps[starts[first] + RUN_HEAD] = 1
    steps[ends[last] - RUN_TAIL] = -1
    outside: npt.NDArray[np.bool_] = np.cumsum(steps[:-1]) == 0
    return outside


def normalise(data: bytes) -> Script:
    """Case, white space and encoding folded, long runs shortened; offsets[i] is where codes[i] began in `data`."""
    read, cut, left_out = read_range(data)
    order = utf16_order(read)
    if order:
        script = utf16_to_utf8(read, order)
    else:
        mark = 3 if read.startswith(b"\xef\xbb\xbf") else 0
        script = Script(np.frombuffer(read, dtype=np.uint8)[mark:], np.arange(mark, len(read), dtype=np.int64))
    codes, offsets = FOLD[script.codes], script.offsets
    space = codes == SPACE
    kept = np.ones(len(codes), dtype=bool)
    kept[1:] = ~(space[1:] & space[:-1])
    codes, offsets = codes[kept], offsets[kept]
    kept = outside_long_runs(codes)
    codes, offsets = codes[kept], offsets[kept]
    return Script(codes, np.where(offsets >= cut, offsets + left_out, offsets))


def window_starts(length: int) -> list[int]:
    """Where the windows of a normalised script begin; there is always one."""
    if length <= WINDOW:
        return [0]
    return [*range(0, length - WINDOW, STRIDE), length - WINDOW]


def tokenise(codes: Bytes, starts: list[int]) -> Tokens:
    """Windows as int32 [len(starts), L]: L is a multiple of ALIGNMENT, filled up with PADDING_TOKEN."""
    longest = max((min(WINDOW, len(codes) - start) for start in starts), default=0)
    width = max(1, -(-longest // ALIGNMENT)) * ALIGNMENT
    tokens = np.full((len(starts), width), PADDING_TOKEN, dtype=np.int32)
    for row, start in enumerate(starts):
        part = codes[start : start + WINDOW]
        tokens[row, : len(part)] = part
    return tokens
