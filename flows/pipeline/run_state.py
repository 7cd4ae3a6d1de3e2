"""RUN/state.json: whether a run is at work, paused, complete or failed, at which stage, why, and since when.

It is for people, schedules and the gate. What is done stands in manifests; no stage reads this file.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast, get_args

from gristmill.corpus.credentials import without_credentials
from gristmill.corpus.errors import DamagedFileError, StoreError, first_line
from gristmill.corpus.files import write_json
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.state_files import damaged, read_typed

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


@dataclass(frozen=True, slots=True)
class _Noted:
    """The same as it stands in the file, where the state may be any text."""

    state: str
    stage: str | None
    reason: str
    since: str


def write_state(run: RunDir, state: State, reason: str = "") -> RunState:
    """Note the state of a run; credentials in addresses are left out of the reason."""
    found = RunState(state, _last_stage(run), without_credentials(reason), now())
    write_json(run.path / STATE_FILE, asdict(found))
    return found


def read_state(run: RunDir) -> RunState | None:
    """The state of a run; None where none was noted, as before version 0.2.

    Raises
    ------
    DamagedFileError : it says something else
    """
    path = run.path / STATE_FILE
    if not path.exists():
        return None
    found = read_typed(_Noted, path)
    if found.state not in get_args(State):
        raise damaged(path, f"no state is called {found.state!r}")
    return RunState(cast(State, found.state), found.stage, found.reason, found.since)


@dataclass(frozen=True, slots=True)
class Approval:
    """RUN/approval.json: a person has opened the gate of a paused run."""

    by: str
    when: str  # ISO 8601
    note: str


def read_approval(run: RunDir) -> Approval | None:
    """The approval of a run; None where it has none.

    Raises
    ------
    DamagedFileError : the file does not say who opened the gate, so it is shut
    """
    path = run.path / APPROVAL_FILE
    remedy = "run the recipe again, which deletes it, look at RUN/drift.json, and `gristmill approve` the run once more"
    return read_typed(Approval, path, remedy) if path.exists() else None


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
        write_state(run, "failed", f"{type(error).__name__}: {first_line(error)}".rstrip(": "))
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
    except DamagedFileError:
        return _complete_last(folder)


def named_latest(folder: Path) -> str | None:
    """The run that latest.json names; DamagedFileError where it names none."""
    path = folder / LATEST_FILE
    if not path.exists():
        return None
    latest = read_typed(_Latest, path)
    if not latest.run:
        raise damaged(path, "it names no run")
    return latest.run


@dataclass(frozen=True, slots=True)
class _Latest:
    """latest.json."""

    run: str
    verified: bool


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
