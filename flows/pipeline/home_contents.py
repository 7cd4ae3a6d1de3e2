"""What a home holds: runs, entries of its store and of its cache, and which entries its runs name.

Stores elsewhere, which other homes may share, are not looked at.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import DamagedFileError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.state_files import missing, read_typed
from gristmill.corpus.store_use import is_written
from gristmill.corpus.unfinished import END, is_held
from gristmill.mixing.tuning import TUNED_FILE

Place = tuple[str, str]  # stage and key of an entry
_FILE_SECONDS = 600.0  # a small file is written at once
MANIFESTS = ("manifests", ".takedown/manifests")  # a takedown that was killed goes on from the old ones
TUNED = "tune/entries.json"  # of a run: its proxy runs, which stand in no manifest
TUNE_RESULTS = ("report.json", TUNED_FILE)  # written after it
TUNE_AGAIN = "`gristmill tune` the recipe again, which writes it anew, or delete the folder with what it found"


@dataclass(frozen=True, slots=True)
class Home:
    """A home by its folder."""

    root: Path

    @classmethod
    def of(cls, run: RunDir) -> "Home | None":
        """The home that a run lies in; None where it was copied elsewhere."""
        path = run.path.resolve()
        root = path.parents[2] if len(path.parents) > 2 else path
        return cls(root) if path.parents[1].name == "runs" and (root / "store").is_dir() else None

    @property
    def runs(self) -> list[RunDir]:
        """Its runs, by recipe and id."""
        return [RunDir(lock.parent) for lock in sorted(self.root.glob("runs/*/*/lock.json"))]

    @property
    def stores(self) -> list[Path]:
        """The store, and the cache of stores elsewhere, as far as they are there."""
        return [path for path in (self.root / "store", self.root / "cache") if path.is_dir()]

    def entries(self) -> Iterator[Path]:
        """The folder of every entry."""
        for store in self.stores:
            yield from (path for path in sorted(store.glob("*/[!.]*")) if path.is_dir())

    def left_behind(self, now: float | None = None) -> Iterator[Path]:
        """What dead writers have set aside: folders of entries and of runs, and files of more than ten minutes."""
        for store in self.stores:
            yield from (path for path in sorted(store.glob(f"*/.*{END}")) if not is_held(path))
        written = {run.path for run in self.runs if is_written(run.path)}
        old = (now or time.time()) - _FILE_SECONDS
        yield from (path for path in sorted(self.root.glob(f".*{END}")) if path.stat().st_mtime < old)
        for depth in ("*", "*/*", "*/*/*"):
            for path in sorted((self.root / "runs").glob(f"{depth}/.*{END}")):
                if written.isdisjoint(path.parents) and (path.is_dir() or path.stat().st_mtime < old):
                    yield path


def entries_of(runs: Iterable[RunDir]) -> set[Place]:
    """Every entry that a manifest of the runs names; a training is none.

    Raises
    ------
    StoreError : a manifest is damaged, so that what it names is unknown
    """
    found: set[Place] = set()
    for run in runs:
        for path in sorted(path for folder in MANIFESTS for path in (run.path / folder).glob("*.json")):
            try:
                parts = Manifest.from_json(read_json(path)).parts
            except (ValueError, KeyError, TypeError, AttributeError):
                raise StoreError(f"{path} is damaged; run the recipe again, which writes it anew") from None
            found |= {(part.stage, part.key) for part in parts if part.files}
    return found


def name_tuned(run: RunDir, places: Iterable[Place]) -> None:
    """Write down entries that a tuning of the run is about to make or find, so that they stay in the store."""
    path = run.path / TUNED
    path.parent.mkdir(exist_ok=True)
    write_json(path, sorted(map(list, tuned_entries([run]) | set(places))))


def mend_tuned(run: RunDir) -> str | None:
    """Where the list of a tuning's entries is lost, begin it anew, for a tuning that finds and names them again.

    Returns
    -------
    what was wrong with it; None where nothing was
    """
    try:
        tuned_entries([run])
    except DamagedFileError as error:
        write_json(run.path / TUNED, [])
        return str(error)
    return None


def tuned_entries(runs: Iterable[RunDir]) -> set[Place]:
    """Every entry that a tuning of the runs made.

    Raises
    ------
    DamagedFileError : what a run's tuning made is not known, since the file is damaged, or gone beside its results
    """
    found: set[Place] = set()
    for path in (run.path / TUNED for run in runs):
        if path.exists():
            found |= set(read_typed(tuple[Place, ...], path, TUNE_AGAIN))
        elif any(path.with_name(name).exists() for name in TUNE_RESULTS):
            raise missing(path, "the results of the tuning are there", TUNE_AGAIN)
    return found


def place_of(entry: Path) -> Place:
    """Stage and key of an entry's folder."""
    return entry.parent.name, entry.name
