"""Training on a run directory: one optimizer step per step of the plan, resumed by itself, until the plan is consumed.

``out`` then holds metrics.parquet (a row for each step), consumption.parquet (a row for each consumed sample, with the
digest of what the step got of it), alarms.parquet (what rang), settled.parquet and settled_rows.parquet (biases settled
behind the last step), evaluation.parquet and load.parquet (held-out rows, before and after), summary.json, timing.json
and checkpoints/.
"""

from collections.abc import Callable
from pathlib import Path

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.training.advance import advance
from gristmill.trainer.training.fact_pairs import FactTokens
from gristmill.trainer.training.finish import finish
from gristmill.trainer.training.metrics import StepFigures
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.saving import save
from gristmill.trainer.training.settling import settle
from gristmill.trainer.training_summary import TrainSummary

OnStep = Callable[[StepFigures], None]


def train(
    run: Path,
    out: Path,
    config: TrainConfig,
    *,
    on_step: OnStep | None = None,
    max_steps: int | None = None,
    facts: FactTokens | None = None,
) -> TrainSummary:
    """Train on ``run`` (plan/, shards/<domain>/, heldout/<domain>/) and return the summary.

    Parameters
    ----------
    out : the folder to fill, or one that an earlier call has begun: training goes on from its last whole checkpoint
    on_step : called with the figures of each step
    facts : planted facts to ask the model for at its beginning and at every checkpoint; the answers stand in
        ``facts.parquet``, and training goes the same way with them or without
    max_steps : stop once the training as a whole has done so many steps; a later call goes on

    Raises
    ------
    TrainError : shards do not fit the config, the checkpoint belongs to another config or plan, the device is missing,
        or the loss diverged
    """
    if max_steps is not None and max_steps < 1:
        raise TrainError(f"max_steps is {max_steps}, expected 1 or more")
    training = Training(run, out, config, facts)
    run_until(training, training.steps if max_steps is None else min(max_steps, training.steps), on_step)
    return finish(training)


def run_until(training: Training, last: int, on_step: OnStep | None = None) -> None:
    """Take the plan's steps up to ``last``; save on the way and at the end, settled behind the plan's last."""
    session, batches = training.session, iter(training.loader)
    batch = next(batches, None)
    while batch is not None and session.step < last:
        figures = advance(training, batch)
        if on_step:
            on_step(figures)
        if session.step == training.steps:
            settle(training)
        done, batch = batch, next(batches, None)
        if session.step % session.config.checkpoint_steps == 0 or session.step == last or batch is None:
            save(training, batch or done)
