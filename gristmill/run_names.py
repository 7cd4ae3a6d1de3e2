"""How a run is named: by its path, or by recipe name and the beginning of its id."""

from os import PathLike
from pathlib import Path

from gristmill.corpus.errors import StoreError, UnknownNameError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.inspect.runs import LATEST
from gristmill.flows.inspect.runs import find_run as latest_run
from gristmill.flows.pipeline.open_context import home

MIN_PREFIX = 4
MAX_NAMED = 20  # runs that a message names


def find_run(name: str | PathLike[str]) -> Path:
    """The absolute path of a run directory.

    Parameters
    ----------
    name : a path; or ``NAME/ID`` or ``ID`` of a run in the home, where ID may be cut to ``MIN_PREFIX`` characters;
        ``NAME/latest``; ``latest`` where one recipe has runs

    Raises
    ------
    StoreError : a path that is no run directory, or an ID that is too short or that several runs begin with
    UnknownNameError : no run has the name
    """
    path = Path(name).expanduser()
    if path.exists() or not isinstance(name, str):
        return RunDir.open(path).path.resolve()
    recipe, _, prefix = name.rpartition("/")
    if prefix == LATEST:
        return latest_run(name).resolve()
    runs = [run for run in home_runs() if recipe in ("", run.parent.name)]
    found = [run for run in runs if run.name.startswith(prefix)] if prefix else []
    if found and len(prefix) < MIN_PREFIX:
        raise StoreError(f"{name!r} is too short for a run; give {MIN_PREFIX} or more characters of its id")
    if len(found) > 1:
        raise StoreError(f"{len(found)} runs are called {name!r}: {', '.join(map(run_name, found[:MAX_NAMED]))}")
    if not found:
        raise UnknownNameError("run", name, [run_name(run) for run in home_runs()[:MAX_NAMED]] or [f"none in {home()}"])
    return found[0].resolve()


def home_runs() -> list[Path]:
    """Run directories of the home, the newest first."""
    locks = list((home() / "runs").glob("*/*/lock.json"))
    return [lock.parent for lock in sorted(locks, key=lambda lock: (-lock.stat().st_mtime, str(lock)))]


def run_name(run: Path) -> str:
    """Recipe name and id.

    >>> run_name(Path("home/runs/sample/0123456789abcdef"))
    'sample/0123456789abcdef'
    """
    return f"{run.parent.name}/{run.name}"
