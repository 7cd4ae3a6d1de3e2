"""The selection bias, added to an expert's score where tokens choose: moved by each step's load, at last settled.

E experts. No torch is imported: tensors are only handled.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

FIRST, GROW, SHRINK = 0.01, 1.2, 0.5  # of the steps of ``even_bias``
ROUNDS = 60  # 10 to 13 were needed for the sample's layers
EVEN = 0.01  # standard deviation of a load, in units of its mean, that is even enough


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


class Evened(NamedTuple):
    """A bias, and the choices of each expert with the first one and with this one."""

    bias: "Tensor"  # float32[E], mean 0
    before: "Tensor"  # int64[E]
    after: "Tensor"  # int64[E]


def even_bias(bias: "Tensor", count: "Callable[[Tensor], Tensor]", rounds: int = ROUNDS) -> Evened:
    """The evenest bias that is met in ``rounds`` of the rule of ``update_bias`` on scores that stand still.

    Each expert has a rate of its own, which grows while the load stays on one side of the mean and is halved where the
    load crosses it: loads move by 2 to 27 of their mean for a bias of 1. Counts alone decide, so that processes which
    count the same have the same bias. Where no bias makes loads even, as among limited groups, the evenest is kept.

    Parameters
    ----------
    bias : float32[E], where to begin
    count : from a bias to the choices of each expert under it, int64[E]

    Source: Riedmiller and Braun, RPROP (IEEE ICNN 1993), for rates that follow the sign.

    >>> import torch
    >>> scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> found = even_bias(torch.zeros(2), lambda bias: (scores + bias).argmax(1).bincount(minlength=2))
    >>> found.before.tolist(), found.after.tolist()
    ([4, 0], [2, 2])
    """
    rate, last = bias * 0 + FIRST, bias * 0
    counts = count(bias)
    best = Evened(bias, counts, counts)
    for _ in range(rounds):
        if unevenness(best.after) < EVEN:
            break
        load = counts.double()
        side = (load.mean() - load).sign().to(bias.dtype)
        rate = (rate * GROW).where(side * last > 0, (rate * SHRINK).where(side * last < 0, rate))
        bias, last = bias + rate * side, side
        bias = bias - bias.mean()
        counts = count(bias)
        if unevenness(counts) < unevenness(best.after):
            best = Evened(bias, best.before, counts)
    return best


def unevenness(counts: "Tensor") -> float:
    """Standard deviation of ``counts int64[E]`` in units of their mean; 0 where nothing was counted."""
    load = counts.double()
    return (load / load.mean().clamp_min(1 / len(counts))).std(correction=0).item()
