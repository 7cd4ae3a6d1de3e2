"""Reading a recipe file. All mistakes are reported at once, each with its path, its line and the nearest known key.

A wrong key in one table never hides a mistake in another: what is wrong by itself is reported and taken out, until the
rest can be read; then the tables say what is wrong between their keys, and ``checks`` what is wrong between tables.
Which sections a recipe has is stated by the model that the caller gives.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.own_files import read_own_text
from gristmill.corpus.recipe_faults import Fault, KeyPath, read_leniently
from gristmill.corpus.recipe_lines import find_line
from gristmill.corpus.recipe_values import Mistake, Section

Model = TypeVar("Model", bound=Section)
Checks = Callable[[Any], Iterable[Mistake]]


def read_recipe(path: Path) -> str:
    """The text of a recipe file; RecipeError when there is none."""
    try:
        return read_own_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None


def parse_toml(text: str, name: str = "recipe") -> dict[str, Any]:
    """The tables of a recipe; RecipeError where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not TOML: {error}") from None


def check_tables(
    raw: dict[str, Any], model: type[Model], checks: Checks, text: str, name: str, faults: Sequence[Fault] = ()
) -> Model:
    """The recipe that the tables hold.

    Parameters
    ----------
    raw : from ``parse_toml``; ``text`` is what it was read from and ``name`` what to call it in messages
    checks : what is wrong between tables, from the recipe
    faults : found before, to be reported with the others

    Raises
    ------
    RecipeError : lists every mistake
    """
    reading = read_leniently(model, raw)
    reported = [*faults, *reading.faults]
    wrong = [*(fault.path for fault in faults), *reading.taken_out]
    if reading.section is not None:
        mistakes = [*_between_keys(reading.section, ()), *checks(reading.section)]
        reported += [Fault(_path(one.keys[0]), one.text) for one in mistakes if not _depends(one, wrong)]
    if reported:
        raise _recipe_error(reported, text, name)
    assert reading.section is not None
    return reading.section


def _between_keys(section: BaseModel, path: KeyPath) -> Iterator[Mistake]:
    """Mistakes of a table and of all tables in it, with whole paths."""
    if isinstance(section, Section):
        for mistake in section.mistakes():
            yield Mistake(tuple((*path, *_path(key)) for key in mistake.keys), mistake.text)
    for name in type(section).model_fields:
        yield from _within(getattr(section, name), (*path, name))


def _within(value: Any, path: KeyPath) -> Iterator[Mistake]:
    if isinstance(value, BaseModel):
        yield from _between_keys(value, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _within(inner, (*path, name))
    elif isinstance(value, tuple | list):
        for place, inner in enumerate(value):
            yield from _within(inner, (*path, place))


def _path(key: str | KeyPath) -> KeyPath:
    """A key as steps; written with dots, a number is a place in a list."""
    if isinstance(key, tuple):
        return key
    return tuple(int(step) if step.isdecimal() else step for step in key.split("."))


def _depends(mistake: Mistake, wrong: Sequence[KeyPath]) -> bool:
    """True when one of its keys is wrong by itself, holds such a key or lies in one."""
    paths = [_path(key) for key in mistake.keys]
    return any(path[: len(bad)] == bad or bad[: len(path)] == path for path in paths for bad in wrong)


def _recipe_error(faults: Iterable[Fault], text: str, name: str) -> RecipeError:
    lines = sorted(
        {(find_line(text, list(fault.path)), fault) for fault in faults}, key=lambda one: (one[0], str(one[1]))
    )
    count = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
    return RecipeError("\n".join([f"{name}: {count}", *(_line(line, fault) for line, fault in lines)]))


def _line(line: int, fault: Fault) -> str:
    prefix = ".".join(str(step) for step in fault.path)
    place = f" (line {line})" if line else ""
    return f"  {prefix}: {fault.text}{place}" if prefix else f"  {fault.text}"
