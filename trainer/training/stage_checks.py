"""Stages that a training cannot have: patterns of no weight or of all, and answers that rows do not mark."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from gristmill.corpus.errors import TrainError
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.training.timeline import is_frozen
from gristmill.trainer.training_stage import TrainingStage


def expect_stages(run: Path, plan: Plan, config: TrainConfig, weights: Sequence[str]) -> None:
    """Refuse stages whose patterns or rows do not fit, before the first step.

    Parameters
    ----------
    weights : names of the model's

    Raises
    ------
    TrainError : names the key
    """
    for number, (stage, samples) in enumerate(zip(config.stages, pairwise((0, *config.stage_stops)), strict=True)):
        key = f"trainer.stages.{number}"
        found = [*_wrong_patterns(stage, weights), *_unmarked(run, plan, stage, samples)]
        if found:
            raise TrainError(f"{key}.{found[0]}")


def _wrong_patterns(stage: TrainingStage, weights: Sequence[str]) -> Iterator[str]:
    for pattern in stage.frozen:
        if not any(is_frozen(name, [pattern]) for name in weights):
            yield f"frozen: no weight is called {pattern!r}; weights are called {', '.join(weights[:4])} ..."
    if stage.frozen and all(is_frozen(name, stage.frozen) for name in weights):
        yield f"frozen: {list(stage.frozen)} leave no weight to train"


def _unmarked(run: Path, plan: Plan, stage: TrainingStage, samples: tuple[int, int]) -> Iterator[str]:
    """Domains of a stage for answers alone whose rows do not say which tokens are answers."""
    drawn = plan.counts(*samples) if stage.answers_only else {}
    for name, rows in drawn.items():
        if rows and not ShardReader(run / "shards" / name).has_targets:
            yield f"answers_only: rows of domain {name!r} do not mark answers; give its sources messages = ..."
