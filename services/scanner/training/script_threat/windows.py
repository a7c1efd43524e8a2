"""Training windows: the scripts, as they are and augmented, as sets of n-gram buckets."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from script_threat.augmentation import augment
from script_threat.dataset import Sample
from script_threat.ngrams import Buckets, hashed_ngrams
from script_threat.preprocessing import WINDOW, Bytes, normalise, window_starts

Indices = npt.NDArray[np.int64]
Piece = tuple[int, Bytes]  # a script's place, and normalised bytes of it


@dataclass(frozen=True)
class WindowSets:
    """Sets of buckets one after the other; set i is buckets[ends[i]:ends[i + 1]], of sample owners[i]."""

    buckets: Buckets
    ends: Indices
    owners: Indices

    def __len__(self) -> int:
        return len(self.owners)

    def set_of(self, index: int) -> Buckets:
        """The buckets of one set."""
        return self.buckets[self.ends[index] : self.ends[index + 1]]


def joined(*parts: WindowSets) -> WindowSets:
    """The sets of all, of the same scripts."""
    lengths = np.concatenate([np.diff(part.ends) for part in parts])
    return WindowSets(
        np.concatenate([part.buckets for part in parts]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([part.owners for part in parts]),
    )


def choose_windows(length: int, count: int | None, rng: random.Random) -> list[int]:
    """Starts of the windows taken: the first and random others, or all of them where count is None."""
    starts = window_starts(length)
    if count is None or len(starts) <= count:
        return starts
    return [starts[0], *rng.sample(starts[1:], count - 1)]


def cut_windows(bodies: Mapping[int, bytes], count: int | None, rng: random.Random) -> list[Piece]:
    """Up to `count` windows of each script; the keys are the scripts' places."""
    pieces = []
    for owner, data in bodies.items():
        codes = normalise(data).codes
        pieces += [(owner, codes[start : start + WINDOW]) for start in choose_windows(len(codes), count, rng)]
    return pieces


def make_sets(pieces: list[Piece], sizes: tuple[int, ...]) -> WindowSets:
    """The n-grams of each piece as a set of buckets."""
    found = [np.zeros(0, dtype=np.int32), *(hashed_ngrams(codes, sizes) for _, codes in pieces)]
    ends = np.cumsum([len(buckets) for buckets in found])
    return WindowSets(np.concatenate(found), ends, np.array([owner for owner, _ in pieces], dtype=np.int64))


def augmented_scripts(samples: list[Sample], share: float, rng: random.Random) -> dict[int, bytes]:
    """A share of the scripts, augmented, by their place; benign scripts of the same language lend their text."""
    benign: dict[str, list[bytes]] = {}
    for sample in samples:
        if sample.label == 0:
            benign.setdefault(sample.language, []).append(sample.data)
    return {
        place: augment(sample.data, sample.language, sample.label, rng.choice(benign[sample.language]), rng)
        for place, sample in enumerate(samples)
        if rng.random() < share
    }


def largest(values: npt.NDArray[np.float64], owners: Indices, count: int) -> npt.NDArray[np.float64]:
    """The largest value of each owner's windows, [count]."""
    result = np.full(count, -np.inf)
    np.maximum.at(result, owners, values)
    return result
