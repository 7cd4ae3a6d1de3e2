"""The model: a decoder of attention and Mixture-of-Experts blocks with tied embeddings.

N tokens of the stream, D width, E experts, V vocabulary. Returns hidden states; logits appear only in
``trainer.model.loss``. What the layers are like stands in ``trainer.model.shape``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gristmill.trainer.model.ahead import Ahead
from gristmill.trainer.model.attention import Past, rotary
from gristmill.trainer.model.block import Block
from gristmill.trainer.model.fused import EPSILON, RmsNorm, rms_norm
from gristmill.trainer.model.fusion import Fusion, FusionShape
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.router import Router, Routing
from gristmill.trainer.model.shape import Shape, narrower


class Forward(NamedTuple):
    """What a pass returns: nothing is kept inside the model."""

    hidden: Tensor  # float32[N, D], normalised; times the embedding it is the logits
    routings: tuple[Routing, ...]  # one of each layer that has experts
    ahead: tuple[Tensor, ...] = ()  # of each head for a further token, float32[N, D], where they were asked for


class Model(nn.Module):
    """Embedding, blocks, final norm; the embedding is the output matrix as well.

    The embedding is RMS-normalised on its way in: at its small initial scale (0.02, which the output wants) it would
    drown in the first block's output, and a model so started only reached the unigram level in 500,000 tokens.
    """

    def __init__(self, shape: Shape, vocab_size: int, fusion: FusionShape | None = None):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(vocab_size, shape.width) * 0.02)
        self.blocks = nn.ModuleList(Block(shape, layer) for layer in range(shape.layers))
        self.norm = RmsNorm(shape.width, EPSILON)
        self.heads = nn.ModuleList(Ahead(shape) for _ in range(shape.ahead))  # behind the weights that all models have
        self.fusion = Fusion(shape.width, fusion) if fusion else None  # last: all other weights are as without

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return list(self.blocks)  # type: ignore[arg-type]

    @property
    def routers(self) -> list[Router]:
        """Of the layers that have experts."""
        return [block.router for block in self.layers if block.router is not None]

    def forward(
        self,
        batch: Packed,
        window: int = 0,
        past: Sequence[Past] | None = None,
        *,
        recompute: bool = False,
        ahead: bool = False,
    ) -> Forward:
        """Hidden states of every token of the batch.

        ``window`` > 0 narrows attention to so many tokens for this pass, see ``Shape.window``. ``past`` has a cache for
        each layer, where the tokens of the batch go on from earlier ones. With ``recompute`` a block keeps its input
        alone for the gradient and runs once more on the way back, with the random numbers of the first time. What it
        returned, its counts among them, stays that of the first time. ``ahead`` asks for ``Shape.ahead`` heads as well.

        Source: Chen et al., Training Deep Nets with Sublinear Memory Cost (arXiv 1604.06174), section 4.
        """
        x = self.embed(batch.tokens)
        mentions, fused = batch.mentions, None
        rope, routings, layers = rotary(batch.positions, self.shape.rotary_width), [], self.layers
        window = narrower(window, self.shape.window)
        kept = past or [None] * len(layers)
        for block, owner, own in zip(layers, self.shape.owners, kept, strict=True):
            given = (x, rope, batch, layers[owner], window, own)
            x, routing = checkpoint(block, *given, use_reentrant=False) if recompute else block(*given)
            routings += [routing] if routing is not None else []
            if self.fusion is not None and mentions is not None and block is layers[0]:
                fused = self.fusion(x, mentions, self.embed)
                x = x.index_add(0, mentions.at, fused)
        x = self.norm(x)
        if self.fusion is not None and mentions is not None and fused is not None:
            x = self.fusion.onto(x, fused, mentions)
        return Forward(x, tuple(routings), self._ahead(x, batch) if ahead else ())

    def _ahead(self, x: Tensor, batch: Packed) -> tuple[Tensor, ...]:
        """What heads make of ``x [N, D]``. Where a document has ended it is never read, and any token will do."""
        found = [x]
        for distance, head in enumerate(self.heads, 1):
            found.append(head(found[-1], self.embed(batch.tokens.roll(-distance))))
        return tuple(found[1:])

    def embed(self, tokens: Tensor) -> Tensor:
        """``tokens int64[N]`` -> float32[N, D], normalised."""
        x = functional.embedding(tokens, self.embedding)
        return rms_norm(x, None, EPSILON)


class Parameters(NamedTuple):
    """How many parameters a model has."""

    total: int
    active: int  # that one token uses: top_k of each layer's experts, and all else but heads for further tokens
    across_layers: int  # that more than one layer uses
    shared_experts: int  # of experts that every token uses


def count_parameters(model: Model) -> Parameters:
    """Parameters in all, and how many of them a token uses, layers share, and shared experts hold.

    >>> count_parameters(Model(Shape(layers=2, shared_bottom=2, width=8, heads=1, expert_width=8), 16)).across_layers
    2000
    """
    total, idle, across, shared = sum(p.numel() for p in model.parameters()), 0, 0, 0
    owners = model.shape.owners
    idle += sum(p.numel() for p in model.heads.parameters())
    for layer, block in enumerate(model.layers):
        here = [module for module in (block.attention, block.experts, block.shared) if module is not None]
        across += owners.count(layer) > 1 and sum(p.numel() for one in here for p in one.parameters())
        if block.experts is not None:
            experts = model.shape.experts
            idle += sum(p.numel() for p in block.experts.parameters()) // experts * (experts - model.shape.top_k)
            shared += sum(p.numel() for p in block.shared.parameters()) if block.shared is not None else 0
    return Parameters(total, total - idle, across, shared)
