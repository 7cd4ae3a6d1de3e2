"""Gradients that ranks send to one another in 8 bits: what rounding takes from a step is given to the next.

Every row of a matrix ``[..., I]`` has a scale, the largest number of it on any rank over 127. Each rank sends whole
numbers and keeps what they leave out, its residual, which it adds to its next gradient: in the end nothing is lost.
Vectors are sent as they are. Each rank gets the numbers of all others, W - 1 bytes a weight, where a ring of float32
sums takes 8 (W - 1) / W: a quarter with 2 ranks, half with 4, as much with 8.

Source: Seide et al., 1-bit SGD (Interspeech 2014), section 3; Karimireddy et al. (arXiv 1901.09847) for its need.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from gristmill.trainer.training.ranks import Ranks

LARGEST = 127


def add_gradients_in_int8(
    weights: Iterable[tuple[str, nn.Parameter]], residuals: dict[str, Tensor], ranks: Ranks
) -> None:
    """Give every weight the sum of its gradients; ``residuals`` by name are read and written.

    One process sends nothing: it adds what is left from a training on several.
    """
    for name, weight in weights:
        if not weight.requires_grad:
            continue
        own = torch.zeros_like(weight) if weight.grad is None else weight.grad
        own = own + residuals.pop(name) if name in residuals else own
        if ranks.world > 1 and weight.ndim > 1:
            scale = scale_of(ranks.largest(own.abs().amax(-1, keepdim=True)))
            numbers = rounded(own, scale)
            residuals[name] = own - scale * numbers
            own = scale * ranks.each(numbers).sum(0, dtype=torch.int32)
        else:
            own = ranks.sum(own)
        weight.grad = own


def scale_of(largest: Tensor) -> Tensor:
    """What the number 1 stands for, from the largest number of each row; 1 in a row of zeros."""
    return (largest / LARGEST).where(largest > 0, 1.0)


def rounded(values: Tensor, scale: Tensor) -> Tensor:
    """The nearest whole numbers of ``values [..., I]`` over ``scale [..., 1]``: int8, -127 to 127.

    >>> rounded(torch.tensor([[0.1, -2.0]]), scale_of(torch.tensor([[2.0]]))).tolist()
    [[6, -127]]
    """
    return (values / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8)


def stored(residuals_of_ranks: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of all ranks, as tensors of a checkpoint."""
    return {
        f"residual.{rank}.{name}": value
        for rank, residuals in enumerate(residuals_of_ranks)
        for name, value in residuals.items()
    }


def taken_out(tensors: dict[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """Residuals of this rank, taken out of a checkpoint's tensors; of another number of ranks, the first has all."""
    found: dict[int, dict[str, Tensor]] = {}
    for key in [key for key in tensors if key.startswith("residual.")]:
        _, rank, name = key.split(".", 2)
        found.setdefault(int(rank), {})[name] = tensors.pop(key).clone()
    if len(found) == ranks.world:
        return found[ranks.rank]
    if not ranks.is_first:
        return {}
    names = {name for residuals in found.values() for name in residuals}
    return {name: sum((one[name] for one in found.values() if name in one), torch.zeros(())) for name in names}
