"""A block of the decoder: attention, then experts or a dense network, each on a normalised residual branch.

N tokens of the stream, D width.
"""

from torch import Tensor, nn

from gristmill.trainer.model.attention import Attention, Past
from gristmill.trainer.model.experts import Dense, Experts
from gristmill.trainer.model.fused import EPSILON, RmsNorm
from gristmill.trainer.model.latent import LatentAttention
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.router import Router, Routing
from gristmill.trainer.model.shape import Shape


class Block(nn.Module):
    """One layer: ``attend``, in which tokens see one another, then ``mix``, of each token by itself.

    A block that shares the weights of an earlier one has norms and a router of its own, and no more: each layer chooses
    its experts, and is balanced, by itself.

    Source: Dehghani et al., Universal Transformers (arXiv 1807.03819), for weights shared across layers; Takase and
    Kiyono (arXiv 2104.06022) for sharing in groups.
    """

    def __init__(self, shape: Shape, layer: int):
        super().__init__()
        owns, dense = shape.owners[layer] == layer, layer < shape.dense_layers
        self.attention_norm, self.experts_norm = RmsNorm(shape.width, EPSILON), RmsNorm(shape.width, EPSILON)
        self.attention = (LatentAttention if shape.kv_rank else Attention)(shape) if owns else None
        self.router = None if dense else Router(shape)
        self.experts = Experts(shape) if owns and not dense else None
        shared = shape.dense_hidden if dense else shape.shared_experts * shape.expert_width
        self.shared = Dense(shape, shared) if owns and shared else None
        self.dropout = nn.Dropout(shape.dropout)

    def forward(
        self, x: Tensor, rope: Tensor, batch: Packed, owner: "Block", window: int, past: Past | None = None
    ) -> tuple[Tensor, Routing | None]:
        """``x [N, D]`` -> [N, D], and where its tokens went; ``owner`` is the block whose weights are used."""
        return self.mix(self.attend(x, rope, batch, owner, window, past), owner)

    def attend(
        self, x: Tensor, rope: Tensor, batch: Packed, owner: "Block", window: int, past: Past | None = None
    ) -> Tensor:
        """The first branch, in which tokens see one another: ``x [N, D]`` -> [N, D]."""
        assert owner.attention is not None
        return x + self.dropout(owner.attention(self.attention_norm(x), rope, batch, window, past))

    def mix(self, x: Tensor, owner: "Block") -> tuple[Tensor, Routing | None]:
        """The second branch, of each token by itself: experts, or a dense network."""
        branch = self.experts_norm(x)
        mixed, routing = owner.shared(branch) if owner.shared is not None else None, None
        if self.router is not None and owner.experts is not None:
            routing = self.router(branch)
            chosen = owner.experts(branch, routing)
            mixed = chosen if mixed is None else chosen + mixed
        assert mixed is not None  # a layer has experts or a dense network
        return x + self.dropout(mixed), routing
