"""Logistic regression on which n-grams a window holds: the start of the network's votes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize
from scipy.sparse import csr_matrix

from script_threat.ngrams import BUCKETS
from script_threat.windows import Indices, WindowSets, largest

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearOptions:
    """How the regression is fitted; the penalties are gone through in turn, each from the last result."""

    penalties: tuple[float, ...] = (1e-4, 1e-5, 3e-6)  # on whole windows
    refined: tuple[float, ...] = (3e-6,)  # with the segments that decide
    iterations: int = 50
    whole_weight: float = 0.5  # of a malicious script's windows, beside the segments that decide


@dataclass(frozen=True)
class LinearModel:
    """logit = bias + sum of the weights of the buckets present / sqrt(their number)."""

    weights: npt.NDArray[np.float32]
    bias: float

    def score(self, windows: WindowSets, count: int) -> Floats:
        """The largest logit among each script's windows, [count]."""
        logits: Floats = presence_matrix(windows) @ self.weights + self.bias
        return largest(logits, windows.owners, count)


def presence_matrix(windows: WindowSets) -> csr_matrix:
    """One row a window: 1 / sqrt(number of buckets) in every bucket that is there."""
    lengths = np.diff(windows.ends)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return csr_matrix((values, windows.buckets, windows.ends), shape=(len(windows), BUCKETS + 1))


def shared_weights(owners: Indices, weights: Floats) -> Floats:
    """The weights of the windows: those of one script share the script's weight."""
    result: Floats = (weights / np.maximum(np.bincount(owners, minlength=len(weights)), 1))[owners]
    return result


def window_weights(owners: Indices, weights: Floats) -> Floats:
    """The same, with mean 1."""
    shared = shared_weights(owners, weights)
    result: Floats = shared / shared.mean()
    return result


def minimise(
    matrix: csr_matrix, signs: Floats, weights: Floats, start: Floats, penalty: float, iterations: int
) -> Floats:
    """The regression's weights, the bias last, by L-BFGS: the same on every run.

    The two halves of the matrix are gone through at the same time, in threads.
    """
    half = matrix.shape[0] // 2
    halves = [matrix[:half], matrix[half:]]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        votes = parameters[:-1]
        found = threads.map(lambda part: part @ votes.astype(np.float32), halves)
        margins = signs * (np.concatenate(list(found)) + parameters[-1])
        value = float((weights * np.logaddexp(0, -margins)).sum() + penalty / 2 * (votes @ votes))
        slopes = -weights * signs / (1 + np.exp(margins))
        shares = np.split(slopes.astype(np.float32), [half])
        gradients = list(threads.map(lambda part, share: share @ part, halves, shares))
        return value, np.append(gradients[0] + gradients[1] + penalty * votes, slopes.sum())

    limits = {"maxiter": iterations, "maxcor": 8}
    with ThreadPoolExecutor(2) as threads:
        result: Floats = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=limits).x
    return result


def fit_linear(
    windows: WindowSets,
    labels: Indices,
    weights: Floats,
    penalties: tuple[float, ...],
    iterations: int,
    start: LinearModel | None = None,
) -> LinearModel:
    """Logistic regression with an L2 penalty; the labels are those of the scripts, the weights those of the windows."""
    matrix = presence_matrix(windows)
    signs = np.where(labels[windows.owners] == 1, 1.0, -1.0)
    found = np.zeros(BUCKETS + 2) if start is None else np.append(start.weights, start.bias).astype(np.float64)
    for penalty in penalties:
        found = minimise(matrix, signs, weights / weights.sum(), found, penalty, iterations)
    return LinearModel(found[:-1].astype(np.float32), float(found[-1]))
