"""Hashed byte n-grams: the same arithmetic in numpy, for fitting, and in the network's graph."""

import numpy as np
import numpy.typing as npt

from script_threat.preprocessing import Bytes

Buckets = npt.NDArray[np.int32]

BUCKETS = 262_139  # a prime; bucket 0 means "no n-gram here", so tables have one row more
SIZES = (3, 4, 5)  # of the n-grams, in bytes
MULTIPLIERS = (1_000_003, 69_069, 1_664_525, 22_695_477, 16_777_619, 40_503, 134_775_813, 8_121)


def multiplier(size: int, place: int) -> int:
    """The factor of the byte at `place` in an n-gram of `size` bytes."""
    return MULTIPLIERS[place] + 2 * size


def placed_ngrams(codes: Bytes, sizes: tuple[int, ...]) -> tuple[Buckets, Buckets]:
    """Bucket and place of every n-gram in the codes, size by size."""
    values = codes.astype(np.int64) + 1
    buckets, places = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)]
    for size in sizes:
        count = len(values) - size + 1
        if count < 1:
            continue
        hashed = np.full(count, size, dtype=np.int64)
        for place in range(size):
            hashed += values[place : place + count] * multiplier(size, place)
        buckets.append((hashed % BUCKETS + 1).astype(np.int32))
        places.append(np.arange(count, dtype=np.int32))
    return np.concatenate(buckets), np.concatenate(places)


def hashed_ngrams(codes: Bytes, sizes: tuple[int, ...]) -> Buckets:
    """The different buckets, ascending, of all n-grams in the codes."""
    seen = np.zeros(BUCKETS + 1, dtype=bool)
    seen[placed_ngrams(codes, sizes)[0]] = True
    return np.flatnonzero(seen).astype(np.int32)
