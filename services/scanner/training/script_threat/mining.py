"""Finds the segments that decide: the worst of each malicious script, and benign ones that look like it."""

import math
import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from script_threat.dataset import Sample
from script_threat.linear import LinearModel
from script_threat.preprocessing import ALIGNMENT
from script_threat.segments import segment_logits, segment_of
from script_threat.windows import Piece

HARD_FROM = -2.5  # a benign segment from this logit on is learnt from
RANDOM_BLOCKS = (8, 12, 16, 24, 32, 48)  # lengths of the random segments of malicious scripts


@dataclass(frozen=True)
class Mined:
    """Segments, how much each weighs as a share of a script's weight, and the largest logit of each script."""

    pieces: list[Piece]
    weights: npt.NDArray[np.float64]
    logits: npt.NDArray[np.float64]


def mine(
    windows: list[Piece],
    labels: npt.NDArray[np.int64],
    sizes: tuple[int, ...],
    linear: LinearModel,
    rng: random.Random,
) -> Mined:
    """Of each malicious script the segment with the largest logit and random ones; of each benign window its worst.

    Of a malicious script only the whole is known to be malicious (multiple-instance learning): the worst segment
    stands for it, the random ones keep the model from resting on that alone.
    """
    counts = Counter(owner for owner, _ in windows)
    worst: dict[int, tuple[float, Piece]] = {}
    found: list[tuple[Piece, float]] = []
    largest = np.full(len(labels), -math.inf)
    for owner, codes in windows:
        logits = segment_logits(codes, sizes, linear.weights, linear.bias)
        part = int(logits.argmax())
        piece = owner, segment_of(codes, part)
        largest[owner] = max(largest[owner], logits[part])
        if labels[owner] == 0:
            if logits[part] > HARD_FROM:
                found.append((piece, 0.5))
            continue
        if logits[part] > worst.get(owner, (-math.inf,))[0]:
            worst[owner] = float(logits[part]), piece
        length = rng.choice(RANDOM_BLOCKS) * ALIGNMENT
        if len(codes) > length:
            start = rng.randrange(0, len(codes) - length, ALIGNMENT)
            found.append(((owner, codes[start : start + length]), 0.25 / counts[owner]))
    found += [(piece, 0.25) for _, piece in worst.values()]
    return Mined([piece for piece, _ in found], np.array([weight for _, weight in found]), largest)


def trust_weak(samples: list[Sample], logits: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.float64]:
    """Weights of the scripts: of a weak row as far as the model believes its label, the worst of its archive fully.

    Of an archive only the label of the whole is sure: some file earned it, the others may be harmless.
    """
    weights = np.ones(len(samples))
    weak = [place for place, sample in enumerate(samples) if sample.weak]
    worst: dict[str, float] = {}
    for place in weak:
        package = samples[place].package
        worst[package] = max(float(logits[place]), worst.get(package, -math.inf))
    for place in weak:
        sure = logits[place] == worst[samples[place].package]
        weights[place] = 1.0 if sure else most / (1 + math.exp(-logits[place]))
    return weights
