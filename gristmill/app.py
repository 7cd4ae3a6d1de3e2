"""The command line's frame: the application, its common options, and how an answer is printed.

Every option has a sentence in ``Parameter(help=...)``, which a test holds.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter, Token

from gristmill import __version__

app = App(
    name="gristmill",
    help="Raw text to a training corpus: explained, retuned, rebuilt byte for byte, handed over.",
    version=__version__,
    result_action="return_value",
)
Json = Annotated[bool, Parameter(name="--json", negative="", help="print one JSON object on standard output")]
RecipePath = Annotated[Path, Parameter(help="the recipe, a TOML file")]
Workers = Annotated[
    int | None, Parameter(help="workers in place of engine.workers; the result is the same for any number")
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


def answer(result: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Print a result as JSON, or as ``show`` prints it for a person."""
    if not as_json:
        show(result)
        return
    import orjson

    sys.stdout.write(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
