"""The good runs of a recipe: complete, verified, and measured under its [drift]; and the bins frozen by the first."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.state_files import read_typed
from gristmill.corpus.typed_json import to_json
from gristmill.flows.drift.changes_between import Measured
from gristmill.flows.drift.night_figures import Bins, NightFigures
from gristmill.flows.inspect.verify import VERIFIED
from gristmill.flows.pipeline.run_state import read_state

DRIFT_FILE = "drift.json"  # in a run
BINS_FILE = "drift_bins.json"  # beside the runs of a recipe


@dataclass(frozen=True, slots=True)
class NightRecord:
    """RUN/drift.json: what a run is like, and how far from which runs."""

    of: str  # names the content that was measured: another one is measured again
    measured_at: str  # ISO 8601
    nights: tuple[str, ...]  # ids of the runs that it was compared with, the oldest first
    figures: NightFigures
    measured: tuple[Measured, ...]
    left_out: tuple[str, ...]

    @property
    def beyond(self) -> tuple[Measured, ...]:
        """What is beyond its bound."""
        return tuple(one for one in self.measured if one.beyond)


def write_record(run: Path, record: NightRecord) -> None:
    """Keep it in the run."""
    write_json(run / DRIFT_FILE, to_json(record))


def read_record(run: Path) -> NightRecord | None:
    """The record of a run; None where it has none, DamagedFileError where it says something else."""
    path = run / DRIFT_FILE
    return read_typed(NightRecord, path) if path.exists() else None


def good_nights(run: Path, at_most: int) -> dict[str, NightFigures]:
    """Figures of the last good runs beside ``run``, by id, the oldest first; a damaged run is none of them."""
    found = []
    for path in sorted(run.parent.glob(f"*/{DRIFT_FILE}")):
        try:
            record = read_record(path.parent) if _is_good(path.parent) else None
        except (GristmillError, OSError, ValueError, KeyError, TypeError):
            continue
        if record is not None and path.parent.name != run.name:
            found.append((record.measured_at, path.parent.name, record.figures))
    return {name: figures for _, name, figures in sorted(found, key=lambda one: one[:2])[-at_most:]}


def _is_good(run: Path) -> bool:
    state = read_state(RunDir(run))
    return state is not None and state.state == "complete" and read_json(run / VERIFIED)["ok"] is True


def frozen_bins(folder: Path) -> Bins:
    """Edges by source and signal, as the first good run with them has chosen them; DamagedFileError."""
    path = folder / BINS_FILE
    return read_typed(Mapping[str, Mapping[str, tuple[float, ...]]], path) if path.exists() else {}


def mended_bins(run: Path) -> Bins:
    """The same where the file is damaged, from the records of the good runs, the oldest first; written anew."""
    found: Bins = {}
    for figures in good_nights(run, sys.maxsize).values():
        found = _merged(figures.bins, found)
    write_json(run.parent / BINS_FILE, to_json(found))
    return found


def freeze_bins(run: Path) -> None:
    """Keep the edges of a good run for sources and signals that have none yet."""
    record = read_record(run)
    if record is None:
        return
    frozen = frozen_bins(run.parent)
    merged = _merged(record.figures.bins, frozen)
    if merged != frozen:
        write_json(run.parent / BINS_FILE, to_json(merged))


def _merged(new: Bins, frozen: Bins) -> Bins:
    """What is frozen stays."""
    return {source: {**new.get(source, {}), **frozen.get(source, {})} for source in sorted({*new, *frozen})}
