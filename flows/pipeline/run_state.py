"""RUN/state.json: whether a run is at work, paused, complete or failed, at which stage, why, and since when.

It is for people, schedules and the gate. What is done stands in manifests; no stage reads this file.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from gristmill.corpus.credentials import without_credentials
from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir

STATE_FILE, APPROVAL_FILE = "state.json", "approval.json"
LATEST_FILE = "latest.json"  # beside the runs of a recipe: {run, verified}
State = Literal["running", "paused", "complete", "failed"]


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run from outside."""

    state: State
    stage: str | None  # the last that is done
    reason: str  # empty where there is none
    since: str  # ISO 8601


def write_state(run: RunDir, state: State, reason: str = "") -> RunState:
    """Note the state of a run; credentials in addresses are left out of the reason."""
    found = RunState(state, _last_stage(run), without_credentials(reason), now())
    write_json(run.path / STATE_FILE, asdict(found))
    return found


def read_state(run: RunDir) -> RunState | None:
    """The state of a run; None where none was noted, as before version 0.2.

    Raises
    ------
    StoreError : the file is damaged
    """
    path = run.path / STATE_FILE
    if not path.exists():
        return None
    try:
        found = RunState(**read_json(path))
    except (ValueError, TypeError) as error:
        problem: object = error
    else:
        if found.state in get_args(State):
            return found
        problem = found.state
    raise StoreError(f"{path} is damaged ({problem!r}); run the recipe again, which writes it anew")


@contextmanager
def state_kept(run: RunDir) -> Iterator[None]:
    """``running`` within the block; ``failed`` where it ends with an error, with its first line.

    A part of a run, such as ``--until`` asks for, ends as complete; it opens no gate that was shut before.
    """
    before = read_state(run)
    write_state(run, "running")
    try:
        yield
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        write_state(run, "failed", f"{type(error).__name__}: {lines[0]}".rstrip(": "))
        raise
    after = read_state(run)
    if before is not None and before.state == "paused" and after is not None and after.state == "running":
        write_json(run.path / STATE_FILE, asdict(before))
    elif after is None or after.state == "running":
        write_state(run, "complete", "a part of its stages, as it was asked for")


def latest_id(folder: Path) -> str | None:
    """The latest verified run among the runs of a recipe, which lie in ``folder``; None before there is one.

    Where its file is damaged, it is the run that was complete last: the file moves then, and only then.
    """
    try:
        return named_latest(folder)
    except (ValueError, KeyError, TypeError):
        return _complete_last(folder)


def named_latest(folder: Path) -> str | None:
    """The run that latest.json names; ValueError, KeyError or TypeError where the file is damaged."""
    path = folder / LATEST_FILE
    if not path.exists():
        return None
    found = read_json(path)["run"]
    if not isinstance(found, str) or not found:
        raise TypeError(f"{LATEST_FILE} names {found!r}")
    return found


def _complete_last(folder: Path) -> str | None:
    ended = []
    for run in (RunDir(lock.parent) for lock in folder.glob("*/lock.json")):
        with suppress(StoreError):
            state = read_state(run)
            if state is not None and state.state == "complete" and not state.reason:  # a part of a run has one
                ended.append((state.since, run.path.name))
    return max(ended)[1] if ended else None


def now() -> str:
    """The time, in UTC and ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _last_stage(run: RunDir) -> str | None:
    done = max((run.path / "manifests").glob("*.json"), key=lambda path: path.stat().st_mtime_ns, default=None)
    return done.stem if done else None
