"""The cron line of a recipe, checked without Prefect."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.recipe import Schedule


def schedule_mistakes(schedule: Schedule) -> Iterator[Mistake]:
    """A cron line or a time zone that is none; keys are those of the recipe."""
    from cronsim import CronSim, CronSimError

    try:
        zone = ZoneInfo(schedule.timezone)
    except (OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: a folder of zones
        yield Mistake(("schedule.timezone",), f"{schedule.timezone!r} is no time zone such as 'Europe/Berlin'")
        zone = None
    try:
        CronSim(schedule.cron, datetime.now(zone))
    except CronSimError as error:
        yield Mistake(("schedule.cron",), f"{schedule.cron!r} is no cron line: {error}")
