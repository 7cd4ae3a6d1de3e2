"""The runs of a home: their names, how far each came, and which one is the latest that is whole."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import AmbiguousNameError, GristmillError, UnknownNameError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.flows.inspect.id_prefixes import id_named, is_prefix
from gristmill.flows.inspect.verify import VERIFIED, state_of, verify_open
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import home, stages_of_run
from gristmill.flows.pipeline.run_state import LATEST_FILE, latest_id, read_state
from gristmill.flows.pipeline.running import mend

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as ``gristmill list`` shows it."""

    recipe: str
    run: str  # its id
    path: str
    when: str  # ISO 8601: when its recipe was run last
    stage: str | None  # the last that is done
    documents: int | None  # kept; None before decide
    verified: bool | None  # None: not since a stage was done
    state: str | None  # running, paused, complete or failed; None of runs that note none
    latest: bool
    problem: str | None  # why no more is known of it


def runs_folder() -> Path:
    """Where the runs of the home lie."""
    return home() / "runs"


def list_runs() -> dict[str, Any]:
    """The runs of the home, by recipe and age: ``{"home", "rows"}``, rows of ``ListedRun``."""
    rows = sorted((_listed(run) for run in _runs()), key=lambda row: (row.recipe, row.when, row.run))
    return {"home": str(home()), "rows": [asdict(row) for row in rows]}


def _runs() -> Iterator[Path]:
    return (lock.parent for lock in sorted(runs_folder().glob("*/*/lock.json")))


def _listed(path: Path) -> ListedRun:
    recipe, when = path.parent.name, (path / "lock.json").stat().st_mtime
    stage = documents = verified = state = problem = None
    try:
        run = RunDir.open(path)
        done = [name for name in stages_of_run(run).names if run.has(name)]
        stage = done[-1] if done else None
        documents = next((run.manifest(stage).rows for stage in ("tokens", "decide") if run.has(stage)), None)
        verified = _verified(run)
        noted = read_state(run)
        state = noted.state if noted else None
    except (GristmillError, OSError, ValueError, KeyError, TypeError) as error:  # a damaged run hides no other
        problem = f"{type(error).__name__}: {error}"
    return ListedRun(
        recipe=recipe,
        run=path.name,
        path=str(path),
        when=datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds"),
        stage=stage,
        documents=documents,
        verified=verified,
        state=state,
        latest=latest_id(path.parent) == path.name,
        problem=problem,
    )


def _verified(run: RunDir) -> bool | None:
    path = run.path / VERIFIED
    if not path.exists() or (found := read_json(path))["digest"] != state_of(run):
        return None
    return bool(found["ok"])


def note_latest(context: RunContext, *, moves: bool = True) -> dict[str, Any]:
    """Verify a run whose last stage is done; where all holds, ``NAME/latest`` names it from now on.

    Parameters
    ----------
    moves : False leaves ``NAME/latest`` where it was

    Returns
    -------
    verified : whether every check passed
    failed : names and details of those that did not
    """
    with context.report.progress("verify", 0):
        result = verify_open(context)
        if not result["ok"] and mend(context):
            result = verify_open(context)
    if result["ok"] and moves:
        run = context.run.path
        write_json(run.parent / LATEST_FILE, {"run": run.name, "verified": True})
    failed = [f"{check['name']}: {check['detail']}" for check in result["checks"] if not check["ok"]]
    found = {"verified": result["ok"], "failed": failed}
    return found | ({"healed": [asdict(one) for one in context.healing.healed]} if context.healing else {})


def find_run(text: str | PathLike[str]) -> Path:
    """The run directory that a person names.

    Parameters
    ----------
    text : a path; the beginning of an id, of 4 characters or more; NAME/latest or NAME/ID, where NAME is a recipe's;
        ``latest`` while the runs of one recipe are there

    Raises
    ------
    UnknownNameError : none of these; with the nearest
    AmbiguousNameError : several
    """
    path = Path(text).expanduser()  # in a notebook no shell does
    if not isinstance(text, str) or (path / "lock.json").exists():
        return path
    try:
        return _named(text)
    except UnknownNameError:
        if path.exists():
            return path  # that it is no run is reported where it is opened
        raise


def _named(text: str) -> Path:
    recipe, _, run = text.rpartition("/")
    folder = runs_folder() / recipe  # of a path into another home that home
    if run == LATEST:
        return _latest(folder if recipe else _only_recipe())
    paths = [lock.parent for lock in folder.glob("*/lock.json")] if recipe else list(_runs())
    if not paths or not is_prefix(run):
        raise UnknownNameError("run", text, _names())
    found = id_named("run", run, [path.name for path in paths])
    return next(path for path in paths if path.name == found)  # two recipes never share an id: it holds the name


def _names() -> list[str]:
    """What may be typed."""
    recipes = sorted({path.parent.name for path in _runs()})
    names = [f"{recipe}/{LATEST}" for recipe in recipes]
    return [*names, *(f"{path.parent.name}/{path.name}" for path in _runs())] or [f"none in {home()}"]


def _only_recipe() -> Path:
    recipes = sorted({path.parent for path in _runs()})
    if len(recipes) > 1:
        raise AmbiguousNameError("run", LATEST, [f"{recipe.name}/{LATEST}" for recipe in recipes])
    if not recipes:
        raise UnknownNameError("run", LATEST, _names())
    return recipes[0]


def _latest(folder: Path) -> Path:
    run = latest_id(folder)
    if run is not None and (folder / run).is_dir():
        return folder / run
    here = [f"{path.parent.name}/{path.name}" for path in _runs() if path.parent.name == folder.name]
    kind = "run (no run of the recipe has ended and passed verify)" if here else "run"
    raise UnknownNameError(kind, f"{folder.name}/{LATEST}", here or _names())
