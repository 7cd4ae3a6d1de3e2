"""Keeping every expert at work: Switch loss, selection bias, z-loss.

N tokens, E experts, K top_k. Padding never enters the model, so no function here needs a mask.
"""

import torch
from torch import Tensor


def switch_loss(counts: Tensor, probabilities: Tensor) -> Tensor:
    """E * sum(f * P): ``f`` the share of choices ``counts int64[E]``, ``P`` the mean of ``probabilities [N, E]``.

    1 when balanced, up to E when one expert takes all. The gradient flows through P alone (counts are piecewise
    constant). f sums to 1, not to K as in transformers, so the balanced value does not depend on top_k.

    Source: Fedus et al., Switch Transformers (arXiv 2101.03961), equations 4 to 6.

    >>> float(switch_loss(torch.tensor([3, 3]), torch.full((3, 2), 0.5)))
    1.0
    """
    shares = counts / counts.sum().clamp_min(1)
    return len(counts) * (shares * probabilities.mean(0)).sum()


def z_loss(logits: Tensor) -> Tensor:
    """Mean squared logsumexp of the router ``logits [N, E]``: keeps them small.

    Source: Zoph et al., ST-MoE (arXiv 2202.08906), equation 5.
    """
    return logits.logsumexp(-1).square().mean()


@torch.no_grad()
def update_bias(bias: Tensor, counts: Tensor, rate: float) -> None:
    """Raise the ``bias float32[E]`` of underused experts by ``rate`` and lower that of overused ones, in place.

    Once per optimizer step, with the ``counts int64[E]`` of the whole batch. The mean is taken out afterwards,
    which moves no choice and keeps the buffer from drifting.

    Source: Wang et al., auxiliary-loss-free load balancing (arXiv 2408.15664), algorithm 1.

    >>> bias = torch.zeros(2)
    >>> update_bias(bias, torch.tensor([9, 1]), 0.5)
    >>> bias.tolist()
    [-0.5, 0.5]
    """
    load = counts.double()
    bias += rate * torch.sign(load.mean() - load)
    bias -= bias.mean()
