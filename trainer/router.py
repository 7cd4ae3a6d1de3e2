"""The router: which top_k experts see a token, and with which weights.

N tokens, D width, E experts, K top_k. Counts are an output, so the training loop adds them up.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.scores import SCORES

SMALLEST = 1e-20  # a gradient divided by it, times a score that small, is finite


class Routing(NamedTuple):
    """Where the tokens go."""

    weights: Tensor  # float32[N, K], each row sums to 1
    experts: Tensor  # int64[N, K], distinct in a row
    counts: Tensor  # int64[E], sums to N * K
    probabilities: Tensor  # float32[N, E], each row sums to 1; carries the gradient of the balance loss
    logits: Tensor  # float32[N, E]


class Router(nn.Module):
    """Top-k gate with scores of ``trainer.scores``, in float32.

    ``bias`` moves only the choice; the weights are the unbiased scores of the chosen, renormalised.
    It is a buffer: saved, never seen by the optimizer, moved by a ``Balance.update`` of ``trainer.balance``.

    Source: DeepSeek-V3 (arXiv 2412.19437) section 2.1.2 for sigmoid and bias; Switch (arXiv 2101.03961) for softmax.
    """

    bias: Tensor

    def __init__(self, width: int, experts: int, top_k: int, score: str):
        super().__init__()
        self.top_k, self._scores = top_k, SCORES[score]
        # small but not zero: of equal scores topk promises no order
        self.weight = nn.Parameter(torch.randn(experts, width) * 0.02)
        self.register_buffer("bias", torch.zeros(experts))

    def forward(self, x: Tensor) -> Routing:
        """Route ``x [N, D]``."""
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 logits would tie and flip choices
            logits = functional.linear(x.float(), self.weight)
        scores = self._scores(logits)
        chosen = (scores.detach() + self.bias).topk(self.top_k, dim=-1).indices
        weights = _shares(scores.gather(-1, chosen), logits.gather(-1, chosen))
        counts = torch.bincount(chosen.flatten(), minlength=len(self.bias))
        return Routing(weights, chosen, counts, _shares(scores, logits), logits)


def _shares(scores: Tensor, logits: Tensor) -> Tensor:
    """Scores over their sum, in each row; where all of them underflow, the limit: the softmax of their logits.

    A sigmoid of -104 is zero in float32, and so is a softmax 104 below the largest, which the bias may choose.
    """
    total = scores.sum(-1, keepdim=True)
    return torch.where(total < SMALLEST, logits.softmax(-1), scores / total.clamp_min(SMALLEST))
