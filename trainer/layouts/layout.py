"""Which shapes of [trainer.model] a model class of transformers can hold, and its config.json.

A key of [trainer.model] that a layout does not name must have its default, so that a mechanism that is added to the
model later is refused until a layout says that it has it. No torch here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gristmill.corpus.recipe_values import Mistake
from gristmill.trainer.model.shape import Shape

SIZES = ("preset", "layers", "width", "heads", "kv_heads", "experts", "expert_width", "top_k")
TRAINING = ("dropout", "expert_dropout", "ahead")  # of no effect in use
EVERY = frozenset((*SIZES, *TRAINING, "dense_layers", "dense_width", "own_top"))  # that every layout holds


class Want(NamedTuple):
    """A key that may have some values only: in words, and as a test of the whole shape."""

    key: str
    expected: str
    holds: Callable[[Shape], bool]


OWN_WEIGHTS = (
    Want("shared_bottom", "0: each of its layers has weights of its own", lambda shape: shape.shared_bottom < 2),
    Want("shared_span", "1: each of its layers has weights of its own", lambda shape: shape.shared_span == 1),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model class of transformers.

    Parameters
    ----------
    keys : of [trainer.model] that may have any value, beside ``EVERY``
    wants : keys that may have some values
    settings : what its config.json says beside what all say
    biased : whether the choice of experts can have a bias
    """

    name: str  # of --to
    model_type: str
    architecture: str
    wants: tuple[Want, ...]
    settings: Callable[[Shape], Mapping[str, Any]]
    keys: frozenset[str] = frozenset()
    biased: bool = False

    def mistakes(self, shape: Shape) -> Iterator[Mistake]:
        """What of a shape it cannot hold, by the key of [trainer.model].

        >>> [one.text for one in LAYOUTS["dots1"].mistakes(Shape(mass=0.5))]
        ['mass is 0.5, and dots1 can hold 0.0 only']
        """
        wanted = {want.key for want in (*OWN_WEIGHTS, *self.wants)}
        for want in (*OWN_WEIGHTS, *self.wants):
            if not want.holds(shape):
                text = f"{want.key} is {getattr(shape, want.key)}, and {self.name} can hold {want.expected}"
                yield Mistake((want.key,), text)
        for key, field in type(shape).model_fields.items():
            if key not in EVERY | self.keys | wanted and getattr(shape, key) != field.default:
                text = f"{key} is {getattr(shape, key)}, and {self.name} can hold {field.default} only"
                yield Mistake((key,), text)


def _dots1(shape: Shape) -> dict[str, Any]:
    limited = 0 < shape.kept_groups < shape.groups
    return {
        "n_routed_experts": shape.experts,
        "n_shared_experts": shape.shared_experts,
        "n_group": shape.groups if limited else 1,
        "topk_group": shape.kept_groups if limited else 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": shape.route_scale,
        "first_k_dense_replace": shape.dense_layers,
        "sliding_window": shape.window or None,
        "max_window_layers": 0 if shape.window else shape.layers,
    }


def _qwen3moe(shape: Shape) -> dict[str, Any]:
    return {
        "num_experts": shape.experts,
        "norm_topk_prob": shape.top_k > 1,  # a single expert is weighted by its probability here as well
        "decoder_sparse_step": 1,
        "mlp_only_layers": list(range(shape.dense_layers)),
        "use_sliding_window": bool(shape.window),
        "sliding_window": shape.window or None,
        "router_aux_loss_coef": 0.0,
    }


def _deepseekv3(shape: Shape) -> dict[str, Any]:
    grouped = {name: value for name, value in _dots1(shape).items() if "window" not in name}
    return grouped | {
        "q_lora_rank": shape.q_rank or None,
        "kv_lora_rank": shape.kv_rank,
        "qk_nope_head_dim": shape.head_width,
        "qk_rope_head_dim": shape.rotary_width,
        "v_head_dim": shape.head_width,
        "head_dim": shape.rotary_width,  # what its rotation goes by
        "rope_interleave": True,  # as most readers take for granted of this class
        "num_nextn_predict_layers": 0,
    }


BIASED = (
    Want("score", "sigmoid", lambda shape: shape.score == "sigmoid"),
    Want("shared_experts", "1 or more", lambda shape: shape.shared_experts > 0),
    Want("top_k", "2 or more: it weighs a single expert otherwise", lambda shape: shape.top_k > 1),
    Want("groups", "groups of 2 experts or more", lambda shape: shape.experts >= 2 * shape.groups),
)
DOTS1 = Layout(
    name="dots1",
    model_type="dots1",
    architecture="Dots1ForCausalLM",
    wants=BIASED,
    settings=_dots1,
    keys=frozenset(("window", "kept_groups", "route_scale")),
    biased=True,
)
QWEN3MOE = Layout(
    name="qwen3moe",
    model_type="qwen3_moe",
    architecture="Qwen3MoeForCausalLM",
    wants=(
        Want("score", "softmax", lambda shape: shape.score == "softmax"),
        Want("shared_experts", "0", lambda shape: shape.shared_experts == 0),
        Want("kept_groups", "0, or all groups", lambda shape: shape.kept_groups in (0, shape.groups)),
    ),
    settings=_qwen3moe,
    keys=frozenset(("window", "groups")),
)
DEEPSEEKV3 = Layout(
    name="deepseekv3",
    model_type="deepseek_v3",
    architecture="DeepseekV3ForCausalLM",
    wants=(
        *BIASED,
        Want("kv_rank", "1 or more: its keys and values come from a latent", lambda shape: shape.kv_rank > 0),
    ),
    settings=_deepseekv3,
    keys=frozenset(("q_rank", "rope_width", "kept_groups", "route_scale")),
    biased=True,
)
LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in (DOTS1, QWEN3MOE, DEEPSEEKV3)}
