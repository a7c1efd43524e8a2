"""Brings logits to probabilities (Platt's scaling) and says how far they can be trusted."""

from dataclasses import dataclass

import numpy as np

from script_threat.metrics import Floats, Labels


def sigmoid(values: Floats) -> Floats:
    """The logistic function, by way of tanh, which does not overflow."""
    result: Floats = 0.5 * (1 + np.tanh(values / 2))
    return result


@dataclass(frozen=True)
class Calibration:
    """score = 1 / (1 + exp(-(slope * logit + intercept)))."""

    slope: float
    intercept: float

    def apply(self, logits: Floats) -> Floats:
        """Probabilities, in the order of the logits."""
        return sigmoid(self.slope * logits + self.intercept)


@dataclass(frozen=True)
class ReliabilityBin:
    """Scripts whose score lies in one tenth of the range."""

    lower: float
    count: int
    mean_score: float
    malicious_share: float


def fit_platt(labels: Labels, logits: Floats, steps: int = 50) -> Calibration:
    """Slope and intercept by Newton's method, on Platt's smoothed targets (Platt 1999)."""
    malicious = int((labels == 1).sum())
    benign = len(labels) - malicious
    targets = np.where(labels == 1, (malicious + 1) / (malicious + 2), 1 / (benign + 2))
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    weights = np.zeros(2)
    for _ in range(steps):
        scores = sigmoid(design @ weights)
        curvature = (design * (scores * (1 - scores))[:, None]).T @ design + 1e-6 * np.eye(2)
        weights = weights - np.linalg.solve(curvature, design.T @ (scores - targets))
    return Calibration(float(weights[0]), float(weights[1]))


def reliability(labels: Labels, scores: Floats, bins: int = 10) -> list[ReliabilityBin]:
    """Mean score against share of malicious scripts, bin by bin; empty bins are left out."""
    places = np.minimum((scores * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(places):
        inside = places == place
        found.append(
            ReliabilityBin(
                float(place) / bins,
                int(inside.sum()),
                float(scores[inside].mean()),
                float(labels[inside].mean()),
            )
        )
    return found


def calibration_error(table: list[ReliabilityBin]) -> float:
    """Expected calibration error: the mean distance between score and share, weighted by count."""
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.mean_score - row.malicious_share) for row in table) / total
