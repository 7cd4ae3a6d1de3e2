"""Causal attention inside each document of a packed batch, with fewer heads of keys and values, and with a window.

N tokens, D width, H heads, K heads of keys and values, C head width, G documents of a group, T its longest. Documents
of similar length form one causal batch, padded on the right: no query sees what stands behind it, so nothing leaks and
no mask is needed without a window.
CPU milliseconds, forward and backward of four rows of 512 tokens, at 6 and at 40 documents a row: 15 and 9; with a
dense mask 30 and 30; with a call for each document 23 and 60. The values are equal within float32.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model import one_pass
from gristmill.trainer.model.compressed_memory import block_means, memory_scores
from gristmill.trainer.model.fused import EPSILON, RmsNorm, rotate
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.model.turned_heads import turned

ROPE_BASE = 10_000.0


class Past(Protocol):
    """Keys and values of one layer that a model in use keeps: ``trainer.generate.cache``."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
        """Keep ``k``, ``v [N, K, C]``; what ``q [N, H, C]`` sees, [N, H, C], or None where the batch is all of it."""


class Attention(nn.Module):
    """Attention with rotary positions and RMS-normalised queries and keys.

    Each of ``kv`` heads of keys and values serves heads / kv heads of queries.

    Source: Ainslie et al., grouped-query attention (arXiv 2305.13245), section 2.2.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.heads, self.kv, width, inner = shape.heads, shape.kv, shape.width, shape.heads * shape.head_width
        self.memory_block = shape.memory_block
        out_std = (2 * shape.layers * inner) ** -0.5  # by fan-in, and by the branches that are added up
        self.qkv = nn.Parameter(torch.randn(inner + 2 * self.kv * shape.head_width, width) * width**-0.5)
        self.out = nn.Parameter(torch.randn(width, inner) * out_std)
        self.q_norm, self.k_norm = RmsNorm(shape.head_width, EPSILON), RmsNorm(shape.head_width, EPSILON)

    def forward(self, x: Tensor, rope: Tensor, batch: Packed, window: int = 0, past: "Past | None" = None) -> Tensor:
        """Attend in ``x [N, D]``; ``rope`` is ``rotary(batch.positions, C)``, ``window`` as in ``causal``."""
        q, k, v = self.project(x, rope)
        seen = past.attend(q, k, v) if past is not None else None
        if seen is None:
            seen = within_documents(q, k, v, batch, window, self.memory_block)
        return functional.linear(seen.flatten(1), self.out)

    def project(self, x: Tensor, rope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries [N, H, C] and keys [N, K, C], and values [N, K, C]."""
        heads = (self.heads, self.kv, self.kv)
        mixed = functional.linear(x, self.qkv).unflatten(-1, (sum(heads), -1))
        if one_pass.fits(x):
            return turned(mixed, self.q_norm.weight, self.k_norm.weight, rope, heads[:2], EPSILON)
        q, k, v = mixed.split(heads, 1)
        cos, sin = rope.unbind(1)
        return rotate(self.q_norm(q.float()), cos, sin), rotate(self.k_norm(k.float()), cos, sin), v


def within_documents(q: Tensor, k: Tensor, v: Tensor, batch: Packed, window: int = 0, memory_block: int = 0) -> Tensor:
    """Queries [N, H, C] on keys and values [N, K, C] of their own document, up to themselves -> [N, H, C]."""
    if not batch.groups:  # a batch without tokens, all of whose documents were taken down
        return q
    laid, sizes = torch.cat([group.flatten() for group in batch.groups]), [group.numel() for group in batch.groups]
    moved = not _in_order(laid, len(q))
    parts = ((_Laid.apply(t, laid, batch.back) if moved else t).split(sizes) for t in (q, k, v))
    mixed = []
    for group, *of_group in zip(batch.groups, *parts, strict=True):
        of_q, of_k, of_v = (t.unflatten(0, group.shape) for t in of_group)  # [G, T, H or K, C]
        mixed.append(causal(of_q, of_k, of_v, window, memory_block))
    seen = torch.cat(mixed) if len(mixed) > 1 else mixed[0]
    return seen.index_select(0, batch.back) if moved else seen


def _in_order(laid: Tensor, n: int) -> bool:
    """Whether documents of one length stand as they came: copies of all queries, keys and values are spared then."""
    return laid.device.type == "cpu" and len(laid) == n and torch.equal(laid, torch.arange(n))


class _Laid(torch.autograd.Function):
    """Rows ``laid [M]`` of ``x [N, H, C]``. Padding repeats a token, and brings no gradient: nothing sees it.

    So the gradient is taken back from the places ``back [N]``, where a sum over all of ``laid`` would be.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, laid: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, laid)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad.index_select(0, *ctx.saved_tensors), None, None


def causal(q: Tensor, k: Tensor, v: Tensor, window: int = 0, memory_block: int = 0) -> Tensor:
    """Queries [G, T, H, C] on keys and values [G, T, K, C] -> [G * T, H, C].

    ``window`` tokens are seen, the token itself among them; 0 = all before it. A window costs a mask. What leaves it is
    forgotten, or with ``memory_block`` seen in blocks of so many tokens: ``trainer.model.compressed_memory``.

    Source: Beltagy et al., Longformer (arXiv 2004.05150), section 3.1, one side of it.
    """
    kind = q.device.type
    slow = kind == "cpu"  # bfloat16 attention, which autocast would choose, takes 1.8 times as long there
    with torch.autocast(kind, enabled=torch.is_autocast_enabled(kind) and not slow):
        dtype, share, length = torch.float32 if slow else v.dtype, q.shape[2] // k.shape[2], q.shape[1]
        q, k, v = (t.to(dtype) for t in (q, k, v))
        mask = None
        if 0 < window < length and memory_block:
            mask = memory_scores(length, window, memory_block, q)
            k, v = (torch.cat((block_means(t, memory_block), t), 1) for t in (k, v))
        elif 0 < window < length:
            mask = band(length, window, q.device)
        k, v = (t.repeat_interleave(share, 2) if share > 1 else t for t in (k, v))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return mixed.transpose(1, 2).flatten(0, 1)


def band(length: int, window: int, device: torch.device) -> Tensor:
    """Which tokens each of ``length`` sees, bool[T, T]: itself and the ``window`` - 1 before it.

    >>> band(3, 2, torch.device("cpu")).int().tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    at = torch.arange(length, device=device)
    back = at[:, None] - at
    return (back >= 0) & (back < window)


def rotary(positions: Tensor, head_width: int) -> Tensor:
    """Cosines and sines of every position: float32[N, 2, 1, C / 2].

    Source: Su et al., RoFormer (arXiv 2104.09864), section 3.4.2; halves are rotated, not neighbours.
    """
    exponent = torch.arange(0, head_width, 2, device=positions.device) / head_width
    angle = positions[:, None] * ROPE_BASE**-exponent
    return torch.stack((angle.cos(), angle.sin()), 1)[:, :, None]
