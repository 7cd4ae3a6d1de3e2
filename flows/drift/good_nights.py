"""The good runs of a recipe: complete, verified, and measured under its [drift]; and the bins frozen by the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.typed_json import from_json, to_json
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
    """The record of a run; None where it has none."""
    path = run / DRIFT_FILE
    return from_json(NightRecord, read_json(path), str(path)) if path.exists() else None


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
    """Edges by source and signal, as the first good run with them has chosen them."""
    path = folder / BINS_FILE
    found: Mapping[str, Mapping[str, Sequence[Any]]] = read_json(path) if path.exists() else {}
    return {source: {name: tuple(edges) for name, edges in one.items()} for source, one in found.items()}


def freeze_bins(run: Path) -> None:
    """Keep the edges of a good run for sources and signals that have none yet."""
    record = read_record(run)
    if record is None:
        return
    frozen = frozen_bins(run.parent)
    merged = {
        source: {**record.figures.bins.get(source, {}), **frozen.get(source, {})}
        for source in sorted({*record.figures.bins, *frozen})
    }
    if merged != frozen:
        write_json(run.parent / BINS_FILE, to_json(merged))
