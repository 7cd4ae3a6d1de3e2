"""Settings of a training outside its recipe: a rate changed at a checkpoint, and which precision is faster here."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import read_run, reopen_run
from gristmill.flows.pipeline.publish import train_config
from gristmill.flows.pipeline.stages import Instance, stage_named
from gristmill.flows.pipeline.training_html import write_training_page
from gristmill.trainer.training.setting_changes import CHANGEABLE, request_changes
from gristmill.trainer.training_summary import Change


def change_training(run: Path, settings: Sequence[str], back_to: int | None = None) -> tuple[Change, ...]:
    """Change settings of a run's training from its last checkpoint on, or from one of ``back_to`` steps at most.

    Raises
    ------
    RecipeError : not KEY=VALUE, or a value that is no number
    TrainError : a key that cannot change, a value that it cannot have, or a training that is finished
    """
    wanted = read_settings(settings)
    with reopen_run(run) as context:
        config = train_config(context, _stage(context))
        return request_changes(context.run.path / "train", config, wanted, back_to)


def read_settings(settings: Sequence[str]) -> Mapping[str, int | float]:
    """Values by key, ``trainer.`` before a key or not.

    >>> read_settings(["trainer.learning_rate=1e-3", "warmup_steps=40"])
    {'learning_rate': 0.001, 'warmup_steps': 40}
    """
    found: dict[str, int | float] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        try:
            number = tomllib.loads(f"value = {value}")["value"] if equals else None
        except tomllib.TOMLDecodeError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise RecipeError(
                f"--set {text!r} is not KEY=NUMBER; write learning_rate=1e-3. Keys: {', '.join(CHANGEABLE)}"
            )
        found[key.strip().removeprefix("trainer.")] = number
    return found


def measure_training(run: Path) -> dict[str, Any]:
    """Tokens per second of each precision on the rows of a run; nothing is written."""
    from gristmill.trainer.training.format_speed import measure

    context = read_run(run)
    return asdict(measure(context.run.path, train_config(context, _stage(context))))


def page_of_training(run: Path) -> Path:
    """Write the page of a run's training from what it has left so far; trains nothing.

    Raises
    ------
    RecipeError : the recipe has no [trainer]
    StoreError : the training has not come as far as a checkpoint
    """
    context = read_run(run)
    return write_training_page(context.run.path, _stage(context).options.alarms)


def _stage(context: RunContext) -> Instance:
    if context.recipe.trainer is None:
        raise RecipeError(f"the recipe of {context.run.path} has no [trainer]; add one and run the recipe again")
    return stage_named(context.stages, "train")
