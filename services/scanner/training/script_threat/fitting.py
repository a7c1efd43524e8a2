"""Fits one network by gradient descent: n-gram dropout, running mean of the weights, trust in weak labels."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from script_threat.dataset import Sample
from script_threat.linear import window_weights
from script_threat.mining import trust_weak
from script_threat.network import NetworkOptions, PresenceNetwork
from script_threat.windows import WindowSets, largest

Floats = npt.NDArray[np.float64]
SETS_PER_RUN = 512


@dataclass(frozen=True)
class FitOptions:
    """How one network is fitted."""

    network: NetworkOptions = field(default_factory=NetworkOptions)
    seed: int = 1
    epochs: int = 3
    windows_per_script: int = 2
    augmented_share: float = 0.5  # of the scripts are learnt from a second time, augmented
    ngram_dropout: float = 0.9  # the most; each batch draws its own rate below this
    batch: int = 256
    rate: float = 5e-3
    decay: float = 0.1  # of the embeddings
    votes_rate: float = 5e-3
    votes_decay: float = 1e-3
    weak_weight: float = 0.5  # of a row whose label is only probable, before anything is known of it
    averaging: float = 0.99


def collate(
    windows: WindowSets, chosen: npt.NDArray[np.int64], dropout: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Buckets and starts of some sets, each n-gram left out with the chance `dropout`."""
    parts = [windows.set_of(index) for index in chosen]
    if dropout:
        parts = [part[rng.random(len(part)) >= dropout] for part in parts]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])[:-1]])
    return torch.from_numpy(np.concatenate(parts).astype(np.int64)), torch.from_numpy(starts)


@torch.no_grad()
def score_windows(network: PresenceNetwork, windows: WindowSets) -> Floats:
    """The logit of every set."""
    network.eval()
    rng = np.random.default_rng(0)
    order = np.arange(len(windows))
    chunks = [order[first : first + SETS_PER_RUN] for first in range(0, len(order), SETS_PER_RUN)]
    return np.concatenate([network(*collate(windows, chunk, 0.0, rng)).double().numpy() for chunk in chunks])


class Fit:
    """One run of training; `base` are the windows of the scripts as they are, `windows` all that is learnt from."""

    def __init__(self, samples: list[Sample], base: WindowSets, windows: WindowSets, options: FitOptions) -> None:
        torch.manual_seed(options.seed)
        self.options, self.samples, self.base = options, samples, base
        self.windows = windows
        self.rng = np.random.default_rng(options.seed)
        self.labels = np.array([sample.label for sample in samples])
        self.weights = np.array([options.weak_weight if sample.weak else 1.0 for sample in samples])
        self.network = PresenceNetwork(options.network)
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimiser = self.make_optimiser()
        self.step = 0

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Adam with a decay of its own for the embeddings, the votes and the rest."""
        network, options = self.network, self.options
        groups = [
            {"params": [network.embeddings], "lr": options.rate, "weight_decay": options.decay},
            {"params": [network.votes], "lr": options.votes_rate, "weight_decay": options.votes_decay},
            {"params": [network.hidden_bias, *network.output.parameters()], "lr": options.rate, "weight_decay": 0.0},
        ]
        for group in groups:
            group["peak"] = group["lr"]
        return torch.optim.AdamW(groups, foreach=True)

    def learn(self, windows: WindowSets, chosen: npt.NDArray[np.int64], weights: Tensor, progress: float) -> float:
        """One step of the optimiser; returns the loss."""
        warm = min(1.0, (self.step + 1) / 50)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * warm * (0.5 + 0.5 * math.cos(math.pi * progress))
        dropout = self.options.ngram_dropout * self.rng.random()
        logits = self.network(*collate(windows, chosen, dropout, self.rng))
        labels = torch.from_numpy(self.labels[windows.owners[chosen]]).float()
        losses = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        loss = (losses * weights[torch.from_numpy(chosen)]).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        self.average()
        return float(loss.detach())

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the present ones."""
        share = max(1 - self.options.averaging, 1 / (self.step + 1))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), share)

    def reweigh_weak(self) -> None:
        """Trust the label of a weak row as far as the model does."""
        logits = largest(score_windows(self.averaged, self.base), self.base.owners, len(self.samples))
        self.weights = trust_weak(self.samples, logits, self.options.weak_weight)

    def epochs(self) -> Iterator[tuple[int, float, float]]:
        """Train; after each epoch yields its number, mean loss and seconds."""
        windows = self.windows
        for epoch in range(self.options.epochs):
            started, losses = time.monotonic(), []
            weights = torch.from_numpy(window_weights(windows.owners, self.weights)).float()
            parts = np.array_split(self.rng.permutation(len(windows)), len(windows) // self.options.batch + 1)
            self.network.train()
            for number, chosen in enumerate(parts):
                progress = (epoch + number / len(parts)) / self.options.epochs
                losses.append(self.learn(windows, chosen, weights, progress))
            if epoch + 1 < self.options.epochs:
                self.reweigh_weak()
            yield epoch + 1, sum(losses) / len(losses), time.monotonic() - started
