"""Settings that change at a checkpoint: from which step on each has which value, kept in changes.json.

A training that diverged goes on from its last good checkpoint with a lower rate; one that replays its steps meets each
change at its step again. The recipe and the lock stay as they are (decision 33).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.typed_json import from_json, to_json
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.training_summary import Change

CHANGEABLE = ("learning_rate", "warmup_steps", "max_grad_norm")
FILE = "changes.json"
log = logging.getLogger(__name__)


def read_changes(folder: Path) -> tuple[Change, ...]:
    """The changes of the training in ``folder``, in order of steps; empty when there was none."""
    path = folder / FILE
    return from_json(tuple[Change, ...], read_json(path), str(path)) if path.exists() else ()


def config_at(config: TrainConfig, changes: Sequence[Change], step: int) -> TrainConfig:
    """The config that the step after ``step`` done ones is made with."""
    values = {change.key: change.after for change in changes if change.step <= step}
    return replace(config, **values) if values else config


def request_changes(
    folder: Path, config: TrainConfig, wanted: Mapping[str, int | float], back_to: int | None = None
) -> tuple[Change, ...]:
    """Change settings from the last whole checkpoint on; a later change of the same key is forgotten.

    Parameters
    ----------
    folder : of a training that is not finished; without a checkpoint the change holds from the first step on
    config : of the recipe
    wanted : new values, by key
    back_to : delete the checkpoints of more steps first, for a model can be spoilt though every number is finite

    Raises
    ------
    TrainError : a key that cannot change, a value that it cannot have, or a training that is finished
    """
    from gristmill.trainer.training.checkpoint import drop_after, load_latest

    _expect_changeable(folder, wanted)
    replace(config, **wanted)  # every value is checked before anything is written or deleted
    if back_to is not None:
        drop_after(folder / "checkpoints", back_to)
    found = load_latest(folder / "checkpoints")
    step = found.step if found else 0
    before = read_changes(folder)
    kept = tuple(change for change in before if change.key not in wanted or change.step < step)
    now = config_at(config, kept, step)
    new = [Change(step, key, getattr(now, key), value) for key, value in wanted.items() if getattr(now, key) != value]
    changes = tuple(sorted((*kept, *new), key=lambda change: change.step))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, to_json(changes))
    for one in new:
        log.warning("trainer.%s is %g from step %d on; it was %g", one.key, one.after, one.step + 1, one.before)
    return changes


def _expect_changeable(folder: Path, wanted: Mapping[str, int | float]) -> None:
    fixed = [key for key in wanted if key not in CHANGEABLE]
    if fixed:
        raise TrainError(f"trainer.{fixed[0]} cannot change during a training; {', '.join(CHANGEABLE)} can")
    if (folder / "done.json").exists():
        raise TrainError(
            f"the training in {folder} is finished, so no step is left that a change would reach. Change the "
            "recipe's [trainer] for a training of its own"
        )


def expect_same_changes(changes: Sequence[Change], step: int, of_checkpoint: Sequence[Change]) -> None:
    """Refuse a checkpoint of ``step`` that other changes led to than those of changes.json."""
    if tuple(change for change in changes if change.step < step) != tuple(of_checkpoint):
        raise TrainError(
            f"the checkpoint of step {step} was not trained with the changes that {FILE} now holds. Bring that file "
            "back, or remove the train folder of the run to start anew"
        )
