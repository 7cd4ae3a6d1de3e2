"""What a training run is, in plain values; checked before anything is allocated. No torch here.

``mistakes`` is all that the trainer refuses: a recipe is checked by it, and so is a ``TrainConfig`` made by hand.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gristmill.corpus.errors import TrainError, nearest
from gristmill.corpus.recipe_values import Mistake
from gristmill.trainer.balance import BALANCES
from gristmill.trainer.device import TYPES, is_device
from gristmill.trainer.precision import PRECISIONS
from gristmill.trainer.scores import SCORES

VERSION = "1"  # of the whole trainer; here, where asking for it needs no torch
GRID = 8  # grouped_mm wants rows of a multiple of 16 bytes, on the CPU as well: 8 bfloat16, and so 4 float32


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides the weights, and a few keys that do not (``FREE``).

    Raises
    ------
    TrainError : values that the model cannot have, each naming its key ``trainer.<key>``

    >>> TrainConfig(vocab_size=512, row_tokens=128).top_k
    2
    >>> TrainConfig(vocab_size=512, row_tokens=128, top_k=9)
    Traceback (most recent call last):
    gristmill.corpus.errors.TrainError: trainer.top_k is 9, expected 1 to 8 (trainer.experts)
    """

    vocab_size: int
    row_tokens: int
    seed: int = 0  # of the weights and of dropout
    layers: int = 3
    width: int = 96
    heads: int = 3
    experts: int = 8
    expert_width: int = 96
    shared_experts: int = 1
    top_k: int = 2
    score: str = "sigmoid"  # see SCORES
    balance: str = "bias"  # see BALANCES
    balance_rate: float = 0.01  # step of the bias, or weight of the balance loss
    z_loss: float = 0.0
    dropout: float = 0.0  # on each residual branch
    batch_rows: int = 8
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    max_grad_norm: float = 1.0  # a longer gradient is cut to it
    heldout_rows: int = 0  # read from each domain, before and after; 0 = all
    checkpoint_steps: int = 100
    keep: int = 0  # checkpoints beside the last two, spread evenly over the training
    precision: str = "auto"  # see PRECISIONS
    device: str = "cpu"
    threads: int = 0  # 0 = one

    def __post_init__(self):
        found = [f"trainer.{mistake.text}" for mistake in mistakes(asdict(self))]
        if found:
            raise TrainError("\n".join(found))

    def identity(self) -> dict[str, int | float | str]:
        """The fields that decide the result: all but where, how fast and how often it is saved."""
        return {key: value for key, value in asdict(self).items() if key not in FREE}


FREE = ("checkpoint_steps", "device", "keep", "threads")


def mistakes(values: Mapping[str, Any]) -> Iterator[Mistake]:
    """What the trainer refuses of ``values``, the fields of a ``TrainConfig`` or some of them.

    Each key is looked at by itself first; what two keys must fulfil together is looked at where both are right.

    >>> [mistake.text for mistake in mistakes({"experts": 4, "top_k": 5, "dropout": 2})]
    ['dropout is 2, expected 0 up to, not including, 1', 'top_k is 5, expected 1 to 4 (trainer.experts)']
    """
    wrong = set()
    for key, (expected, holds) in _KEYS.items():
        if key in values and not holds(values[key]):
            wrong.add(key)
            yield Mistake((key,), f"{key} is {values[key]}, expected {expected}")
    for key, known in _NAMES.items():
        if key in values and values[key] not in known:
            near = nearest(str(values[key]), known)
            yield Mistake(
                (key,), f"{key} is {values[key]}, expected {' or '.join(known)}{near if 'mean' in near else ''}"
            )
    for keys, expected, holds in _PAIRS:
        if wrong.isdisjoint(keys) and all(key in values for key in keys) and not holds(*(values[key] for key in keys)):
            yield Mistake(keys, f"{keys[0]} is {values[keys[0]]}, expected {expected(values[keys[1]])}")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Check = tuple[str, Callable[[Any], bool]]
_POSITIVE: _Check = ("a whole number, 1 or more", lambda value: _whole(value, 1))
_COUNT: _Check = ("a whole number, 0 or more", lambda value: _whole(value, 0))
_WIDTH: _Check = (
    f"a multiple of {GRID} (grouped GEMM alignment)",
    lambda value: _whole(value, GRID) and value % GRID == 0,
)
_WEIGHT: _Check = ("0 or more", lambda value: _real(value) and value >= 0)
_KEYS: dict[str, _Check] = {
    **dict.fromkeys(("vocab_size", "row_tokens", "layers", "heads", "experts", "top_k"), _POSITIVE),
    **dict.fromkeys(("batch_rows", "checkpoint_steps"), _POSITIVE),
    **dict.fromkeys(("seed", "shared_experts", "warmup_steps", "heldout_rows", "threads", "keep"), _COUNT),
    **dict.fromkeys(("width", "expert_width"), _WIDTH),
    **dict.fromkeys(("z_loss", "balance_rate"), _WEIGHT),
    **dict.fromkeys(("learning_rate", "max_grad_norm"), ("more than 0", lambda value: _real(value) and value > 0)),
    "dropout": ("0 up to, not including, 1", lambda value: _real(value) and 0 <= value < 1),
    "device": (
        f"a device as torch names it: {', '.join(TYPES[:4])} ..., with :0, :1 ... for one of several",
        lambda value: isinstance(value, str) and is_device(value),
    ),
}
_NAMES: dict[str, Collection[str]] = {"score": SCORES, "balance": BALANCES, "precision": PRECISIONS}
_PAIRS: tuple[tuple[tuple[str, str], Callable[[Any], str], Callable[[Any, Any], bool]], ...] = (
    (
        ("top_k", "experts"),
        lambda experts: f"1 to {experts} (trainer.experts)",
        lambda top_k, experts: top_k <= experts,
    ),
    (
        ("heads", "width"),
        lambda width: f"a divisor of half of trainer.width {width}",
        lambda heads, width: width % (2 * heads) == 0,  # rotary positions turn the halves of a head
    ),
)
