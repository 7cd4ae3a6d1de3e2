"""What each stage of a run cost and where its documents and bytes went: shown as it happens, and kept in the run."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.files import write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.state_files import read_typed
from gristmill.flows.pipeline.progress import Reporter, StageProgress
from gristmill.flows.pipeline.run_state import latest_id

REPORT_FILE = "report.json"


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage cost and where its documents and bytes went."""

    computed: int
    reused: int
    seconds: float
    cpu_seconds: float  # of this process: 0 for what a cluster computed
    documents_in: int
    documents_out: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class KeptReport:
    """RUN/report.json: what the last command did, stage by stage."""

    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # keys of StageReport
    maintenance: Mapping[str, str] = field(default_factory=dict)
    healed: tuple[Mapping[str, str], ...] = ()
    came_from: str | None = None


@dataclass(slots=True)
class RunReport:
    """The reports of a run's stages so far."""

    run: RunDir
    reporter: Reporter
    stages: dict[str, StageReport] = field(default_factory=dict)
    maintenance: dict[str, str] = field(default_factory=dict)
    healed: list[dict[str, str]] = field(default_factory=list)
    came_from: str | None = None  # the run that was the latest of its recipe when this one was begun

    def __post_init__(self):
        self.came_from = _ancestor(self.run.path)

    def record(self, manifest: Manifest, reused: int, cost: "Cost") -> None:
        """Keep a stage's report and write all of them to the run."""
        total = list(manifest.accounts.values())
        self.stages[manifest.stage] = StageReport(
            computed=len(manifest.parts) - reused,
            reused=reused,
            seconds=round(cost.seconds, 3),
            cpu_seconds=round(cost.cpu_seconds, 3),
            documents_in=sum(a.documents_in for a in total),
            documents_out=sum(a.documents_kept for a in total),
            bytes_in=sum(a.bytes_in for a in total),
            bytes_out=sum(a.bytes_kept for a in total),
        )
        self.write()

    def write(self) -> None:
        """What is known so far, into the run."""
        facts = {"stages": self.to_json(), "maintenance": self.maintenance}
        write_json(self.run.path / REPORT_FILE, facts | {"healed": self.healed, "came_from": self.came_from})

    def maintain(self, name: str, work: Callable[[], Any]) -> None:
        """Do what leaves no store entry; what ``work`` returns, if anything, is shown and stands in the report."""
        with self.reporter.stage(name, 1) as progress:
            done = work()
            progress.advance(str(done or "in step"))
        self.maintenance[name] = str(done or "in step")

    def to_json(self) -> dict[str, Any]:
        """Stage reports as plain JSON."""
        return {name: asdict(report) for name, report in self.stages.items()}

    @contextmanager
    def progress(self, name: str, total: int, n_bytes: int = 0) -> Iterator[StageProgress]:
        """Show progress of a stage's parts, of so many bytes together, or of steps of training."""
        with self.reporter.stage(name, total, n_bytes) as progress:
            yield progress


def came_from(run: Path) -> str | None:
    """The run that this one came from, as its report says; None where there is none, or no report."""
    return read_report(run).came_from


def read_report(run: Path) -> KeptReport:
    """RUN/report.json; an empty one where there is none, DamagedFileError where it says something else."""
    path = run / REPORT_FILE
    return read_typed(KeptReport, path) if path.exists() else KeptReport()


def _ancestor(run: Path) -> str | None:
    """A run that is begun again keeps the ancestor that it had."""
    known = None
    with suppress(DamagedFileError):  # a run names it when it begins again
        known = came_from(run)
    latest = latest_id(run.parent)
    return known or (latest if latest != run.name else None)


class Cost(NamedTuple):
    """What work took by the clock, and of the processor: all threads of this process together."""

    seconds: float
    cpu_seconds: float


def timed() -> Callable[[], Cost]:
    """The cost since this call, at each call of what it returns."""
    begin, cpu = time.perf_counter(), time.process_time()
    return lambda: Cost(time.perf_counter() - begin, time.process_time() - cpu)
