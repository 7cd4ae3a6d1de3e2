"""Queries and keys normalised and turned, and values, straight from the product that made all of them.

One pass on one thread of a CPU, in place of norm, rotation, a change of format and three copies of parts and as many
back: see ``trainer.model.one_pass``. N tokens, H heads of queries, K of keys and as many of values, A all of them, C
head width.
"""

from typing import Any

import torch
from torch import Tensor

from gristmill.trainer.model import _kernels_norm
from gristmill.trainer.model.one_pass import array, copied, sums, width


def turned(
    heads: Tensor, of_q: Tensor, of_k: Tensor, rope: Tensor, sizes: tuple[int, int], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys of ``heads [N, A, C]``, normalised and turned by ``rope [N, 2, 1, C/2]``; values as they are.

    Parameters
    ----------
    of_q, of_k : [C], weights of the norms
    sizes : heads of queries, and of keys or values

    Returns
    -------
    contiguous [N, H, C], [N, K, C] and [N, K, C], in float32, or in float64 where ``heads`` are
    """
    given = (heads, of_q, of_k, rope.squeeze(2), sizes, epsilon)
    return _Turned.apply(*given) if torch.is_grad_enabled() else _turned(*given)  # type: ignore[return-value]


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913  what autograd hands over
        ctx: Any, heads: Tensor, of_q: Tensor, of_k: Tensor, rope: Tensor, sizes: tuple[int, int], epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(heads, of_q, of_k, rope)
        ctx.sizes, ctx.epsilon = sizes, epsilon
        return _turned(heads, of_q, of_k, rope, sizes, epsilon)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        heads, of_q, of_k, rope = ctx.saved_tensors
        n_q, n_k = ctx.sizes
        back, seen, angles = torch.empty_like(heads, memory_format=torch.contiguous_format), array(heads), array(rope)
        of_weights = [torch.zeros_like(of_q), torch.zeros_like(of_k)]
        of_width = width(grads[0], ctx.epsilon)
        for grad, first, weight, of_weight in zip(grads[:2], (0, n_q), (of_q, of_k), of_weights, strict=True):
            given = (array(grad), seen, first, copied(weight), angles, *of_width)
            _kernels_norm.turn_back(*given, array(back), array(of_weight), array(torch.empty_like(weight)))
        _kernels_norm.copy_heads_back(array(grads[2]), n_q + n_k, array(back))
        return back, *of_weights, None, None, None


def _turned(
    heads: Tensor, of_q: Tensor, of_k: Tensor, rope: Tensor, sizes: tuple[int, int], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    (n_q, n_k), dtype, seen, angles = sizes, sums(heads), array(heads), array(rope)
    q, k, v = (heads.new_empty(len(heads), n, heads.shape[-1], dtype=dtype) for n in (n_q, n_k, n_k))
    of_width = width(q, epsilon)
    _kernels_norm.turn(seen, 0, copied(of_q), angles, *of_width, array(q))
    _kernels_norm.turn(seen, n_q, copied(of_k), angles, *of_width, array(k))
    _kernels_norm.copy_heads(seen, n_q + n_k, array(v))
    return q, k, v
