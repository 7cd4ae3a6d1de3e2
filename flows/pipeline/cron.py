"""The cron line of a recipe, checked without Prefect by a grammar of which Prefect takes every line.

Five fields and what they mean to every cron: there is no field of seconds, which Prefect takes last and other tools
take first, and no ``5L``, ``LW`` or ``H``, which Prefect does not take. When a line fires, Prefect alone decides.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.recipe import Schedule

ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
WANTED = "'minute hour day-of-month month day-of-week', such as '0 3 * * *', or one of " + ", ".join(ALIASES)
MONTHS = {
    name: n
    for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_ITEM = re.compile(r"(?:(?P<every>\*)|(?P<first>[a-z]+|[0-9]+)(?:-(?P<last>[a-z]+|[0-9]+))?)(?:/(?P<step>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five; ``special`` is what else it may hold."""

    name: str
    low: int
    high: int
    names: Mapping[str, int]
    special: str = "(?!)"

    def values(self, text: str) -> set[int]:
        """The numbers that an item list names; ValueError says why it is none."""
        return {value for item in text.split(",") for value in self._item(item)}

    def _item(self, item: str) -> range:
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"{self.name} {item!r} is neither a number, a range, a step, nor a list of them")
        first, last = self.low, self.high
        if not found["every"]:
            first = self._number(found["first"])
            last = self._number(found["last"]) if found["last"] else self.high if found["step"] else first
        if last < first:
            raise ValueError(f"{self.name} {item!r} ends before it begins")
        if found["step"] and not int(found["step"]):
            raise ValueError(f"{self.name} {item!r} steps by 0")
        return range(first, last + 1, int(found["step"] or 1))

    def _number(self, text: str) -> int:
        number = self.names.get(text, -1) if text.isalpha() else int(text)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} {text!r} is not {self.low} to {self.high}")
        return number


FIELDS = (
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of month", 1, 31, {}, "l"),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 7, DAYS, "l[0-7]|[0-7]#[1-5]"),
)


def schedule_mistakes(schedule: Schedule) -> Iterator[Mistake]:
    """A cron line or a time zone that is none; keys are those of the recipe."""
    try:
        ZoneInfo(schedule.timezone)
    except (OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: a folder of zones
        yield Mistake(("schedule.timezone",), f"{schedule.timezone!r} is no time zone such as 'Europe/Berlin'")
    why = cron_fault(schedule.cron)
    if why:
        yield Mistake(("schedule.cron",), f"{schedule.cron!r} is no cron line: {why}")


def cron_fault(line: str) -> str | None:
    """Why ``line`` is no cron line that Prefect serves as other crons would, else None.

    >>> cron_fault("*/10 3 * jan-mar mon-fri"), cron_fault("@daily"), cron_fault("0 3 L * *")
    (None, None, None)
    >>> cron_fault("0 3 30 2 *")
    'none of its months has such a day'
    """
    fields = line.lower().split()
    if fields and fields[0].startswith("@"):
        return None if fields == [line.lower()] and line.lower() in ALIASES else f"expected {WANTED}"
    if len(fields) != len(FIELDS):
        seconds = "; there is no field of seconds" if len(fields) > len(FIELDS) else ""
        return f"it has {len(fields)} fields, expected five: {WANTED}{seconds}"
    try:
        values = [_values(field, text) for field, text in zip(FIELDS, fields, strict=True)]
    except ValueError as error:
        return str(error)
    days, months = values[2], values[3]
    if all(min(days) > LONGEST[month] for month in months):
        return "none of its months has such a day"
    return None


def _values(field: Field, text: str) -> set[int]:
    if re.fullmatch(field.special, text):
        return {field.low}
    try:
        return field.values(text)
    except ValueError as error:
        last = re.fullmatch("([0-7])l", text)
        hint = f"; the last such day of a month is L{last[1]}" if last and "l[0-7]" in field.special else ""
        raise ValueError(f"{error}{hint}") from None
