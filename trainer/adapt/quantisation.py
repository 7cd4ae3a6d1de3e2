"""Rows of a matrix as whole numbers: those that vary most in 8 bits, symmetric, the others in 4, asymmetric.

A weight ``[..., O, I]`` may be a stack of matrices; each has a quantile of its own. Training computes with the rounded
weight and learns the weight behind it: the gradient goes straight through.

Source: Jacob et al. (arXiv 1712.05877), section 3, for training with rounded weights and the asymmetric grid; Bengio et
al. (arXiv 1308.3432) for the gradient; the groups by variance are the seed documents'.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

WIDE, NARROW = 127, 15  # largest number of 8 bits with a sign, and of 4 without


class Rows(NamedTuple):
    """A quantised weight."""

    wide: Tensor  # bool[..., O], rows of 8 bits
    scale: Tensor  # float32[..., O]
    least: Tensor  # float32[..., O], the value of number 0; 0 for rows of 8 bits
    numbers: Tensor  # float32[..., O, I], whole: -127 to 127, or 0 to 15

    @property
    def weight(self) -> Tensor:
        """What the numbers stand for, float32[..., O, I]."""
        return self.numbers * self.scale[..., None] + self.least[..., None]


def quantise(weight: Tensor, quantile: float) -> Rows:
    """Round a weight.

    >>> quantise(torch.tensor([[0.0, 3.0], [-254.0, 127.0]]), 0.5).numbers.tolist()
    [[0.0, 15.0], [-127.0, 64.0]]
    """
    variance = weight.var(-1, unbiased=False)
    wide = variance > variance.quantile(quantile, dim=-1, keepdim=True)
    low, high = weight.amin(-1), weight.amax(-1)
    scale = torch.where(wide, weight.abs().amax(-1) / WIDE, (high - low) / NARROW)
    scale = scale.where(scale > 0, 1.0)  # a row of one value
    least = low.masked_fill(wide, 0.0)
    return Rows(wide, scale, least, ((weight - least[..., None]) / scale[..., None]).round())


class FakeQuantised(nn.Module):
    """A parametrisation: the weight as it will be once it is stored."""

    def __init__(self, quantile: float):
        super().__init__()
        self._quantile = quantile

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight, with the gradient of the weight itself."""
        return weight + (quantise(weight.detach(), self._quantile).weight - weight.detach())


def pack(rows: Rows) -> dict[str, Tensor]:
    """The tensors that a quantised weight is stored in; an odd last number of 4 bits has a byte of its own."""
    wide, numbers = rows.wide.flatten(), rows.numbers.flatten(0, -2)
    four = numbers[~wide].to(torch.uint8)
    four = nn.functional.pad(four, (0, four.shape[1] % 2))
    bits = nn.functional.pad(wide, (0, -len(wide) % 8)).unflatten(0, (-1, 8)) * (1 << torch.arange(8))
    return {
        "wide": bits.sum(1).to(torch.uint8),
        "scale": rows.scale.flatten().clone(),
        "least": rows.least.flatten()[~wide],
        "eight": numbers[wide].to(torch.int8),
        "four": four[:, ::2] | four[:, 1::2] << 4,
    }


def unpack(packed: dict[str, Tensor], shape: torch.Size) -> Rows:
    """The weight of ``shape [..., O, I]`` that ``pack`` stored."""
    scale = packed["scale"]
    wide = (packed["wide"][:, None] >> torch.arange(8) & 1).flatten()[: len(scale)].bool()
    least, numbers = torch.zeros_like(scale), torch.zeros(len(scale), shape[-1])
    least[~wide], numbers[wide] = packed["least"], packed["eight"].float()
    numbers[~wide] = torch.stack((packed["four"] & 15, packed["four"] >> 4), -1).flatten(1)[:, : shape[-1]].float()
    return Rows(wide.view(shape[:-1]), scale.view(shape[:-1]), least.view(shape[:-1]), numbers.view(shape))


def n_bytes(packed: dict[str, Tensor]) -> int:
    """Bytes of the stored tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in packed.values())
