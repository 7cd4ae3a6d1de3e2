"""The tables that a training leaves, finished or as far as its last checkpoint, for its page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json
from gristmill.corpus.typed_json import from_json
from gristmill.handoff.plan import Plan
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.training_summary import Timing, TrainSummary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrainingTables:
    """What is known of a training; tables of a finished one are whole, of one that goes on up to a checkpoint.

    ``alarms``, ``evaluation`` and ``load`` are None where the training has left none yet, or is of a version that
    wrote none; ``summary`` and ``timing`` are None where it is not finished.
    """

    recipe: str
    run: str
    bounds: AlarmBounds
    plan: Plan
    metrics: pa.Table
    consumption: pa.Table
    alarms: pa.Table | None
    evaluation: pa.Table | None
    load: pa.Table | None
    summary: TrainSummary | None
    timing: Timing | None

    @property
    def domains(self) -> tuple[str, ...]:
        """In the order of the plan."""
        return self.plan.names

    @property
    def layers(self) -> int:
        """Those with experts."""
        return sum(name.startswith("load_std/") for name in self.metrics.column_names)

    @property
    def steps(self) -> int:
        """Done so far."""
        return self.metrics.num_rows

    def column(self, name: str) -> list[float] | None:
        """A column of the metrics, NaN for what is null; None where a version did not write it, or it has no value."""
        if name not in self.metrics.column_names or self.metrics[name].null_count == self.steps:
            return None
        return self.metrics[name].cast(pa.float64()).fill_null(float("nan")).to_pylist()


def read_training(run: Path, bounds: AlarmBounds) -> TrainingTables:
    """The tables of the training of a run directory, whose alarms ring at ``bounds``.

    Raises
    ------
    StoreError : it has not come as far as its first checkpoint
    """
    train = run / "train"
    summary = _document(TrainSummary, train / "summary.json")
    metrics, consumption = _table(train, "metrics"), _table(train, "consumption")
    if metrics is None or consumption is None or not metrics.num_rows:
        raise StoreError(f"{run} has no training that came as far as a checkpoint; `gristmill train` it first")
    return TrainingTables(
        recipe=run.resolve().parent.name,
        run=run.resolve().name,
        bounds=bounds,
        plan=Plan.load(run / "plan"),
        metrics=metrics,
        consumption=consumption,
        alarms=_table(train, "alarms"),
        evaluation=_table(train, "evaluation"),
        load=_table(train, "load"),
        summary=summary if summary and summary.steps == metrics.num_rows else None,
        timing=_document(Timing, train / "timing.json"),
    )


def _table(train: Path, name: str) -> pa.Table | None:
    """Of segments, which a training that goes on has more of than when its table was last written to one file."""
    whole = train / f"{name}.parquet"
    paths = sorted(train.glob(f"log/{name}-*.parquet")) or [whole] * whole.exists()
    return pa.concat_tables([pq.read_table(path) for path in paths]).combine_chunks() if paths else None


def _document(kind: type[T], path: Path) -> T | None:
    return from_json(kind, read_json(path), str(path)) if path.exists() else None
