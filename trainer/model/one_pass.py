"""Norm and gate, each in one pass over memory on one thread of a CPU.

Between the products of a step torch's own operations read and wrote a number up to ten times: CPU milliseconds of
4,096 rows of 256, gate forward 1.3 and 0.6 here, norm with its gradient 2.5 and 0.7. The formulas stand in
``trainer.model.fused``, by which everything else is computed: other devices, and several threads, among which torch
divides what a kernel would do on one.

N tokens, D width, I width of a gate.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gristmill.trainer.model import _kernels_gate, _kernels_norm


def fits(x: Tensor) -> bool:
    """Whether kernels compute on ``x``."""
    return x.device.type == "cpu" and torch.get_num_threads() == 1


def array(x: Tensor) -> np.ndarray:
    """What a kernel reads and writes: the tensor's own memory where it is contiguous; bfloat16 as its bits.

    >>> array(torch.ones(2, dtype=torch.bfloat16)).tolist()
    [16256, 16256]
    """
    x = x.detach().contiguous()
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def sums(x: Tensor) -> torch.dtype:
    """What numbers in the format of ``x`` are added up in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def copied(weight: Tensor) -> np.ndarray:
    """The same of a few weights: memory that numpy has seen cannot be resized any more, as FSDP2 does with weights."""
    return array(weight.detach().clone())


def one(x: Tensor) -> np.floating:
    """1 in the format of ``sums``."""
    return np.float64(1) if x.dtype == torch.float64 else np.float32(1)


def width(x: Tensor, epsilon: float) -> tuple[np.floating, np.floating]:
    """Size of the last dimension, and ``epsilon`` times it, in the format that sums are in."""
    kind = type(one(x))
    return kind(x.shape[-1]), kind(x.shape[-1] * epsilon)


def norm(x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
    """``fused.rms_norm`` of ``x [..., D]`` in float32 or float64."""
    if torch.is_grad_enabled():
        return _Norm.apply(x, weight, epsilon)  # type: ignore[return-value]
    return _normalised(x, weight, epsilon)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.epsilon = epsilon
        return _normalised(x, weight, epsilon)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = torch.empty_like(x, memory_format=torch.contiguous_format), x.new_zeros(x.shape[-1])
        rows = [array(one).reshape(-1, x.shape[-1]) for one in (grad, x, of_x)]
        unit = _weight(x, weight)
        _kernels_norm.norm_back(rows[0], rows[1], unit, *width(x, ctx.epsilon), rows[2], array(of_weight))
        return of_x, of_weight if weight is not None else None, None


def _normalised(x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    rows = [array(one).reshape(-1, x.shape[-1]) for one in (x, out)]
    _kernels_norm.norm(rows[0], _weight(x, weight), *width(x, epsilon), rows[1])
    return out


def _weight(x: Tensor, weight: Tensor | None) -> np.ndarray:
    return copied(weight) if weight is not None else array(x.new_ones(x.shape[-1]))


def gate(gate_up: Tensor, share: Tensor | None) -> Tensor:
    """``fused.swiglu``."""
    if torch.is_grad_enabled():
        return _Gate.apply(gate_up, share)  # type: ignore[return-value]
    return _gated(gate_up, share)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, share: Tensor | None) -> Tensor:
        ctx.save_for_backward(gate_up, share)
        return _gated(gate_up, share)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        gate_up, share = ctx.saved_tensors
        weight = _share(gate_up, share)
        of_gate_up = torch.empty_like(gate_up, memory_format=torch.contiguous_format)
        of_share = torch.empty_like(weight)
        rows = [array(one).reshape(-1, one.shape[-1]) for one in (grad, gate_up, of_gate_up)]
        _kernels_gate.gate_back(rows[0], rows[1], array(weight), one(grad), rows[2], array(of_share))
        return of_gate_up, of_share.reshape(share.shape).to(share.dtype) if share is not None else None


def _gated(gate_up: Tensor, share: Tensor | None) -> Tensor:
    out = gate_up.new_empty(*gate_up.shape[:-1], gate_up.shape[-1] // 2)
    rows = [array(one).reshape(-1, one.shape[-1]) for one in (gate_up, out)]
    _kernels_gate.gate(rows[0], array(_share(gate_up, share)), one(gate_up), rows[1])
    return out


def _share(gate_up: Tensor, share: Tensor | None) -> Tensor:
    if share is not None:
        return share.reshape(-1).to(sums(gate_up))
    return torch.ones(gate_up.shape[:-1].numel(), dtype=sums(gate_up))
