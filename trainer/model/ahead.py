"""Heads that predict further tokens: head k the one that stands k places behind the next, from what is known before it.

N tokens of the stream, D width. A head is given what the head before it (the model, for the first) made of a token, and
the embedding of the token that is now known; so heads read a text as the model does, one token further each. They
share its embedding, are trained beside it, and have no part in what it predicts: held-out rows, ``generate`` and
exported models are without.

Source: DeepSeek-V3 (arXiv 2412.19437), section 2.2, with a dense network in place of a head's whole block: tokens see
one another in the model alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.experts import Dense
from gristmill.trainer.model.fused import EPSILON, RmsNorm
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.shape import Shape


class Ahead(nn.Module):
    """One head."""

    def __init__(self, shape: Shape):
        super().__init__()
        width = shape.width
        self.merge = nn.Parameter(torch.randn(width, 2 * width) * (2 * width) ** -0.5)
        self.dense_norm, self.norm = RmsNorm(width, EPSILON), RmsNorm(width, EPSILON)
        self.dense = Dense(shape, shape.dense_hidden)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """``x [N, D]`` and the embedding of the token ``known [N, D]``, both normalised -> [N, D], normalised."""
        x = functional.linear(torch.cat((x, known), 1), self.merge).float()
        return self.norm(x + self.dense(self.dense_norm(x)))


def further(batch: Packed, distance: int) -> tuple[Tensor, Tensor]:
    """Tokens whose document has one ``distance`` places behind their next that counts, and that: int64[Q] each.

    >>> import numpy as np
    >>> from gristmill.trainer.model.packed import pack
    >>> batch = pack(np.array([[5, 6, 7, 8, 9]]), np.array([0]), np.array([0, 0]), np.array([0, 3]), np.array([3, 2]))
    >>> [part.tolist() for part in further(batch, 1)]
    [[0], [7]]
    """
    inside = batch.positions[batch.inputs] >= distance
    return batch.inputs[inside] - distance, batch.targets[inside]


def further_targets(batch: Packed, heads: int) -> list[int]:
    """How many tokens each of ``heads`` predicts."""
    return [len(further(batch, distance)[0]) for distance in range(1, heads + 1)]


def ahead_loss(hidden: Sequence[Tensor], embedding: Tensor, batch: Packed, of_step: Sequence[int]) -> list[Tensor]:
    """A part's share of each head's loss, a mean over the whole step: scalars with gradient, nats a further token.

    Parameters
    ----------
    hidden : of each head, [N, D]
    of_step : tokens that each head predicts in the whole step
    """
    losses = []
    for distance, (x, whole) in enumerate(zip(hidden, of_step, strict=True), 1):
        inputs, targets = further(batch, distance)
        mean, _ = cross_entropy(x.index_select(0, inputs), embedding, targets)
        losses.append(mean * (len(targets) / max(whole, 1)))
    return losses
