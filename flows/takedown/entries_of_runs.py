"""Store entries by the runs that name them: which ones a takedown leaves, and which ones another run needs."""

from gristmill.corpus.files import read_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.rundir import RunDir


def entries_named_by(run: RunDir) -> dict[tuple[str, str], Receipt]:
    """Every store entry that a run's manifests name; a training is no entry."""
    manifests = [Manifest.from_json(read_json(path)) for path in sorted((run.path / "manifests").glob("*.json"))]
    return {(part.stage, part.key): part for manifest in manifests for part in manifest.parts if part.files}


def _old_entries(run: RunDir, journal: RunDir) -> dict[tuple[str, str], Receipt]:
    now = entries_named_by(run)
    return {place: receipt for place, receipt in entries_named_by(journal).items() if place not in now}


def superseded(run: RunDir, journal: RunDir) -> list[Receipt]:
    """Old entries that no run names any more."""
    others = named_by_others(run)
    return [receipt for place, receipt in _old_entries(run, journal).items() if place not in others]


def named_by_others(run: RunDir) -> set[tuple[str, str]]:
    """Stage and key of every store entry that another run names."""
    return {place for other in _other_runs(run) for place in entries_named_by(other)}


def entries_of_others(run: RunDir, journal: RunDir) -> dict[str, int]:
    """Old entries that stay because another run names them, by the path of that run."""
    old = _old_entries(run, journal).keys()
    shared = {str(other.path): len(old & entries_named_by(other).keys()) for other in _other_runs(run)}
    return {path: n for path, n in shared.items() if n}


def _other_runs(run: RunDir) -> list[RunDir]:
    """The runs beside this one, of all recipes. Runs of another home that share the store are not seen."""
    own = run.path.resolve()
    folders = (lock.parent for lock in sorted(own.parents[1].glob("*/*/lock.json")))
    return [RunDir(folder) for folder in folders if folder != own]
