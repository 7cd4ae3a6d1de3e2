"""Multi-head latent attention: keys and values of all heads from one short latent, which alone is kept in use.

N tokens, D width, H heads, C head width, L kv_rank, R width of the part that bears the position. Queries and keys of a
head are C + R long; the R of a key is one for all heads, the C comes from the latent and knows no position. So a token
keeps L + R numbers, whatever the number of heads, where ``trainer.model.attention`` keeps 2 K C of them.

Source: DeepSeek-V2 (arXiv 2405.04434), sections 2.1.2 and 2.1.3.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.attention import Past, within_documents
from gristmill.trainer.model.fused import EPSILON, RmsNorm, rotate
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.shape import Shape


class LatentAttention(nn.Module):
    """Queries ``q [H (C + R), q_rank or D]``; ``kv_latent [L + R, D]``; ``kv [H 2 C, L]``, of each head k then v."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.heads, self.plain, self.turned = shape.heads, shape.head_width, shape.rotary_width
        self.memory_block = shape.memory_block
        width, inner, rank = shape.width, shape.heads * shape.head_width, shape.kv_rank
        of_query = shape.q_rank or width
        self.q_latent = nn.Parameter(torch.randn(shape.q_rank, width) * width**-0.5) if shape.q_rank else None
        self.q_norm = RmsNorm(shape.q_rank, EPSILON) if shape.q_rank else None
        self.q = nn.Parameter(torch.randn(inner + shape.heads * self.turned, of_query) * of_query**-0.5)
        self.kv_latent = nn.Parameter(torch.randn(rank + self.turned, width) * width**-0.5)
        self.kv_norm = RmsNorm(rank, EPSILON)
        self.kv = nn.Parameter(torch.randn(2 * inner, rank) * rank**-0.5)
        self.out = nn.Parameter(torch.randn(width, inner) * (2 * shape.layers * inner) ** -0.5)

    def forward(self, x: Tensor, rope: Tensor, batch: Packed, window: int = 0, past: Past | None = None) -> Tensor:
        """Attend in ``x [N, D]``; ``rope`` is ``rotary(batch.positions, R)``, ``window`` as in ``causal``."""
        q, (latent, bearing) = self.queries(x, rope), self.latents(x, rope)
        mixed = self._among_latents(q, latent, bearing, past) if past is not None else None
        if mixed is None:
            keys, values = self.expand(latent, bearing)
            mixed = within_documents(q, keys, values, batch, window, self.memory_block)[..., : self.plain]
        return functional.linear(mixed.flatten(1), self.out)

    def queries(self, x: Tensor, rope: Tensor) -> Tensor:
        """Of every head, the last R of them turned: float32[N, H, C + R]."""
        if self.q_latent is not None and self.q_norm is not None:
            x = self.q_norm(functional.linear(x, self.q_latent).float())
        q = functional.linear(x, self.q).float().unflatten(-1, (self.heads, -1))
        plain, turned = q.split([self.plain, self.turned], -1)
        return torch.cat((plain, rotate(turned, *rope.unbind(1))), -1)

    def latents(self, x: Tensor, rope: Tensor) -> tuple[Tensor, Tensor]:
        """All that a token keeps: its latent, float32[N, L], and the turned part of its keys, float32[N, 1, R]."""
        both = functional.linear(x, self.kv_latent).float()
        latent, bearing = both.split([both.shape[1] - self.turned, self.turned], -1)
        return self.kv_norm(latent), rotate(bearing[:, None], *rope.unbind(1))

    def expand(self, latent: Tensor, bearing: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of every head, [N, H, C + R] each: values end in zeros.

        torch's fused attention wants one width: at 512 tokens it takes 0.46 of the time of the other with R zeros more.
        """
        k, v = functional.linear(latent, self.kv).float().unflatten(-1, (self.heads, -1)).chunk(2, -1)
        k = torch.cat((k, bearing.expand(-1, self.heads, -1)), -1)
        return k, functional.pad(v, (0, self.turned))

    def _among_latents(self, q: Tensor, latent: Tensor, bearing: Tensor, past: Past) -> Tensor | None:
        """[N, H, C] as by ``expand``, without keys and values: what makes these of a latent is moved to the query.

        q (K c) = (K^T q) c, and the sum of the V c is V of the sum: all heads look for one key of L + R.
        """
        of_keys, of_values = self.kv.float().unflatten(0, (self.heads, 2, -1)).unbind(1)  # [H, C, L]
        plain, turned = q.split([self.plain, self.turned], -1)
        query = torch.cat((torch.einsum("nhc,hcl->nhl", plain, of_keys), turned), -1)
        query = query * (query.shape[-1] / q.shape[-1]) ** 0.5  # attention divides by the root of the longer width
        seen = past.attend(query, torch.cat((latent[:, None], bearing), -1), latent[:, None])
        return None if seen is None else torch.einsum("nhl,hcl->nhc", seen, of_values)
