"""Choosing experts by scores: the best, within the best groups, without dropped ones, as many as a mass needs, in turn.

N tokens, E experts, K top_k, G groups. Nothing here has a gradient; weights are the router's.
"""

import torch
from torch import Tensor

from gristmill.trainer.model.shape import Shape

BEST_OF_GROUP = 2  # scores that are added up to the score of a group
BEHIND = 1e9  # taken off a score: chosen only where all others are


def choose(scores: Tensor, shape: Shape, dropped: float = 0.0) -> Tensor:
    """The best ``top_k`` of ``scores float32[N, E]``, biased already: int64[N, K], the best first.

    With groups a token chooses within the ``kept_groups`` whose two best scores add up to most. With ``dropped`` > 0
    each expert is out of the choice of each token with that chance, unless too few are left.

    Source: DeepSeek-V3 (arXiv 2412.19437), section 2.1.2, node-limited routing, with groups of experts for nodes.
    """
    if dropped:
        scores = scores - BEHIND * (torch.rand_like(scores) < dropped)
    if 0 < shape.kept_groups < shape.groups:
        scores = scores - BEHIND**2 * ~_kept(scores, shape)
    return scores.topk(shape.top_k, dim=-1).indices


def _kept(scores: Tensor, shape: Shape) -> Tensor:
    """Which experts stand in a kept group, bool[N, E]."""
    size = shape.experts // shape.groups
    of_group = scores.unflatten(-1, (shape.groups, size)).topk(min(BEST_OF_GROUP, size), dim=-1).values.sum(-1)
    best = of_group.topk(shape.kept_groups, dim=-1).indices
    return torch.zeros_like(of_group, dtype=torch.bool).scatter(-1, best, value=True).repeat_interleave(size, -1)


def within_mass(chosen: Tensor, weights: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Of ``chosen int64[N, K]`` as many as reach ``mass`` with their probabilities ``weights float32[N, K]``.

    Returns both, the likeliest first; behind the last that is needed stand expert E and weight 0. At least one stays.

    Source: Huang et al., Harder Tasks Need More Experts (arXiv 2403.07652), equations 4 and 5, with top_k as a cap.
    """
    order = weights.detach().argsort(dim=-1, descending=True, stable=True)
    chosen, weights = chosen.gather(-1, order), weights.gather(-1, order)
    reached = weights.detach().cumsum(-1) - weights.detach()
    needed = reached < shape.mass
    return chosen.where(needed, shape.experts), weights * needed


def in_turn(scores: Tensor, shape: Shape) -> Tensor:
    """Experts in turn, as even as can be, whatever the ``scores [N, E]``: int64[N, K]."""
    n = len(scores) * shape.top_k
    return torch.arange(n, device=scores.device).remainder(shape.experts).reshape(len(scores), shape.top_k)
