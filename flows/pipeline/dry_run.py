"""``gristmill plan``: what a run would compute and what it would reuse, without running anything.

Keys depend on keys, so the plan follows them through stages that do not exist yet, until one needs the
content of an output (the tokenizer reads which documents were kept).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.recipe_file import parse_recipe, read_recipe
from gristmill.corpus.rundir import RunDir, run_id
from gristmill.corpus.tables import GROUP_BYTES
from gristmill.flows.pipeline.context import Mill, home, store_of
from gristmill.flows.pipeline.engine import ThreadEngine
from gristmill.flows.pipeline.inputs import Inputs, list_inputs
from gristmill.flows.pipeline.jobs import Job
from gristmill.flows.pipeline.lock import build_lock
from gristmill.flows.pipeline.progress import SilentReporter
from gristmill.flows.pipeline.stages import REFINE

# seconds per MB of input on one core, from the sample corpus; replaced by the last run's own in <home>/rates.json
DEFAULT_RATES = {"documents": 0.25, "signals": 0.02, "language": 0.25, "signatures": 0.02, "mentions": 0.02}
DEFAULT_RATE = 0.2
PROCESS_BYTES = 450 << 20  # interpreter, Arrow, numba, tokenizers
GROUPS_IN_FLIGHT = 6  # a row group, its kernels' scratch and its output, per worker


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage's parts; ``known`` is False where they depend on an output that does not exist yet."""

    parts: int
    compute: int
    reuse: int
    seconds: float
    known: bool = True


class DryRun(RunDir):
    """A run directory in memory."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._manifests: dict[str, Manifest] = {}

    def write_manifest(self, manifest: Manifest) -> None:
        """Remember a manifest."""
        self._manifests[manifest.stage] = manifest

    def manifest(self, stage: str) -> Manifest:
        """A remembered manifest."""
        return self._manifests[stage]

    def has(self, stage: str) -> bool:
        """True when the stage was planned."""
        return stage in self._manifests

    def place(self, entry: Path, name: str) -> Path:  # noqa: ARG002
        """The store entry itself: a dry run has no directory."""
        return entry


class DryMill(Mill):
    """Looks every part up and makes none."""

    plans: dict[str, StagePlan]

    def stage(self, name: str, jobs: Sequence[Job], *, here: bool = False) -> Manifest:  # noqa: ARG002
        """Count the parts that the store has and those it lacks."""
        found = [self.store.find(name, job.key) for job in jobs]
        reuse = sum(receipt is not None for receipt in found)
        self.plans[name] = StagePlan(
            len(jobs), len(jobs) - reuse, reuse, self._seconds(name, len(jobs) - reuse, len(jobs))
        )
        parts = [receipt or Receipt(name, job.key, 0, {}, {}, ()) for receipt, job in zip(found, jobs, strict=True)]
        manifest = Manifest(name, tuple(parts))
        self.run.write_manifest(manifest)
        return manifest

    def upkeep(self, name: str, work: Callable[[], Any]) -> None:
        """Leave it."""

    def file(self, stage: str, name: str, part: int = 0) -> Path:
        """A file of a part that exists; StoreError for one that is only planned."""
        receipt = self.run.manifest(stage).parts[part]
        if not receipt.files:
            raise StoreError(f"{stage} is not computed yet")
        return self.store.folder(receipt) / name

    def _seconds(self, stage: str, compute: int, parts: int) -> float:
        megabytes = input_bytes(self.inputs) / 1e6
        return round(rates().get(stage, DEFAULT_RATE) * megabytes * compute / max(parts, 1) / self.engine.workers, 1)


def plan_run(recipe_path: Path) -> dict[str, Any]:
    """What ``gristmill run`` would do, with a rough estimate of seconds and peak memory."""
    recipe = parse_recipe(read_recipe(recipe_path), str(recipe_path))
    inputs = list_inputs(recipe)
    run = home() / "runs" / recipe.name / run_id(build_lock(recipe, inputs))
    mill = DryMill(recipe, inputs, DryRun(run), store_of(recipe), ThreadEngine(recipe.engine.workers), SilentReporter())
    mill.plans = {}
    for name, stage in REFINE.items():
        if not _planned(mill, stage):
            mill.plans[name] = StagePlan(1, 1, 0, mill._seconds(name, 1, 1), known=False)
    return {
        "run": str(run),
        "input_bytes": input_bytes(inputs),
        "stages": {name: asdict(plan) for name, plan in mill.plans.items()},
        "seconds": round(sum(plan.seconds for plan in mill.plans.values()), 1),
        "peak_bytes": PROCESS_BYTES + mill.engine.workers * GROUPS_IN_FLIGHT * GROUP_BYTES,
    }


def _planned(mill: DryMill, stage: Any) -> bool:
    try:
        stage(mill)
    except (StoreError, KeyError, FileNotFoundError):
        return False
    return True


def input_bytes(inputs: Inputs) -> int:
    """Bytes of all input files as they lie on disk."""
    return sum(file.bytes for files in inputs.files.values() for file in files)


def rates() -> dict[str, float]:
    """Seconds per MB of input on one core by stage: this home's own once something ran, else the shipped ones."""
    path = home() / "rates.json"
    return {**DEFAULT_RATES, **(read_json(path) if path.exists() else {})}


def learn_rates(mill: Mill) -> None:
    """Remember what a run's stages cost, where they were computed whole."""
    megabytes = input_bytes(mill.inputs) / 1e6
    measured = {
        name: round(report.seconds * mill.engine.workers / megabytes, 4)
        for name, report in mill.reports.items()
        if megabytes and not report.reused
    }
    if measured:
        write_json(home() / "rates.json", {**rates(), **measured})
