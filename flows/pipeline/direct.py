"""The flows without Prefect: the same stage functions in the same order, for libraries, tests and ``--direct``."""

from pathlib import Path
from typing import Any

from gristmill.flows.pipeline.context import Mill, open_mill, reopen_mill
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.report import summarise
from gristmill.flows.pipeline.stages import STAGES, run_stages


def refine_directly(
    recipe: Path, until: str | None = None, workers: int | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Run a recipe in this process; returns what ``gristmill run --json`` prints."""
    engine = {} if workers is None else {"workers": workers}
    with open_mill(recipe, reporter=reporter, engine=engine) as mill:
        run_stages(mill, until)
        return summarise(mill)


def train_directly(run: Path, reporter: Reporter | None = None) -> dict[str, Any]:
    """Train on a run's plan and renew its card; returns the training summary."""
    with reopen_mill(run, reporter=reporter) as mill:
        return train_and_card(mill, STAGES)


def train_and_card(mill: Mill, stages: dict[str, Any]) -> dict[str, Any]:
    """The stages ``train`` and ``card`` of ``stages`` (plain functions or Prefect tasks)."""
    from gristmill.corpus.errors import RecipeError

    if mill.recipe.trainer is None:
        raise RecipeError(f"the recipe of {mill.run.path} has no [trainer]; add one and run the recipe again")
    stages["train"](mill)
    stages["card"](mill)
    return mill.run.manifest("train").parts[0].facts["summary"]
