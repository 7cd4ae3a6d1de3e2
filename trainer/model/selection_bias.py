"""The selection bias: what is added to an expert's score where tokens choose, and moved by the load of each step.

E experts. No torch is imported: tensors are only handled.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
