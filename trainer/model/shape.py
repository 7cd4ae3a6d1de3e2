"""What the model is: the table [trainer.model] of a recipe, checked before anything is allocated. No torch here."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import model_validator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer import checks
from gristmill.trainer.checks import Pair, value_mistakes
from gristmill.trainer.model.scores import SCORES

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
    window: int = 0  # tokens that attention sees, the token itself among them; 0 = the whole document
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
        yield from value_mistakes(self.model_dump(), _KEYS, _NAMES, _PAIRS)

    @property
    def kv(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def head_width(self) -> int:
        """Of queries, keys and values."""
        return self.width // self.heads

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
        """The layer whose weights each layer uses: the first ones share, those between by groups, the last have own.

        >>> Shape(layers=8, shared_bottom=2, shared_span=2, own_top=2).owners
        (0, 0, 2, 2, 4, 4, 6, 7)
        """
        top = self.layers - self.own_top
        span = self.shared_span
        middle = (at - (at - self.shared_bottom) % span for at in range(self.shared_bottom, top))
        return (*[0] * self.shared_bottom, *middle, *range(top, self.layers))


def narrower(*windows: int) -> int:
    """The narrowest of windows of attention; 0 is none.

    >>> narrower(0, 8, 5), narrower(0, 0)
    (5, 0)
    """
    return min((one for one in windows if one), default=0)


def _spans_one_kind(dense_layers: int, layers: int, shared_bottom: int, shared_span: int, own_top: int) -> bool:
    if shared_bottom + own_top > layers:
        return True  # the other check says so
    owners = Shape(layers=layers, shared_bottom=shared_bottom, shared_span=shared_span, own_top=own_top).owners
    return dense_layers >= layers or owners[dense_layers] >= dense_layers


_KEYS = {
    **dict.fromkeys(("layers", "heads", "experts", "top_k", "groups", "shared_span"), checks.POSITIVE),
    **dict.fromkeys(
        ("kv_heads", "window", "dense_layers", "shared_bottom", "own_top", "shared_experts", "kept_groups"),
        checks.COUNT,
    ),
    **dict.fromkeys(("width", "expert_width"), checks.WIDTH),
    "dense_width": checks.Check(f"0 or {checks.WIDTH.expected}", lambda value: value == 0 or checks.WIDTH.holds(value)),
    **dict.fromkeys(("dropout", "expert_dropout", "mass"), checks.CHANCE),
    "route_scale": checks.ABOVE_ZERO,
}
_NAMES = {"preset": ("", *PRESETS), "score": SCORES}
_PAIRS = (
    Pair(("top_k", "experts"), lambda _, experts: f"1 to {experts} (trainer.model.experts)", lambda k, e: k <= e),
    Pair(
        ("heads", "width"),
        lambda _, width: f"a divisor of half of trainer.model.width {width}",
        lambda heads, width: width % (2 * heads) == 0,  # rotary positions turn the halves of a head
    ),
    Pair(
        ("kv_heads", "heads"),
        lambda _, heads: f"0 or a divisor of trainer.model.heads {heads}",
        lambda kv, heads: kv == 0 or heads % kv == 0,
    ),
    Pair(
        ("dense_layers", "layers"),
        lambda _, layers: f"fewer than trainer.model.layers {layers}: some layer must have experts",
        lambda dense, layers: dense < layers,
    ),
    Pair(
        ("shared_bottom", "own_top", "layers"),
        lambda _, top, layers: f"with trainer.model.own_top {top} no more than trainer.model.layers {layers}",
        lambda bottom, top, layers: bottom + top <= layers,
    ),
    Pair(
        ("dense_layers", "layers", "shared_bottom", "shared_span", "own_top"),
        lambda *_: "a number of layers that parts no group of shared weights (trainer.model.shared_bottom, _span)",
        _spans_one_kind,
    ),
    Pair(
        ("groups", "experts"),
        lambda _, experts: f"a divisor of trainer.model.experts {experts}",
        lambda groups, experts: experts % groups == 0,
    ),
    Pair(
        ("kept_groups", "groups", "experts", "top_k"),
        lambda _, groups, experts, k: f"0 or up to {groups}, and enough of {experts // groups} experts for top_k {k}",
        lambda kept, groups, experts, k: (
            kept == 0 or (kept <= groups and (experts % groups or kept * experts // groups >= k))
        ),
    ),
)
