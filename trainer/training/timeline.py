"""Which stage a step belongs to, and what that makes of it: its rate, its frozen weights, its context.

A stage begins with the first step whose rows all lie behind the phases of the stage before. All of it is a function of
the config and of how many steps the plan has, so a training that goes on after a crash is in the same stage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from gristmill.trainer.adapt.adapters import is_adapter
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.schedules import learning_rate_at
from gristmill.trainer.training_stage import WHOLE, TrainingStage


@dataclass(frozen=True, slots=True)
class Moment:
    """A step's place in its stage; ``step`` counts from 0 within it."""

    stage: TrainingStage
    step: int
    steps: int

    def learning_rate(self, config: TrainConfig) -> float:
        """Of this step; ``config`` may have been changed on the way."""
        peak = config.learning_rate * self.stage.rate
        return learning_rate_at(self.step, self.steps, config.warmup_steps, peak, self.stage.schedule, self.stage.floor)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Patterns of the weights that this step does not move."""
        thawed = self.stage.frozen_steps and self.step >= self.stage.frozen_steps
        return () if thawed else self.stage.frozen


ANY_TIME = Moment(TrainingStage(name="base", schedule="constant"), 0, 1)  # of a step outside a training


def is_frozen(name: str, patterns: Iterable[str]) -> bool:
    """Whether a weight has one of these names.

    >>> is_frozen("blocks.0.attention.qkv", ["*.attention.*"])
    True
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def first_steps(config: TrainConfig, steps: int) -> list[int]:
    """Where each stage begins, and the end: ascending, of a training of ``steps``."""
    starts = [min(-(-stop // config.batch_rows), steps) for stop in config.stage_stops[:-1]]
    return [0, *starts, steps]


def moment_at(config: TrainConfig, step: int, steps: int) -> Moment:
    """The place of step ``step`` (0 is the first) in a training of ``steps``; what lies behind is of the last stage."""
    places = list(zip(config.stages or (WHOLE,), pairwise(first_steps(config, steps)), strict=True))
    stage, (first, stop) = next((one for one in places if one[1][0] <= step < one[1][1]), places[-1])
    return Moment(stage, step - first, stop - first)


def updates_of(name: str, config: TrainConfig, done: int, steps: int) -> int:
    """How often a weight was moved in the first ``done`` steps of a training of ``steps``."""
    if config.lora and not is_adapter(name):
        return 0
    moved = 0
    for stage, (first, stop) in zip(config.stages or (WHOLE,), pairwise(first_steps(config, steps)), strict=True):
        inside = max(min(done, stop) - first, 0)
        held = min(inside, stage.frozen_steps or inside) if is_frozen(name, stage.frozen) else 0
        moved += inside - held
    return moved
