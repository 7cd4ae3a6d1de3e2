"""What the trainer refuses of the keys of [trainer], each by itself and together. No torch here.

Its tables have ``mistakes`` of their own; a recipe is checked by both, and so is a ``TrainConfig`` made by hand.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Mistake
from gristmill.trainer import checks
from gristmill.trainer.checks import Check, value_mistakes
from gristmill.trainer.device import TYPES, is_device
from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.model.precision import PRECISIONS
from gristmill.trainer.training_stage import TrainingStage


def setting_mistakes(values: Mapping[str, Any]) -> Iterator[Mistake]:
    """What the trainer refuses of ``values``, the fields of a ``TrainConfig`` or some of them; tables have their own.

    >>> [mistake.text for mistake in setting_mistakes({"batch_rows": 0})]
    ['batch_rows is 0, expected a whole number, 1 or more']
    """
    yield from value_mistakes(values, _KEYS, _NAMES)
    if values.get("lora") and not values.get("start"):
        yield Mistake(("lora", "start"), "lora: adapters change weights that trainer.start names, and it names none")
    if values.get("lora") and values.get("quantise"):
        yield Mistake(
            ("quantise", "lora"), "quantise: lora trains adapters and no weight; merge them, and start from that"
        )
    yield from _division_mistakes(values)
    for name, weight in values.get("balance", {}).items():
        key = f"balance.{name}"
        if name not in BALANCES:
            yield Mistake((key,), f"{key} is unknown{nearest(name, BALANCES)}")
        elif not checks.WEIGHT.holds(weight):
            yield Mistake((key,), f"{key} is {weight}, expected {checks.WEIGHT.expected}")


def _division_mistakes(values: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in ("spread_experts", "shard_weights"):
        if values.get(key) and (values.get("lora") or values.get("quantise")):
            yield Mistake(
                (key, "lora", "quantise"), f"{key}: with lora or quantise a weight is more than a tensor; leave it out"
            )
    if values.get("shard_weights") and values.get("spread_experts"):
        yield Mistake(("shard_weights", "spread_experts"), "shard_weights divides experts as well; leave one out")
    if values.get("shard_weights") and values.get("int8_gradients"):
        text = "int8_gradients: with shard_weights torch sums the gradients; leave one out"
        yield Mistake(("int8_gradients", "shard_weights"), text)
    if values.get("shard_weights") and any(map(_freezes, values.get("stages") or ())):
        yield Mistake(
            ("shard_weights", "stages"), "shard_weights: weights of a group are frozen together or not at all"
        )


def _freezes(stage: TrainingStage | Mapping[str, Any]) -> bool:
    return bool(stage["frozen"] if isinstance(stage, Mapping) else stage.frozen)


_KEYS: dict[str, Check] = {
    **dict.fromkeys(("vocab_size", "row_tokens", "batch_rows", "micro_batches", "checkpoint_steps"), checks.POSITIVE),
    **dict.fromkeys(("seed", "warmup_steps", "heldout_rows", "settle_rows", "threads", "keep"), checks.COUNT),
    **dict.fromkeys(("learning_rate", "max_grad_norm"), checks.ABOVE_ZERO),
    "ahead_weight": checks.WEIGHT,
    "device": Check(
        f"a device as torch names it: {', '.join(TYPES[:4])} ..., with :0, :1 ... for one of several",
        lambda value: isinstance(value, str) and is_device(value),
    ),
}
_NAMES = {"precision": PRECISIONS}
