"""The command line's frame: the application, its common options, and how an answer is printed.

Every option has a sentence in ``Parameter(help=...)``, which a test holds.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TextIO

from cyclopts import App, Parameter, Token

from gristmill import __version__

app = App(
    name="gristmill",
    help="Raw text to a training corpus: explained, retuned, rebuilt byte for byte, handed over.",
    version=__version__,
    result_action="return_value",
)


def whole(low: int, high: int) -> Callable[[Any, Sequence[Token]], int]:
    """A converter of an option: a whole number in a range, in plain digits; 0.5 is not read as 0."""

    def convert(_: Any, tokens: Sequence[Token]) -> int:
        text = tokens[0].value
        if not re.fullmatch("-?[0-9]{1,19}", text) or not low <= int(text) <= high:
            raise ValueError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return convert


def number(low: float, high: float) -> Callable[[Any, Sequence[Token]], float]:
    """A converter of an option: a finite number in a range; nan and inf are none."""

    def convert(_: Any, tokens: Sequence[Token]) -> float:
        text = tokens[0].value
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"{text!r} is no number from {low:g} to {high:g}")
        return value

    return convert


MAX_WORKERS = 1024
Json = Annotated[bool, Parameter(name="--json", negative="", help="print one JSON object on standard output")]
RecipePath = Annotated[Path, Parameter(help="the recipe, a TOML file")]
Workers = Annotated[
    int | None,
    Parameter(
        converter=whole(0, MAX_WORKERS),
        help="workers in place of engine.workers; the result is the same for any number",
    ),
]
Direct = Annotated[bool, Parameter(negative="", help="without Prefect: saves its start-up of about 13 CPU seconds")]


def _find_run(_: Any, tokens: Sequence[Token]) -> Path:
    from gristmill.flows.inspect.runs import find_run

    return find_run(tokens[0].value)


RunPath = Annotated[
    Path,
    Parameter(
        converter=_find_run,
        help="a run: its directory, NAME/latest, the beginning of its id (4 characters or more), or latest",
    ),
]


_answers: ContextVar[TextIO | None] = ContextVar("answers", default=None)


@contextmanager
def answering_alone(as_json: bool) -> Iterator[None]:
    """Inside, where the answer is JSON, what a plug-in or a library prints goes to standard error."""
    if not as_json:
        yield
        return
    token = _answers.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _answers.reset(token)


def answer(result: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Print a result as JSON, or as ``show`` prints it for a person."""
    if not as_json:
        show(result)
        return
    import orjson

    out = _answers.get() or sys.stdout
    out.write(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
