"""Causal attention inside each document of a packed batch.

N tokens, D width, H heads, C head width, G documents of a group, T its longest. Documents of similar length form one
causal batch, padded on the right: no query sees what stands behind it, so nothing leaks and no mask is needed.
CPU milliseconds, forward and backward of four rows of 512 tokens, at 6 and at 40 documents a row: 15 and 9; with a
dense mask 30 and 30; with a call for each document 23 and 60. The values are equal within float32.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.data import Packed

ROPE_BASE = 10_000.0


class Attention(nn.Module):
    """Multi-head attention with rotary positions and RMS-normalised queries and keys."""

    def __init__(self, width: int, heads: int, out_std: float):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.out = nn.Parameter(torch.randn(width, width) * out_std)
        self.q_norm, self.k_norm = nn.RMSNorm(width // heads, 1e-6), nn.RMSNorm(width // heads, 1e-6)

    def forward(self, x: Tensor, rope: Tensor, batch: Packed) -> Tensor:
        """Attend in ``x [N, D]``; ``rope`` is ``rotary(batch.positions, C)``."""
        q, k, v = functional.linear(x, self.qkv).unflatten(-1, (3, self.heads, -1)).unbind(1)  # [N, H, C]
        q, k = rotate(self.q_norm(q.float()), rope), rotate(self.k_norm(k.float()), rope)
        mixed = [_causal(q[group], k[group], v[group]) for group in batch.groups]
        mixed = mixed or [v]  # a batch without tokens, all of whose documents were taken down, has no group
        return functional.linear(torch.cat(mixed)[batch.back].flatten(1), self.out)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[G, T, H, C] three times -> [G * T, H, C]."""
    kind = q.device.type
    slow = kind == "cpu"  # bfloat16 attention, which autocast would choose, takes 1.8 times as long there
    with torch.autocast(kind, enabled=torch.is_autocast_enabled(kind) and not slow):
        q, k, v = (t.transpose(1, 2).to(torch.float32 if slow else v.dtype) for t in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(0, 1)


def rotary(positions: Tensor, head_width: int) -> Tensor:
    """Cosines and sines of every position: float32[N, 2, 1, C / 2].

    Source: Su et al., RoFormer (arXiv 2104.09864), section 3.4.2; halves are rotated, not neighbours.
    """
    exponent = torch.arange(0, head_width, 2, device=positions.device) / head_width
    angle = positions[:, None] * ROPE_BASE**-exponent
    return torch.stack((angle.cos(), angle.sin()), 1)[:, :, None]


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Turn ``x [N, H, C]`` by the angles of ``rope [N, 2, 1, C / 2]``."""
    cos, sin = rope.unbind(1)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
