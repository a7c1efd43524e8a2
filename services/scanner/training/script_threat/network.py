"""The network: which n-grams a window holds, looked at by a linear and a hidden layer.

A window of tokens becomes hashes of its byte n-grams, by integer arithmetic inside the graph, so that the caller
passes plain bytes. Each different n-gram counts once, divided by the root of their number. Its own weight makes the
linear part; its embedding, summed with the others' and rectified, makes the hidden part, which sees combinations.

A window is scored as a whole and in parts (`segments.py`), and the largest logit counts. Of the part that decides,
both layers are piecewise linear in the n-grams, so its logit can be divided among them without a rest: the weight of
an n-gram and the gain of its embedding belong to the places where it stands. That is the evidence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from script_threat.linear import LinearModel
from script_threat.ngrams import BUCKETS, SIZES, multiplier
from script_threat.preprocessing import ALIGNMENT, PADDING_TOKEN
from script_threat.segments import ENDS, FLOOR, MEMBERSHIP, OFFSETS, PADDING_COSTS, PADDING_SHARES, STEEPNESS

NEVER = -1e4  # the logit of a part that holds nothing


@dataclass(frozen=True)
class NetworkOptions:
    """Sizes of the network, and the dropout of its hidden units while it learns."""

    sizes: tuple[int, ...] = SIZES
    hidden: int = 16
    dropout: float = 0.5
    spread: float = 0.3  # of the embeddings at the start


class PresenceNetwork(nn.Module):
    """Sets of buckets, given as for nn.EmbeddingBag, to logits."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.sizes = options.sizes
        self.embeddings = nn.Parameter(torch.randn(BUCKETS + 1, options.hidden) * options.spread)
        self.votes = nn.Parameter(torch.zeros(BUCKETS + 1, 1))
        self.hidden_bias = nn.Parameter(torch.zeros(options.hidden))
        self.output = nn.Linear(options.hidden, 1)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, buckets: Tensor, starts: Tensor) -> Tensor:
        """Logits [sets]; `starts` says where in `buckets` each set begins."""
        counts = torch.diff(starts, append=torch.tensor([len(buckets)]))
        scale = counts.clamp(min=1).float().rsqrt().unsqueeze(1)
        sums = nn.functional.embedding_bag(buckets, self.embeddings, starts, mode="sum") * scale
        votes = nn.functional.embedding_bag(buckets, self.votes, starts, mode="sum") * scale
        hidden = self.dropout(torch.relu(sums + self.hidden_bias))
        logits: Tensor = (votes + self.output(hidden)).squeeze(1)
        return logits


