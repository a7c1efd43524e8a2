"""Figures of a detector: area under the curve, detection at a false-positive rate, calibration."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def roc_auc(labels: Labels, scores: Floats) -> float:
    """The chance that a malicious script scores above a benign one; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, group, sizes = np.unique(scores[order], return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    ranks = np.empty(len(scores))
    ranks[order] = (ends - (sizes - 1) / 2)[group]
    malicious = int((labels == 1).sum())
    benign = len(labels) - malicious
    if not malicious or not benign:
        raise ValueError("the area under the curve needs both labels")
    return float((ranks[labels == 1].sum() - malicious * (malicious + 1) / 2) / (malicious * benign))


def threshold_at(benign_scores: Floats, rate: float) -> float:
    """The score that at most `rate` of the benign scores exceed."""
    descending = np.sort(benign_scores)[::-1]
    return float(descending[int(rate * len(descending))])


def detection_rate(labels: Labels, scores: Floats, rate: float) -> float:
    """The share of malicious scripts above the threshold of a false-positive rate."""
    return float((scores[labels == 1] > threshold_at(scores[labels == 0], rate)).mean())
