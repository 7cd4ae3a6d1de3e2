"""When a schedule fired last and how that ended, beside the runs of its recipe: what was missed follows from it."""

import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.files import write_json
from gristmill.corpus.state_files import damaged, read_typed
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
