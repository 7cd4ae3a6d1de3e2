"""The model: a decoder of attention and Mixture-of-Experts blocks with tied embeddings.

N tokens of the stream, D width, E experts, V vocabulary. Returns hidden states; logits appear only in ``trainer.loss``.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.attention import Attention, rotary
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.data import Packed
from gristmill.trainer.experts import Experts, swiglu
from gristmill.trainer.router import Router, Routing


class Forward(NamedTuple):
    """What a pass returns: nothing is kept inside the model."""

    hidden: Tensor  # float32[N, D], normalised; times the embedding it is the logits
    routings: tuple[Routing, ...]  # one a layer


class SharedExpert(nn.Module):
    """A SwiGLU network that sees every token, as wide as all shared experts together."""

    def __init__(self, width: int, hidden: int, out_std: float):
        super().__init__()
        self.gate_up = nn.Parameter(torch.randn(2 * hidden, width) * width**-0.5)
        self.down = nn.Parameter(torch.randn(width, hidden) * out_std)

    def forward(self, x: Tensor) -> Tensor:
        """``x [N, D]`` -> [N, D]."""
        return functional.linear(swiglu(functional.linear(x, self.gate_up)), self.down)


class Block(nn.Module):
    """Attention, then experts, each on a normalised residual branch."""

    def __init__(self, config: TrainConfig):
        super().__init__()
        width, out_std = config.width, config.width**-0.5 * (2 * config.layers) ** -0.5
        self.attention_norm, self.experts_norm = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.attention = Attention(width, config.heads, out_std)
        self.router = Router(width, config.experts, config.top_k, config.score)
        self.experts = Experts(config.experts, width, config.expert_width, out_std)
        shared = config.shared_experts * config.expert_width
        self.shared = SharedExpert(width, shared, out_std) if shared else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rope: Tensor, batch: Packed) -> tuple[Tensor, Routing]:
        """``x [N, D]`` -> [N, D] and where its tokens went."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rope, batch))
        branch = self.experts_norm(x)
        routing = self.router(branch)
        mixed = self.experts(branch, routing)
        if self.shared is not None:
            mixed = mixed + self.shared(branch)
        return x + self.dropout(mixed), routing


class Model(nn.Module):
    """Embedding, blocks, final norm; the embedding is the output matrix as well.

    The embedding is RMS-normalised on its way in: at its small initial scale (0.02, which the output wants) it would
    drown in the first block's output, and a model so started only reached the unigram level in 500,000 tokens.
    """

    def __init__(self, config: TrainConfig):
        super().__init__()
        self.head_width = config.width // config.heads
        self.embedding = nn.Parameter(torch.randn(config.vocab_size, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, 1e-6)

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return list(self.blocks)  # type: ignore[arg-type]

    def forward(self, batch: Packed) -> Forward:
        """Hidden states of every token of the batch."""
        x = functional.embedding(batch.tokens, self.embedding)
        x = functional.rms_norm(x, x.shape[-1:], eps=1e-6)
        rope, routings = rotary(batch.positions, self.head_width), []
        for block in self.layers:
            x, routing = block(x, rope, batch)
            routings.append(routing)
        return Forward(self.norm(x), tuple(routings))


def count_parameters(model: Model) -> tuple[int, int]:
    """All parameters, and those that one token uses (top_k of each layer's experts)."""
    total = sum(p.numel() for p in model.parameters())
    idle = 0
    for block in model.layers:
        experts, top_k = len(block.router.bias), block.router.top_k
        idle += sum(p.numel() for p in block.experts.parameters()) // experts * (experts - top_k)
    return total, total - idle
