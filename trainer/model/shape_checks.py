"""What the keys of [trainer.model] may be, each by itself and together. No torch here."""

from gristmill.trainer import checks
from gristmill.trainer.checks import Pair
from gristmill.trainer.model.scores import SCORES


def layer_owners(layers: int, shared_bottom: int, shared_span: int, own_top: int) -> tuple[int, ...]:
    """The layer whose weights each layer uses: the first ones share, those between by groups, the last have own.

    >>> layer_owners(8, shared_bottom=2, shared_span=2, own_top=2)
    (0, 0, 2, 2, 4, 4, 6, 7)
    """
    top = layers - own_top
    middle = (at - (at - shared_bottom) % shared_span for at in range(shared_bottom, top))
    return (*[0] * shared_bottom, *middle, *range(top, layers))


def _spans_one_kind(dense_layers: int, layers: int, shared_bottom: int, shared_span: int, own_top: int) -> bool:
    if shared_bottom + own_top > layers:
        return True  # the other check says so
    owners = layer_owners(layers, shared_bottom, shared_span, own_top)
    return dense_layers >= layers or owners[dense_layers] >= dense_layers


KEYS = {
    **dict.fromkeys(("layers", "heads", "experts", "top_k", "groups", "shared_span"), checks.POSITIVE),
    **dict.fromkeys(
        (
            "kv_heads",
            "kv_rank",
            "q_rank",
            "rope_width",
            "window",
            "memory_block",
            "dense_layers",
            "shared_bottom",
            "own_top",
        ),
        checks.COUNT,
    ),
    **dict.fromkeys(("shared_experts", "kept_groups", "ahead"), checks.COUNT),
    **dict.fromkeys(("width", "expert_width"), checks.WIDTH),
    "dense_width": checks.Check(f"0 or {checks.WIDTH.expected}", lambda value: value == 0 or checks.WIDTH.holds(value)),
    **dict.fromkeys(("dropout", "expert_dropout", "mass"), checks.CHANCE),
    "route_scale": checks.ABOVE_ZERO,
}
NAMES = {"score": SCORES}
PAIRS = (
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
        ("kv_heads", "kv_rank"),
        lambda _, rank: f"0: with trainer.model.kv_rank {rank} one latent serves all heads",
        lambda kv, rank: not (kv and rank),
    ),
    Pair(("q_rank", "kv_rank"), lambda *_: "0 without trainer.model.kv_rank", lambda q, rank: rank > 0 or not q),
    Pair(("rope_width", "kv_rank"), lambda *_: "0 without trainer.model.kv_rank", lambda rope, kv: kv > 0 or not rope),
    Pair(
        ("rope_width", "kv_rank", "width", "heads"),
        lambda _, __, width, heads: f"an even number (0 is half of a head of {width // heads})",
        lambda rope, rank, width, heads: not rank or (rope or width // heads // 2) % 2 == 0,
    ),
    Pair(
        ("memory_block", "window"),
        lambda *_: "0 without trainer.model.window: nothing leaves it",
        lambda block, window: window > 0 or not block,
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
