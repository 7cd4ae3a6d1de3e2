"""``gristmill schedule``: serve a recipe's cron through Prefect until stopped; each firing is a whole run."""

from pathlib import Path
from typing import Any

from prefect.schedules import Cron

from gristmill.flows.pipeline.recipe_reading import load_scheduled
from gristmill.flows.refine import refine


def deployment_options(recipe_path: Path) -> dict[str, Any]:
    """Name, schedule and parameters of the recipe's deployment; one run at a time."""
    name, schedule = load_scheduled(recipe_path)
    return {
        "name": name,
        "schedule": Cron(schedule.cron, timezone=schedule.timezone),
        "parameters": {"recipe_path": str(recipe_path.resolve())},
        "limit": 1,
    }


def serve_recipe(recipe_path: Path) -> None:
    """Serve the deployment in the foreground."""
    refine.serve(**deployment_options(recipe_path))
