"""Norm, gate and rotation with their gradients written out: fewer passes over memory than autograd makes of them.

What is not a matrix product took half of a step on a CPU. Each is the plain formula of its docstring, and of its twin
in the tests. Where nothing learns the formula is called as it is: of a model in use, a token at a time, autograd's
functions took a fifth of the time. On a CPU kernels compute norm and gate: ``trainer.model.one_pass``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gristmill.trainer.model import one_pass

EPSILON = 1e-6  # of every norm of the model
SUMS = (torch.float32, torch.float64)  # what kernels of the norm take


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
    """X / sqrt(mean(x^2) + epsilon) * weight over the last dimension; ``x [..., D]``, ``weight [D]`` or ones.

    Source: Zhang and Sennrich, RMSNorm (arXiv 1910.07467), equation 4.
    """
    if one_pass.fits(x) and x.dtype in SUMS:
        return one_pass.norm(x, weight, epsilon)
    if torch.is_grad_enabled():
        return _RmsNorm.apply(x, weight, epsilon)  # type: ignore[return-value]
    unit = x * _scale(x, epsilon)
    return unit if weight is None else unit.mul_(weight)


def _scale(x: Tensor, epsilon: float) -> Tensor:
    """1 / sqrt(mean(x^2) + epsilon), [..., 1]."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
        scale = _scale(x, epsilon)
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return unit if weight is None else unit * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        unit, scale, weight = ctx.saved_tensors
        along = grad * unit
        if weight is None:
            dot, back, of_weight = along.mean(-1, keepdim=True), grad.clone(), None
        else:
            dot, back = (along @ weight)[..., None].div_(unit.shape[-1]), grad * weight
            of_weight = along.flatten(0, -2).sum(0)
        return back.addcmul_(unit, dot, value=-1).mul_(scale), of_weight, None


def swiglu(gate_up: Tensor, share: Tensor | None = None) -> Tensor:
    """silu(gate) * up, the two halves of the last dimension of ``gate_up [..., 2I]``, times ``share [..., 1]``.

    Source: Shazeer, GLU variants (arXiv 2002.05202), equation 5.
    """
    if one_pass.fits(gate_up):
        return one_pass.gate(gate_up, share)
    if share is not None:
        return swiglu(gate_up) * share.to(gate_up.dtype)
    if torch.is_grad_enabled():
        return _SwiGlu.apply(gate_up)  # type: ignore[return-value]
    gate, up = gate_up.chunk(2, -1)
    return functional.silu(gate).mul_(up)


class _SwiGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, -1)
        open_gate = functional.silu(gate)
        ctx.save_for_backward(gate_up, open_gate)
        return open_gate * up

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        gate_up, open_gate = ctx.saved_tensors
        (gate, up), back = gate_up.chunk(2, -1), torch.empty_like(gate_up)
        of_gate, of_up = back.chunk(2, -1)
        torch.mul(grad, open_gate, out=of_up)
        torch.mul(grad, up, out=of_gate)
        torch.ops.aten.silu_backward.grad_input(of_gate, gate, grad_input=of_gate)
        return back


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(a cos - b sin, a sin + b cos) of the halves a, b of ``x [N, H, C]``; ``cos``, ``sin [N, 1, C / 2]``.

    Source: Su et al., RoFormer (arXiv 2104.09864), equation 34, with halves in place of neighbours.
    """
    if torch.is_grad_enabled():
        return _Rotate.apply(x, cos, sin)  # type: ignore[return-value]
    return _turned(x, cos, sin, 1)


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, sin, -1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    """By the angle, or by its negative."""
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    (a, b), (first, second) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(a, cos, out=first)
    first.addcmul_(b, sin, value=-sign)
    torch.mul(b, cos, out=second)
    second.addcmul_(a, sin, value=sign)
    return out


class RmsNorm(torch.nn.RMSNorm):
    """``torch.nn.RMSNorm`` with its weights and names, by ``rms_norm``."""

    def forward(self, x: Tensor) -> Tensor:
        """``x [..., D]`` -> [..., D]."""
        return rms_norm(x, self.weight, self.eps or 0.0)
