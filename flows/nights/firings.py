"""When a schedule fired last and how that ended, beside the runs of its recipe: what was missed follows from it."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from gristmill.corpus.errors import DamagedFileError, LockedError
from gristmill.corpus.files import write_json
from gristmill.corpus.state_files import damaged, read_typed
from gristmill.corpus.writer_lock import WriterLock
from gristmill.flows.pipeline.open_context import home
from gristmill.flows.pipeline.run_state import now

FILE = "schedule.json"
SEEN = "every time before now counts as seen, so that no firing is caught up"


@dataclass(frozen=True, slots=True)
class Firings:
    """The last firing of a recipe's schedule."""

    since: str  # ISO 8601: no time before it can have been missed
    outcome: str = ""  # complete, paused, failed; empty before the first has ended

    @property
    def seen_until(self) -> datetime:
        """``since`` as a time."""
        return datetime.fromisoformat(self.since)


def firings_file(recipe: str) -> Path:
    """Where the firings of a recipe are noted."""
    return home() / "runs" / recipe / FILE


def read_firings(recipe: str) -> Firings:
    """The last firing; where there was none, or the file is damaged, everything before now counts as seen."""
    path = firings_file(recipe)
    try:
        found = read_typed(Firings, path, SEEN)
        _ = found.seen_until
    except FileNotFoundError:
        return Firings(now())
    except ValueError as error:
        sys.stderr.write(f"gristmill: {error if isinstance(error, DamagedFileError) else damaged(path, error, SEEN)}\n")
        return Firings(now())
    return found


def note_firing(recipe: str, outcome: str | None = None) -> Firings:
    """Note that a run fires now, or how it ended."""
    last = read_firings(recipe)
    found = replace(last, since=now()) if outcome is None else replace(last, outcome=outcome)
    firings_file(recipe).parent.mkdir(parents=True, exist_ok=True)
    write_json(firings_file(recipe), asdict(found))
    return found


@contextmanager
def served_alone(recipe: str) -> Iterator[None]:
    """One schedule of a recipe in a home: a second one would take the runs of the first for those of a dead process.

    Raises
    ------
    LockedError : another process serves it
    """
    folder = firings_file(recipe).parent
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(WriterLock(folder))
        except LockedError as error:
            raise LockedError(f"the schedule of {recipe!r} is served already: {error}") from None
        yield
