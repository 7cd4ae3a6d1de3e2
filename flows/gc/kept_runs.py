"""Which runs of a home are kept, and why: by number and age, and whatever else still needs one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.rundir import RunDir
from gristmill.corpus.store_use import is_written
from gristmill.flows.pipeline.run_state import latest_id
from gristmill.flows.pipeline.training_lineage import read_lineage

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How many runs of each recipe are kept, and for how long; None for both keeps all of them.

    A run that one of the two keeps is kept.
    """

    runs: int | None = None  # the newest of each recipe
    days: float | None = None  # since its recipe was run last

    @property
    def keeps_all(self) -> bool:
        """Whether nothing was asked for."""
        return self.runs is None and self.days is None


def kept(runs: list[RunDir], retention: Retention, now: float) -> dict[Path, str]:
    """The reason of every run that is kept, by its path; runs without one may go."""
    found: dict[Path, str] = {}
    for folder in sorted({run.path.parent for run in runs}):
        here = sorted((run for run in runs if run.path.parent == folder), key=_when, reverse=True)
        for rank, run in enumerate(here):
            reason = _reason(run, rank, retention, now)
            found |= {run.path: reason} if reason else {}
    return found | dict(_ancestors(runs, found))


def _reason(run: RunDir, rank: int, retention: Retention, now: float) -> str | None:
    if retention.keeps_all:
        return "no --keep-runs or --keep-days was given"
    if retention.runs is not None and rank < retention.runs:
        return f"one of the {retention.runs} newest of its recipe"
    if retention.days is not None and now - _when(run) < retention.days * DAY_SECONDS:
        return f"younger than {retention.days:g} days"
    if latest_id(run.path.parent) == run.path.name:
        return "the latest of its recipe that passed verify"
    if is_written(run.path):
        return "it is being written"
    if run.was_taken_down:
        return "documents were taken down from it: without it, a new run would bring them back"
    if run.exports:
        return "its exports still stand, and it alone says where"
    return None


def _when(run: RunDir) -> float:
    return (run.path / "lock.json").stat().st_mtime


def _ancestors(runs: list[RunDir], found: Mapping[Path, str]) -> Iterator[tuple[Path, str]]:
    """Runs whose training a kept one began from, or learned from."""
    known = {run.path.name: run.path for run in runs}
    waiting = list(found)
    while waiting:
        path = waiting.pop()
        for entry in read_lineage(path):
            other = known.get(Path(entry.run).name)
            if other is not None and other not in found:
                found = {**found, other: ""}
                waiting.append(other)
                yield other, f"the training of {path} began from it"
