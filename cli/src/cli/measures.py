"""Figures of a detector on labelled data: area under the curve, detection at a false-alarm rate, reliability.

Pure functions over one score and one label (1 malicious, 0 benign) per row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]
FALSE_POSITIVE_RATES = (0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured on one group of rows; `None` where it cannot be, for want of one of the labels."""

    malicious: int
    benign: int
    auc: float | None
    detection: tuple[float | None, ...]
    """Share of malicious rows found at each of FALSE_POSITIVE_RATES."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows whose score lies from `lower` up: a calibrated score has `mean_score` near `malicious_share`."""

    lower: float
    rows: int
    mean_score: float
    malicious_share: float


def measure(labels: Labels, scores: Scores) -> Figures:
    """Return the figures of one group."""
    bad, good = scores[labels == 1], scores[labels == 0]
    if not len(bad) or not len(good):
        return Figures(len(bad), len(good), None, tuple(None for _ in FALSE_POSITIVE_RATES))
    detection = tuple(float((bad > threshold_at(good, rate)).mean()) for rate in FALSE_POSITIVE_RATES)
    return Figures(len(bad), len(good), roc_auc(bad, good), detection)


def roc_auc(bad: Scores, good: Scores) -> float:
    """Return the chance that a malicious row scores above a benign one; ties count half."""
    ordered = np.sort(good)
    below = np.searchsorted(ordered, bad, side="left")
    not_above = np.searchsorted(ordered, bad, side="right")
    return float((below + not_above).sum() / (2 * len(bad) * len(good)))


def threshold_at(good: Scores, rate: float) -> float:
    """Return the score that at most `rate` of the benign rows exceed."""
    return float(np.sort(good)[::-1][int(rate * len(good))])


def reliability(labels: Labels, scores: Scores, bins: int = 10) -> list[ReliabilityBin]:
    """Return the bins of equal width that hold rows."""
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            place / bins, int(inside.sum()), float(scores[inside].mean()), float((labels[inside] == 1).mean())
        )
        for place in range(bins)
        if (inside := places == place).any()
    ]


def calibration_error(found: list[ReliabilityBin]) -> float:
    """Return the expected calibration error: the mean distance of score and share, weighed by rows."""
    rows = sum(one.rows for one in found)
    return sum(one.rows * abs(one.mean_score - one.malicious_share) for one in found) / max(rows, 1)
