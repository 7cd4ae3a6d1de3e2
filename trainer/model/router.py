"""The router: which experts see a token, and with which weights.

N tokens, D width, E experts, K top_k. Counts are an output, so the training loop adds them up. How experts are chosen
from scores stands in ``trainer.model.choice``.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.choice import choose, in_turn, within_mass
from gristmill.trainer.model.scores import SCORES
from gristmill.trainer.model.shape import Shape

SMALLEST = 1e-20  # a gradient divided by it, times a score that small, is finite


class Routing(NamedTuple):
    """Where the tokens go."""

    weights: Tensor  # float32[N, K]: each row sums to route_scale where K > 1 and mass is 0
    experts: Tensor  # int64[N, K], distinct in a row; E stands for no expert
    counts: Tensor  # int64[E], choices of each expert
    probabilities: Tensor  # float32[N, E], each row sums to 1; carries the gradient of the balance losses
    logits: Tensor  # float32[N, E]
    ragged: bool = False  # tokens may have fewer than K experts


class Router(nn.Module):
    """Top-k gate with scores of ``trainer.model.scores``, in float32.

    ``bias`` moves only the choice; the weights are the unbiased scores of the chosen, renormalised where there are
    several. A single expert is weighted by its probability: renormalised it would weigh 1, and nothing would teach the
    router (cosine of its weights to the initial ones after 60 steps: 0.99998). So are experts chosen by mass, which may
    be one. ``bias`` is a buffer: saved, never seen by the optimizer, moved by ``update_bias``.

    Source: DeepSeek-V3 (arXiv 2412.19437) section 2.1.2 for sigmoid, bias and scale; Switch (arXiv 2101.03961),
    equation 2, for the weight of a single expert.
    """

    bias: Tensor

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape, self._scores = shape, SCORES[shape.score]
        # small but not zero: of equal scores topk promises no order
        self.weight = nn.Parameter(torch.randn(shape.experts, shape.width) * 0.02)
        self.register_buffer("bias", torch.zeros(shape.experts))

    def forward(self, x: Tensor) -> Routing:
        """Route ``x [N, D]``."""
        return self.route(self.logits(x))

    def logits(self, x: Tensor) -> Tensor:
        """What experts say to ``x [N, D]``: float32[N, E]."""
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 logits would tie and flip choices
            return functional.linear(x.float(), self.weight)

    def route(self, logits: Tensor) -> Routing:
        """Choose by ``logits float32[N, E]`` and by the bias as it is now."""
        shape = self.shape
        scores = self._scores(logits)
        probabilities = _shares(scores, logits)
        dropped = shape.expert_dropout if self.training else 0.0
        with torch.no_grad():
            chosen = in_turn(scores, shape) if shape.forced_balance else choose(scores + self.bias, shape, dropped)
        if shape.top_k > 1 and not shape.mass:
            weights = _shares(scores.gather(-1, chosen), logits.gather(-1, chosen))
        else:
            weights = probabilities.gather(-1, chosen)
        if shape.mass:
            chosen, weights = within_mass(chosen, weights, shape)
        counts = torch.bincount(chosen.flatten(), minlength=shape.experts)[: shape.experts]
        return Routing(weights * shape.route_scale, chosen, counts, probabilities, logits, bool(shape.mass))


def _shares(scores: Tensor, logits: Tensor) -> Tensor:
    """Scores over their sum, in each row; where all of them underflow, the limit: the softmax of their logits.

    A sigmoid of -104 is zero in float32, and so is a softmax 104 below the largest, which the bias may choose.
    """
    total = scores.sum(-1, keepdim=True)
    return torch.where(total < SMALLEST, logits.softmax(-1), scores / total.clamp_min(SMALLEST))
