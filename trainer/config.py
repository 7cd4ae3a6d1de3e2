"""What a training run is, in plain values; checked before anything is allocated. No torch here.

``trainer.setting_mistakes`` and the ``mistakes`` of the tables are all that the trainer refuses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gristmill.corpus.errors import TrainError
from gristmill.corpus.recipe_values import Section
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.low_rank import Lora
from gristmill.trainer.model.balance import BALANCES, DEFAULT
from gristmill.trainer.model.shape import Shape, narrower
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.setting_mistakes import setting_mistakes
from gristmill.trainer.training_stage import TrainingStage


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides the weights, and a few keys that do not (``FREE``).

    Raises
    ------
    TrainError : values that the training cannot have, each naming its key ``trainer.<key>``

    >>> TrainConfig(vocab_size=512, row_tokens=128).model.top_k
    2
    >>> TrainConfig(vocab_size=512, row_tokens=128, model=Shape(top_k=9))
    Traceback (most recent call last):
    gristmill.corpus.errors.TrainError: trainer.model.top_k is 9, expected 1 to 8 (trainer.model.experts)
    """

    vocab_size: int
    row_tokens: int
    seed: int = 0  # of the weights and of dropout
    model: Shape = field(default_factory=Shape)
    balance: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT))  # see BALANCES
    ahead_weight: float = 0.3  # of the mean loss of trainer.model.ahead's heads, beside that of the next token
    settle_rows: int = 640  # read once more behind the last step to settle the biases; 0 = they stay
    stages: tuple[TrainingStage, ...] = ()  # none = one over all of the plan
    stage_stops: tuple[int, ...] = ()  # samples of the plan at which each stage ends
    lora: Lora | None = None  # adapters that alone are trained
    quantise: Quantise | None = None  # weights that are trained as they are stored
    start: str = ""  # model.safetensors of a checkpoint; weights are gone on from
    start_digest: str = ""  # its sha256
    batch_rows: int = 8
    micro_batches: int = 1  # parts that a step's rows are divided into, where they do not fit at once
    recompute: bool = False  # blocks run once more for the gradient, so that less is kept for it
    spread_experts: bool = False  # each of several ranks holds a part of them
    shard_weights: bool = False  # each of several ranks holds a part of every tensor
    int8_gradients: bool = False  # ranks send their gradients in 8 bits, and what that leaves out later
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    max_grad_norm: float = 1.0  # a longer gradient is cut to it
    heldout_rows: int = 0  # read from each domain, before and after; 0 = all
    checkpoint_steps: int = 100
    keep: int = 0  # checkpoints beside the last two, spread evenly over the training
    precision: str = "auto"  # see PRECISIONS
    device: str = "cpu"
    threads: int = 0  # 0 = one
    alarms: AlarmBounds = field(default_factory=AlarmBounds)

    def __post_init__(self):
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        found = [f"trainer.{mistake.text}" for mistake in setting_mistakes(values)]
        found += [f"trainer.model.{mistake.text}" for mistake in self.model.mistakes()]
        found += [f"trainer.lora.{mistake.text}" for mistake in (self.lora.mistakes() if self.lora else ())]
        found += [f"trainer.quantise.{mistake.text}" for mistake in (self.quantise.mistakes() if self.quantise else ())]
        found += [f"trainer.alarms.{mistake.text}" for mistake in self.alarms.mistakes()]
        for number, stage in enumerate(self.stages):
            found += [f"trainer.stages.{number}.{mistake.text}" for mistake in stage.mistakes()]
        if len(self.stage_stops) != len(self.stages) or list(self.stage_stops) != sorted(self.stage_stops):
            found.append(f"trainer.stages: {len(self.stages)} stages end at {list(self.stage_stops)} samples")
        if found:
            raise TrainError("\n".join(found))

    @property
    def used_window(self) -> int:
        """Tokens that attention sees where the model is measured and used: as many as in the last stage; 0 = all."""
        return narrower(self.model.window, self.stages[-1].context if self.stages else 0)

    @property
    def settles(self) -> bool:
        """Whether biases are settled behind the last step: where steps move them."""
        return self.settle_rows > 0 and any(weight and BALANCES[name].update for name, weight in self.balance.items())

    def identity(self) -> dict[str, int | float | str | bool]:
        """The fields that decide the result: all but where, how fast and how often it is saved; tables with dots."""
        found: dict[str, int | float | str | bool] = {}
        for one in fields(self):
            if one.name not in FREE:
                found |= dict(_flat(one.name, getattr(self, one.name)))
        return found


FREE = (
    "alarms",
    "checkpoint_steps",
    "device",
    "keep",
    "recompute",
    "shard_weights",
    "spread_experts",
    "start",
    "threads",
)
# micro_batches is none of them: it rounds otherwise. So do ranks, which no config names


def _flat(key: str, value: Any) -> Iterator[tuple[str, int | float | str | bool]]:
    if isinstance(value, Section):
        value = value.model_dump()
    if isinstance(value, tuple):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for name in value:
            yield from _flat(f"{key}.{name}", value[name])
    elif value is not None:
        yield key, value
