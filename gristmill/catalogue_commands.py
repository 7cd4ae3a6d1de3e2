"""Commands before the first run: a recipe to begin with, what it can name, and kernels that are compiled ahead."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gristmill.app import MAX_WORKERS, Json, answer, app, whole

Recipe = Annotated[Path | None, Parameter(help="a recipe: its own profiles and plug-ins are listed too")]
Name = Annotated[str | None, Parameter(help="only names that contain this text")]
Stage = Annotated[str | None, Parameter(help="only the signals of this stage")]

Needed = Annotated[Path | None, Parameter(help="a recipe: only kernels of its stages; else those of most recipes")]
Processes = Annotated[int, Parameter(converter=whole(0, MAX_WORKERS), help="processes at most; 0 = as many as cores")]

Paths = Annotated[tuple[str, ...], Parameter(negative="", help="files, folders or globs, each a source of its own")]
Out = Annotated[Path, Parameter(help="the recipe to write; it must not exist")]
Called = Annotated[str | None, Parameter(help="the name of the recipe; that of the file when left out")]


@app.command
def init(paths: Paths, *, out: Out = Path("recipe.toml"), name: Called = None, json: Json = False) -> None:
    """Write a recipe to begin with: a source for each way of reading, with the keys that the first records ask for."""
    from gristmill.corpus.typed_json import to_json
    from gristmill.flows.inspect.first_recipe import write_first_recipe
    from gristmill.show_catalogue import show_first_recipe

    answer(to_json(write_first_recipe(paths, out, name)), json, show_first_recipe)


@app.command
def signals(recipe: Recipe = None, *, name: Name = None, stage: Stage = None, json: Json = False) -> None:
    """List the signals that stages measure, with unit, range and source."""
    from gristmill.flows.inspect.catalogue_rows import Known
    from gristmill.show_catalogue import show_signals

    rows = _of_stage(list(Known.of(recipe).signals()), stage)
    answer(_named("signal", rows, name), json, show_signals)


@app.command
def profiles(recipe: Recipe = None, *, name: Name = None, json: Json = False) -> None:
    """List the profiles, sets of rules that [decide] can name; a single one is shown with its rules."""
    from gristmill.flows.inspect.catalogue_rows import Known
    from gristmill.show_catalogue import show_profiles

    answer(_named("profile", Known.of(recipe).profiles(), name), json, show_profiles)


@app.command
def readers(recipe: Recipe = None, *, name: Name = None, json: Json = False) -> None:
    """List the readers, one for each format of input files."""
    from gristmill.flows.inspect.catalogue_rows import Known
    from gristmill.show_catalogue import show_readers

    answer(_named("reader", Known.of(recipe).readers(), name), json, show_readers)


@app.command
def stages(recipe: Recipe = None, *, name: Name = None, json: Json = False) -> None:
    """List the stages in running order, with their section of the recipe and what they read."""
    from gristmill.flows.inspect.catalogue_rows import Known
    from gristmill.show_catalogue import show_stages

    answer(_named("stage", Known.of(recipe).stages(), name), json, show_stages)


def _named(kind: str, rows: Iterable[Any], name: str | None) -> dict[str, Any]:
    """Rows whose name contains ``name``, as JSON; a name that no row contains is an error."""
    from gristmill.corpus.errors import UnknownNameError
    from gristmill.corpus.typed_json import to_json

    every = list(rows)
    found = [row for row in every if name is None or name.lower() in row.name.lower()]
    if name is not None and not found:
        raise UnknownNameError(kind, name, [row.name for row in every])
    return {"rows": to_json(found)}


def _of_stage(rows: list[Any], stage: str | None) -> list[Any]:
    from gristmill.corpus.errors import UnknownNameError

    known = {row.stage for row in rows}
    if stage is not None and stage not in known:
        raise UnknownNameError("stage that measures signals", stage, known)
    return [row for row in rows if stage in (None, row.stage)]


@app.command
def warmup(recipe: Needed = None, *, workers: Processes = 0, json: Json = False) -> None:
    """Compile the kernels that a recipe needs, in processes side by side, so that its first run does not wait."""
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.pipeline.warming import warm_up
    from gristmill.show_catalogue import show_compiled

    compiled = warm_up(recipe, ConsoleReporter(), workers)
    answer({"compiled": compiled}, json, show_compiled)
