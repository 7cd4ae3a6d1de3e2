"""The flows without Prefect: the same stages in the same order, for libraries, notebooks, tests and ``--direct``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import RecipeError
from gristmill.flows.drift.gate import end_run, end_state, gated, refuse_paused
from gristmill.flows.inspect.runs import note_latest
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import open_checked, reopen_run
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.recipe_reading import CheckedRecipe, load_recipe
from gristmill.flows.pipeline.run_state import state_kept
from gristmill.flows.pipeline.run_summary import summarise
from gristmill.flows.pipeline.running import need_extras, prepared, run_stage
from gristmill.flows.pipeline.stages import Instance, stages_until

RunStage = Callable[[RunContext, Instance], Any]


def refine_directly(
    recipe: Path, until: str | None = None, workers: int | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Run a recipe in this process; returns what ``gristmill run --json`` prints."""
    return refine_checked(load_recipe(recipe), until, workers, reporter)


def refine_checked(
    checked: CheckedRecipe, until: str | None = None, workers: int | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """The same for a recipe that is read already; what is not installed is found before any input is opened."""
    need_extras(stages_until(checked.stages, until))
    engine = {} if workers is None else {"workers": workers}
    with open_checked(checked, reporter=reporter, engine=engine) as context:
        return refine_open(context, until, run_stage)


def refine_open(context: RunContext, until: str | None, run: RunStage) -> dict[str, Any]:
    """Run the stages of an open recipe, each through ``run`` (plainly or as a Prefect task), and end the run."""
    for stage in gated(context, prepared(context, until)):
        run(context, stage)
    return summarise(context) | end_run(context, until)


def train_directly(run: Path, reporter: Reporter | None = None) -> dict[str, Any]:
    """Train on a run's plan and renew its card; returns the training summary."""
    with reopen_run(run, reporter=reporter) as context:
        return train_and_card(context, run_stage)


def train_and_card(context: RunContext, run: RunStage) -> dict[str, Any]:
    """The stages ``train`` and ``card``, each through ``run`` (plainly or as a Prefect task), and what verify finds."""
    if context.recipe.trainer is None:
        raise RecipeError(f"the recipe of {context.run.path} has no [trainer]; add one and run the recipe again")
    last = [stage for stage in context.stages if stage.name in ("train", "card")]
    need_extras(last)
    refuse_paused(context)
    with state_kept(context.run):
        for stage in last:
            run(context, stage)
        noted = note_latest(context)
        end_state(context.run, noted)
    return context.run.manifest("train").parts[0].facts["summary"] | noted
