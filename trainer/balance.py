"""Ways to keep every expert at work, by name: the Switch loss, the selection bias, none; and the z-loss.

N tokens, E experts, K top_k. Padding never enters the model, so no function here needs a mask. No torch is imported:
tensors are only handled, and a recipe is checked against the names in ``BALANCES`` before anything is loaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from gristmill.trainer.router import Routing


def switch_loss(counts: "Tensor", probabilities: "Tensor") -> "Tensor":
    """E * sum(f * P): ``f`` the share of choices ``counts int64[E]``, ``P`` the mean of ``probabilities [N, E]``.

    1 when balanced, up to E when one expert takes all. The gradient flows through P alone (counts are piecewise
    constant). f sums to 1, not to K as in transformers, so the balanced value does not depend on top_k.

    Source: Fedus et al., Switch Transformers (arXiv 2101.03961), equations 4 to 6.

    >>> import torch
    >>> float(switch_loss(torch.tensor([3, 3]), torch.full((3, 2), 0.5)))
    1.0
    """
    shares = counts / counts.sum().clamp_min(1)
    return len(counts) * (shares * probabilities.mean(0)).sum()


def z_loss(logits: "Tensor") -> "Tensor":
    """Mean squared logsumexp of the router ``logits [N, E]``: keeps them small.

    Source: Zoph et al., ST-MoE (arXiv 2202.08906), equation 5.
    """
    return logits.logsumexp(-1).square().mean()


def update_bias(bias: "Tensor", counts: "Tensor", rate: float) -> None:
    """Raise the ``bias float32[E]`` of underused experts by ``rate`` and lower that of overused ones, in place.

    Once per optimizer step, with the ``counts int64[E]`` of the whole batch. The mean is taken out afterwards,
    which moves no choice and keeps the buffer from drifting. Neither tensor has a gradient.

    Source: Wang et al., auxiliary-loss-free load balancing (arXiv 2408.15664), algorithm 1.

    >>> import torch
    >>> bias = torch.zeros(2)
    >>> update_bias(bias, torch.tensor([9, 1]), 0.5)
    >>> bias.tolist()
    [-0.5, 0.5]
    """
    load = counts.double()
    bias += rate * (load.mean() - load).sign()
    bias -= bias.mean()


def _switch_loss_of(routing: "Routing") -> "Tensor":
    return switch_loss(routing.counts, routing.probabilities)


@dataclass(frozen=True, slots=True)
class Balance:
    """One way; ``trainer.balance_rate`` is its strength.

    Parameters
    ----------
    loss : term of a layer's routing, added to the loss with the weight ``balance_rate``, the mean over layers
    update : called after each step for every layer as ``(bias float32[E], counts int64[E], balance_rate)``
    """

    loss: "Callable[[Routing], Tensor] | None" = None
    update: "Callable[[Tensor, Tensor, float], None] | None" = None


BALANCES = {
    "bias": Balance(update=update_bias),
    "switch": Balance(loss=_switch_loss_of),
    "none": Balance(),
}
