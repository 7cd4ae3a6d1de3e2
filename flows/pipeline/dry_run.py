"""``gristmill plan``: what a run would compute and what it would reuse, without running anything.

Keys depend on keys, so the plan follows them through stages that do not exist yet, until one needs the
content of an output (the tokenizer reads which documents were kept).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.run_stages import RunStages
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.tables import GROUP_BYTES
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.engine import ThreadEngine
from gristmill.flows.pipeline.ingest import files_of_one_core
from gristmill.flows.pipeline.inputs import Inputs, list_inputs
from gristmill.flows.pipeline.jobs import Job
from gristmill.flows.pipeline.locking import build_lock
from gristmill.flows.pipeline.open_context import home, run_stages, store_of
from gristmill.flows.pipeline.progress import SilentReporter
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.run_report import RunReport
from gristmill.flows.pipeline.running import run_stage
from gristmill.flows.pipeline.stages import Instance

# seconds per MB of input on one core, from the sample corpus; replaced by the last run's own in <home>/rates.json
DEFAULT_RATES = {"documents": 0.25, "signals": 0.02, "language": 0.25, "signatures": 0.02, "mentions": 0.02}
DEFAULT_RATE = 0.2
PROCESS_BYTES = 450 << 20  # interpreter, Arrow, numba, tokenizers
NOT_PLANNED = ("train", "card")  # they depend on the run directory, not on store entries
GROUPS_IN_FLIGHT = 6  # a row group, its kernels' scratch and its output, per worker


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage's parts; ``known`` is False where they depend on an output that does not exist yet."""

    parts: int
    compute: int
    reuse: int
    seconds: float
    known: bool = True


class MissingManifestError(LookupError):
    """A stage was not planned, since it depends on what does not exist yet."""


class DryRun(RunDir):
    """A run directory in memory."""

    def __init__(self, path: Path, stages: RunStages):
        super().__init__(path)
        self._manifests: dict[str, Manifest] = {}
        self._stages = stages

    @property
    def stages(self) -> RunStages:
        """The stages that the recipe runs."""
        return self._stages

    def write_manifest(self, manifest: Manifest) -> None:
        """Remember a manifest."""
        self._manifests[manifest.stage] = manifest

    def manifest(self, stage: str) -> Manifest:
        """A remembered manifest."""
        if stage not in self._manifests:
            raise MissingManifestError(stage)
        return self._manifests[stage]

    def has(self, stage: str) -> bool:
        """True when the stage was planned."""
        return stage in self._manifests

    def place(self, entry: Path, name: str, *others: Path) -> Path:  # noqa: ARG002
        """The store entry itself: a dry run has no directory."""
        return entry


@dataclass
class DryContext(RunContext):
    """Looks every part up and makes none."""

    plans: dict[str, StagePlan] = field(default_factory=dict)

    def compute(self, name: str, jobs: Sequence[Job], *, here: bool = False) -> Manifest:  # noqa: ARG002
        """Count the parts that the store has and those it lacks."""
        found = [self.store.find(name, job.key) for job in jobs]
        reuse = sum(receipt is not None for receipt in found)
        compute = len(jobs) - reuse
        self.plans[name] = StagePlan(len(jobs), compute, reuse, self.seconds(name, compute, len(jobs)))
        parts = [receipt or Receipt(name, job.key, 0, {}, {}, ()) for receipt, job in zip(found, jobs, strict=True)]
        manifest = Manifest(name, tuple(parts))
        self.run.write_manifest(manifest)
        return manifest

    def file(self, stage: str, name: str, part: int = 0) -> Path:
        """A file of a part that exists; StoreError for one that is only planned."""
        receipt = self.run.manifest(stage).parts[part]
        if not receipt.files:
            raise StoreError(f"{stage} is not computed yet")
        return self.store.folder(receipt) / name

    def seconds(self, stage: str, compute: int, parts: int) -> float:
        """How long computing so many of the parts is likely to take."""
        megabytes = input_bytes(self.inputs) / 1e6
        rate = rates().get(stage, DEFAULT_RATE)
        return round(rate * megabytes * compute / max(parts, 1) / self.engine.workers, 1)


class _DryReport(RunReport):
    """Writes nothing, and leaves what is maintained as it is."""

    def record(self, manifest: Manifest, reused: int, seconds: float) -> None:
        pass

    def maintain(self, name: str, work: Callable[[], Any]) -> None:
        pass


def plan_run(recipe_path: Path) -> dict[str, Any]:
    """What ``gristmill run`` would do, with a rough estimate of seconds and peak memory."""
    checked = load_recipe(recipe_path)
    recipe = checked.recipe
    inputs = list_inputs(recipe, checked.stages, checked.catalogue.readers)
    run = DryRun(home() / "runs" / recipe.name / build_lock(checked, inputs).run_id, run_stages(checked))
    engine = ThreadEngine(recipe.engine.workers)
    report = _DryReport(run, SilentReporter())
    context = DryContext(recipe, checked.stages, run, store_of(recipe), engine, report, inputs)
    for stage in checked.stages:
        if stage.name not in NOT_PLANNED and not _planned(context, stage):
            context.plans[stage.name] = StagePlan(1, 1, 0, context.seconds(stage.name, 1, 1), known=False)
    return {
        "run": str(run.path),
        "input_bytes": input_bytes(inputs),
        "stages": {name: asdict(plan) for name, plan in context.plans.items()},
        "seconds": round(sum(plan.seconds for plan in context.plans.values()), 1),
        "one_core": files_of_one_core(context),
        "peak_bytes": PROCESS_BYTES + engine.workers * GROUPS_IN_FLIGHT * GROUP_BYTES,
    }


def _planned(context: DryContext, stage: Instance) -> bool:
    """False where the stage needs the content of an output that does not exist yet."""
    try:
        run_stage(context, stage)
    except (StoreError, FileNotFoundError, MissingManifestError):
        return False
    return True


def input_bytes(inputs: Inputs) -> int:
    """Bytes of all input files as they lie on disk."""
    return sum(file.bytes for files in inputs.files.values() for file in files)


def rates() -> dict[str, float]:
    """Seconds per MB of input on one core by stage: this home's own once something ran, else the shipped ones."""
    path = home() / "rates.json"
    return {**DEFAULT_RATES, **(read_json(path) if path.exists() else {})}


def learn_rates(context: RunContext) -> None:
    """Remember what a run's stages cost, where they were computed whole."""
    megabytes = input_bytes(context.inputs) / 1e6
    measured = {
        name: round(report.seconds * context.engine.workers / megabytes, 4)
        for name, report in context.report.stages.items()
        if megabytes and not report.reused
    }
    if measured:
        write_json(home() / "rates.json", {**rates(), **measured})
