"""Segments: the parts of a window that are scored by themselves, so that other text beside a script cannot dilute it.

A window of 64 blocks is scored as a whole and in overlapping parts of 48 to 8 blocks, each as if it were the window.
The largest counts. A part costs `OFFSET` for each time it is halved: the largest of many is large by chance. Below
`FLOOR`, where no verdict hangs on it, a part soon counts for nothing, so that long scripts do not rank above short ones
by the number of their parts.

A short script is a window of its own and pays no offset, but inside other text it would. So that padding cannot undo a
malicious verdict, a short window counts as what padding would leave of it, as far as that is above the line from which
scripts are malicious, or else as that line: its parts that hold nothing else, or itself less the cost of a part, and of
one that fills less than the shortest part the fraction that dilution leaves.
"""

import math

import numpy as np
import numpy.typing as npt

from script_threat.ngrams import BUCKETS, placed_ngrams
from script_threat.preprocessing import ALIGNMENT, WINDOW, Bytes

Matrix = npt.NDArray[np.float32]

BLOCKS = WINDOW // ALIGNMENT
STEPS = {64: 64, 48: 8, 32: 4, 24: 4, 16: 2, 12: 2, 8: 2}  # length of a part: distance between two, both in blocks
OFFSET = 0.5  # of the logit
FLOOR = 3.0  # a part's logit below this, just below suspicious, ...
STEEPNESS = 4.0  # ... is lowered by this times what it lacks
MIXED = 0.5  # of the logit: what text that shares a part with a script costs it
BOUNDS = [
    (start, start + length) for length, step in STEPS.items() for start in range(0, BLOCKS - length + 1, step)
]  # the whole window comes first


def membership() -> Matrix:
    """1 where a block belongs to a part, [parts, BLOCKS]."""
    found = np.zeros((len(BOUNDS), BLOCKS), dtype=np.float32)
    for row, (start, end) in enumerate(BOUNDS):
        found[row, start:end] = 1
    return found


def offsets() -> Matrix:
    """What each part's logit is lowered by, [parts]."""
    return np.array([OFFSET * math.log2(BLOCKS / (end - start)) for start, end in BOUNDS], dtype=np.float32)


def padding_costs() -> Matrix:
    """What other text around it costs a window of 0, 1, ... blocks, [BLOCKS + 1]."""
    held = np.maximum(np.arange(BLOCKS + 1), min(STEPS))
    return (OFFSET * np.log2(BLOCKS / held) + MIXED).astype(np.float32)


def padding_shares() -> Matrix:
    """What other text in the shortest part leaves of the logit of a window of 0, 1, ... blocks, [BLOCKS + 1]."""
    held = np.clip(np.arange(BLOCKS + 1), 1, min(STEPS))
    return np.sqrt(held / min(STEPS)).astype(np.float32)


MEMBERSHIP, OFFSETS = membership(), offsets()
PADDING_COSTS, PADDING_SHARES = padding_costs(), padding_shares()
ENDS = np.array([end for _, end in BOUNDS])


def segment_logits(codes: Bytes, sizes: tuple[int, ...], weights: Matrix, bias: float) -> npt.NDArray[np.float64]:
    """A regression's logit of each part of a window, less its offset, [parts]; -inf where a part is empty.

    The presence of an n-gram is shared among the places where the window holds it.
    """
    buckets, places = placed_ngrams(codes, sizes)
    shares = 1 / np.bincount(buckets, minlength=BUCKETS + 1)[buckets] if len(buckets) else np.zeros(0)
    blocks = places // ALIGNMENT
    counts = MEMBERSHIP @ np.bincount(blocks, weights=shares, minlength=BLOCKS)
    votes = MEMBERSHIP @ np.bincount(blocks, weights=weights[buckets] * shares, minlength=BLOCKS)
    logits: npt.NDArray[np.float64] = votes / np.sqrt(np.maximum(counts, 1)) + bias - OFFSETS
    logits[1:][counts[1:] <= 0] = -np.inf
    return logits


def segment_of(codes: Bytes, part: int) -> Bytes:
    """The codes of one part of a window."""
    start, end = BOUNDS[part]
    return codes[start * ALIGNMENT : end * ALIGNMENT]
