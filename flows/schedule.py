"""``gristmill schedule``: serve a recipe's cron through Prefect until stopped."""

from pathlib import Path
from typing import Any

from prefect.schedules import Cron

from corpus.errors import RecipeError
from corpus.recipe_file import load_recipe
from flows.refine import refine


def deployment_options(recipe_path: Path) -> dict[str, Any]:
    """Name, schedule and parameters of the recipe's deployment; one run at a time.

    Raises
    ------
    RecipeError : the recipe has no [schedule], or its cron is none
    """
    recipe = load_recipe(recipe_path)
    if recipe.schedule is None:
        raise RecipeError(f'{recipe_path} has no [schedule]; add: [schedule] with cron = "0 3 * * *"')
    try:
        schedule = Cron(recipe.schedule.cron, timezone=recipe.schedule.timezone)
    except ValueError as error:
        raise RecipeError(f"schedule.cron: {recipe.schedule.cron!r} is no cron line: {error}") from None
    return {
        "name": recipe.name,
        "schedule": schedule,
        "parameters": {"recipe_path": str(recipe_path.resolve())},
        "limit": 1,
    }


def serve_recipe(recipe_path: Path) -> None:
    """Serve the deployment in the foreground; each firing is a run of the whole mill."""
    refine.serve(**deployment_options(recipe_path))
