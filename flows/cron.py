"""The cron line of a recipe, checked without Prefect."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.recipe import Schedule
from gristmill.corpus.recipe_file import load_recipe


def cron_line(recipe_path: Path) -> Schedule:
    """The recipe's [schedule].

    Raises
    ------
    RecipeError : there is none, its cron is no cron line, or its time zone is unknown
    """
    from cronsim import CronSim, CronSimError

    schedule = load_recipe(recipe_path).schedule
    if schedule is None:
        raise RecipeError(f'{recipe_path} has no [schedule]; add: [schedule] with cron = "0 3 * * *"')
    try:
        CronSim(schedule.cron, datetime.now(ZoneInfo(schedule.timezone)))
    except CronSimError as error:
        raise RecipeError(f"schedule.cron: {schedule.cron!r} is no cron line: {error}") from None
    except (ZoneInfoNotFoundError, ValueError):
        raise RecipeError(f"schedule.timezone: {schedule.timezone!r} is no time zone such as 'Europe/Berlin'") from None
    return schedule
