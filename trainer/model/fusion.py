"""Fusion with a graph: what it says of an entity is added where the entity is read, and to what may come next.

M mentions, K neighbours of each, U entities, T tokens of a name, N tokens, D width, H heads. A neighbour is its name in
the model's own embedding and a vector of the relation; it is never read from the text. Behind the first layer attention
over the neighbours is added to the mention's last token; behind the last one, gated, to the tokens that follow in the
document, where the output matrix makes words of the neighbours' names likelier.

Source: Velickovic et al., Graph Attention Networks (arXiv 1710.10903), with scaled dot products for its scores; Merity
et al., Pointer Sentinel Mixture Models (arXiv 1609.07843), for a gate on what is copied.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.entity_mentions import Mentions

Kind = Literal["constant", "mean", "attention"]
RARELY = -2.0  # where the gate begins: 0.12


class FusionShape(NamedTuple):
    """What is fused; all kinds have the same parameters."""

    kind: Kind  # "constant": one vector in place of every neighbour; "mean": every neighbour alike
    relations: int
    heads: int = 2


class Fusion(nn.Module):
    """Neighbours of mentions, on their way into the stream and onto the hidden states."""

    def __init__(self, width: int, shape: FusionShape):
        super().__init__()
        self.shape = shape
        self.relation = nn.Parameter(torch.randn(shape.relations, width) * 0.1)
        self.constant = nn.Parameter(torch.randn(width) * 0.1)
        self.query, self.key, self.value = (nn.Parameter(torch.randn(width, width) * width**-0.5) for _ in range(3))
        self.out = nn.Parameter(torch.zeros(width, width))
        self.gate, self.gate_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.tensor(RARELY))

    def forward(self, x: Tensor, mentions: Mentions, embed: Callable[[Tensor], Tensor]) -> Tensor:
        """What the graph says of every mention: [M, D], from ``x [N, D]`` and ``embed`` of tokens."""
        there = mentions.neighbours >= 0
        names = _means(embed(mentions.names), mentions.lengths)[mentions.neighbours.clamp_min(0)]
        nodes = names + self.relation[mentions.relations.clamp_min(0)]  # [M, K, D]
        if self.shape.kind == "constant":
            names = nodes = self.constant.expand_as(nodes)
        share = self._shares(x[mentions.at], nodes, there)
        heads = functional.linear(nodes, self.value).unflatten(-1, (self.shape.heads, -1))
        mixed = torch.einsum("mhk,mkhc->mhc", share, heads).flatten(1)
        return torch.einsum("mk,mkd->md", share.mean(1), names) + functional.linear(mixed, self.out)

    def _shares(self, asking: Tensor, nodes: Tensor, there: Tensor) -> Tensor:
        """Weight of every neighbour, 0 where ``there bool[M, K]`` is False: [M, H, K], rows sum to 1."""
        q = functional.linear(asking, self.query).unflatten(-1, (self.shape.heads, -1))
        k = functional.linear(nodes, self.key).unflatten(-1, (self.shape.heads, -1))
        scores = torch.einsum("mhc,mkhc->mhk", q, k) / q.shape[-1] ** 0.5
        scores = scores if self.shape.kind == "attention" else scores * 0
        return scores.float().masked_fill(~there[:, None], -torch.inf).softmax(-1)

    def onto(self, hidden: Tensor, fused: Tensor, mentions: Mentions) -> Tensor:
        """``hidden [N, D]`` with a share of what the graph says of the latest mention."""
        known = torch.cat((fused, fused.new_zeros(1, fused.shape[1])))[mentions.latest]  # NONE is the last row
        return hidden + torch.sigmoid(hidden @ self.gate + self.gate_bias)[:, None] * known


def _means(embedded: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the tokens of names, ``embedded [U, T, D]``: [U, D]; 0 where a name has none."""
    counts = torch.arange(embedded.shape[1], device=lengths.device) < lengths[:, None]
    return (embedded * counts[..., None]).sum(1) / lengths.clamp_min(1)[:, None]
