"""What the model is: the table [trainer.model] of a recipe, checked before anything is allocated. No torch here."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import model_validator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer.checks import value_mistakes
from gristmill.trainer.model.shape_checks import KEYS, NAMES, PAIRS, layer_owners

PRESETS: Mapping[str, Mapping[str, int]] = {  # experts / those that a token uses; a key that is given goes before it
    "8/2": {"experts": 8, "top_k": 2},
    "16/2": {"experts": 16, "top_k": 2},
    "64/4": {"experts": 64, "top_k": 4, "groups": 8, "kept_groups": 4},
    "128/4": {"experts": 128, "top_k": 4, "groups": 8, "kept_groups": 4},
}


class Shape(Section):
    """The model's layers, attention, experts and router.

    >>> Shape(preset="64/4", top_k=2).groups
    8
    """

    preset: str = ""  # "8/2", "16/2", "64/4", "128/4": experts, top_k and groups; keys given beside it go first
    layers: int = 3
    width: int = 96  # a multiple of 8
    heads: int = 3  # a divisor of half of the width
    kv_heads: int = 0  # heads of keys and values, a divisor of heads; 0 = as many
    kv_rank: int = 0  # width of the one latent that a token's keys and values come from; 0 = they come from the token
    q_rank: int = 0  # of the latent of queries, beside kv_rank; 0 = queries come from the token
    rope_width: int = 0  # even, beside kv_rank: what is added to a head to bear the position; 0 = half of a head
    window: int = 0  # tokens that attention sees, the token itself among them; 0 = the whole document
    memory_block: int = 0  # tokens that leave the window together and are kept as one mean; 0 = they are forgotten
    dropout: float = 0.0  # on each residual branch
    dense_layers: int = 0  # the first layers have one network of `dense_width` in place of experts
    dense_width: int = 0  # a multiple of 8; 0 = as wide as all experts that a token uses
    shared_bottom: int = 0  # the first layers share one set of weights
    shared_span: int = 1  # the layers between share theirs in groups of this many
    own_top: int = 0  # the last layers have their own
    experts: int = 8
    expert_width: int = 96  # a multiple of 8
    shared_experts: int = 1  # experts that every token uses, beside top_k
    top_k: int = 2
    score: str = "sigmoid"  # or "softmax"
    groups: int = 1  # of experts; a divisor of experts
    kept_groups: int = 0  # groups that a token may choose from; 0 = all
    mass: float = 0.0  # fewest experts whose probabilities reach it, top_k at most; 0 = always top_k
    ahead: int = 0  # heads that predict further tokens behind the next, in training alone
    route_scale: float = 1.0  # factor of the weights of the chosen experts
    expert_dropout: float = 0.0  # chance that an expert cannot be chosen by a token, in training
    forced_balance: bool = False  # experts in turn, whatever the router says: for debugging and best-case speed

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        preset = values.get("preset", "") if isinstance(values, dict) else ""
        return {**PRESETS[preset], **values} if isinstance(preset, str) and preset in PRESETS else values

    def mistakes(self) -> Iterator[Mistake]:
        """All that the model cannot be."""
        yield from value_mistakes(self.model_dump(), KEYS, {"preset": ("", *PRESETS), **NAMES}, PAIRS)

    @property
    def kv(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def head_width(self) -> int:
        """Of queries, keys and values."""
        return self.width // self.heads

    @property
    def rotary_width(self) -> int:
        """Of the part of queries and keys that is turned by the position: all, or with a latent what is added."""
        return (self.rope_width or self.head_width // 2) if self.kv_rank else self.head_width

    @property
    def moe_layers(self) -> int:
        """Layers that have experts and a router."""
        return self.layers - self.dense_layers

    @property
    def dense_hidden(self) -> int:
        """Width of the network of a dense layer."""
        return self.dense_width or self.expert_width * (self.top_k + self.shared_experts)

    @property
    def owners(self) -> tuple[int, ...]:
        """The layer whose weights each layer uses: ``layer_owners`` of ``trainer.model.shape_checks``."""
        return layer_owners(self.layers, self.shared_bottom, self.shared_span, self.own_top)


def narrower(*windows: int) -> int:
    """The narrowest of windows of attention; 0 is none.

    >>> narrower(0, 8, 5), narrower(0, 0)
    (5, 0)
    """
    return min((one for one in windows if one), default=0)
