"""The two functions a notebook begins with: ``gristmill.run`` mills a recipe, ``gristmill.open`` opens a finished run.

Neither needs Prefect nor an event loop of its own, so both work in a cell, in a coroutine and in a script.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gristmill.corpus  # noqa: F401  points numba at its cache
from gristmill.corpus.errors import RecipeError
from gristmill.corpus.rundir import RunDir
from gristmill.finished_run import Run
from gristmill.flows.inspect.runs import find_run
from gristmill.recipe_text import checked_recipe

if TYPE_CHECKING:
    from gristmill.flows.pipeline.progress import Reporter

Recipe = str | PathLike[str] | Mapping[str, Any]


def run(recipe: Recipe, until: str | None = None, workers: int | None = None, *, progress: bool = True) -> Run:
    """Run a recipe in this process; what the store holds already is not computed again.

    Parameters
    ----------
    recipe : path of a recipe file, the text of one, or its tables as a dict
    until : the last stage to run
    workers : workers in place of ``engine.workers``; the result is the same for any number
    progress : write the progress of each stage to standard error

    Returns
    -------
    Run, finished up to ``until``

    Raises
    ------
    RecipeError : the recipe has mistakes; lists all of them
    MissingExtraError : a stage needs a library that is not installed; nothing has been computed
    GristmillError : see ``gristmill.errors``
    """
    from gristmill.flows.direct import refine_checked

    if workers is not None and not (isinstance(workers, int) and workers >= 0):
        raise RecipeError(f"workers: {workers!r} is no whole number from 0, which is as many as cores")
    done = refine_checked(checked_recipe(recipe), until, workers, _reporter(progress))
    return Run(Path(done["run"]))


def _reporter(progress: bool) -> "Reporter":
    from gristmill.flows.pipeline.progress import ConsoleReporter, SilentReporter

    return ConsoleReporter() if progress else SilentReporter()


def open(run: str | PathLike[str]) -> Run:  # noqa: A001  its name in notebooks: gristmill.open
    """Open a run to read its tables and to ask questions of it.

    Nothing is written and no lock is taken: it works while the run is still being written, for the stages it has.

    Parameters
    ----------
    run : a path; the beginning of an id, of 4 characters or more; NAME/latest or NAME/ID, where NAME is a recipe's

    Raises
    ------
    StoreError : a path that is no run directory
    UnknownNameError : no run has the name
    AmbiguousNameError : several have it
    """
    return Run(RunDir.open(find_run(run)).path.resolve())