def bucket_indices(tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Bucket of the n-gram of each size that begins at each token, [N, L, len(sizes)]; 0 where it meets padding."""
    padded = nn.functional.pad(tokens.long(), (0, max(sizes) - 1), value=PADDING_TOKEN)
    length = tokens.shape[1]
    found = []
    for size in sizes:
        value = torch.full_like(tokens, size, dtype=torch.int64)
        for place in range(size):
            value = value + (padded[:, place : place + length] + 1) * multiplier(size, place)
        last = padded[:, size - 1 : size - 1 + length]
        found.append(torch.where(last == PADDING_TOKEN, 0, value % BUCKETS + 1))
    return torch.stack(found, dim=2)


class ExportedNetwork(nn.Module):
    """Tokens, int32 [N, L], to score [N] and evidence [N, L / ALIGNMENT]: the mean of a regression and networks.

    The hidden layers of the networks stand side by side in one table of half precision, the votes in a last column.
    `line` is the logit from which scripts are malicious (`segments.py`).
    """

    def __init__(
        self,
        linear: LinearModel,
        networks: list[PresenceNetwork],
        sizes: tuple[int, ...] = SIZES,
        line: float = -NEVER,
    ) -> None:
        super().__init__()
        self.line = line
        share = 1 / (1 + len(networks))
        self.sizes = sizes
        votes, bias = torch.from_numpy(linear.weights).unsqueeze(1) * share, torch.tensor([linear.bias * share])
        for network in networks:
            votes = votes + network.votes.detach() * share
            bias = bias + network.output.bias.detach() * share
        table = torch.cat([*(network.embeddings.detach() for network in networks), votes], dim=1)
        table[0] = 0
        self.table = nn.Parameter(table.half(), requires_grad=False)
        empty = torch.zeros(0)
        self.hidden_bias = nn.Parameter(torch.cat([empty, *(network.hidden_bias.detach() for network in networks)]))
        outputs = [network.output.weight.detach()[0] * share for network in networks]
        self.output = nn.Parameter(torch.cat([empty, *outputs]))
        self.bias = nn.Parameter(bias)
        self.membership = nn.Parameter(torch.from_numpy(MEMBERSHIP), requires_grad=False)
        self.offsets = nn.Parameter(torch.from_numpy(OFFSETS), requires_grad=False)
        self.ends = nn.Parameter(torch.from_numpy(ENDS), requires_grad=False)
        self.padding_costs = nn.Parameter(torch.from_numpy(PADDING_COSTS), requires_grad=False)
        self.padding_shares = nn.Parameter(torch.from_numpy(PADDING_SHARES), requires_grad=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The largest logit of each window's parts, less where other text would lower it, and what each block added."""
        blocks, counts = self.blocks(tokens)
        parts = self.membership[:, : blocks.shape[1]]
        held = torch.matmul(counts, parts.T)  # [N, parts]: different n-grams
        scale = held.clamp(min=1).rsqrt()
        sums = torch.matmul(parts, blocks) * scale.unsqueeze(2)
        before = sums[:, :, :-1] + self.hidden_bias
        logits = sums[:, :, -1] + torch.matmul(torch.relu(before), self.output) + self.bias - self.offsets
        whole = torch.arange(len(self.offsets)) == 0
        logits = torch.where((held > 0) | whole, logits, torch.full_like(logits, NEVER))
        filled = (counts > 0).sum(dim=1)
        inside = self.ends <= filled.unsqueeze(1)
        padded = torch.where(inside, logits, torch.full_like(logits, NEVER)).amax(dim=1)
        padded = torch.maximum(padded, logits[:, 0] * self.padding_shares[filled] - self.padding_costs[filled])
        logits = torch.where(whole, logits, logits - STEEPNESS * torch.relu(FLOOR - logits))
        score, best = logits.max(dim=1)
        score = torch.minimum(score, padded.clamp(min=self.line))
        chosen = best.reshape(-1, 1, 1)
        gains = self.output * (before.gather(1, chosen.expand(-1, 1, before.shape[2])).squeeze(1) > 0)
        gains = torch.cat([gains, torch.ones_like(score.unsqueeze(1))], dim=1)
        weights = torch.matmul(blocks, gains.unsqueeze(2)).squeeze(2) * scale.gather(1, best.unsqueeze(1))
        return score, weights * parts[best]

    def blocks(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the table's rows of the n-grams in each block, [N, blocks, columns], and their number, [N, blocks].

        The presence of an n-gram is shared among the places where the window holds it.
        """
        indices = bucket_indices(tokens, self.sizes).reshape(tokens.shape[0], -1)
        held = torch.zeros(indices.shape[0], BUCKETS + 1).scatter_add(
            1, indices, torch.ones_like(indices, dtype=torch.float32)
        )
        width = ALIGNMENT * len(self.sizes)
        shares = ((indices > 0).float() / held.gather(1, indices)).reshape(-1, 1, width)
        rows = nn.functional.embedding(indices, self.table).float().reshape(-1, width, self.table.shape[1])
        count = tokens.shape[1] // ALIGNMENT
        sums = torch.bmm(shares, rows).reshape(-1, count, self.table.shape[1])
        return sums, shares.sum(dim=2).reshape(-1, count)
