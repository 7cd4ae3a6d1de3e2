"""``gristmill plan``: what a run would compute and what it would reuse, without running anything.

Keys depend on keys, so the plan follows them through stages that do not exist yet, until one needs the
content of an output (the tokenizer reads which documents were kept).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.run_stages import RunStages
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.tables import GROUP_BYTES
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.engine import ThreadEngine
from gristmill.flows.pipeline.estimate import Rates, beside_stages
from gristmill.flows.pipeline.ingest import files_of_one_core
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.jobs import Job
from gristmill.flows.pipeline.latest_tokenizer import with_latest_tokenizer
from gristmill.flows.pipeline.listed_inputs import digests_of, listed_inputs
from gristmill.flows.pipeline.locking import build_lock
from gristmill.flows.pipeline.open_context import home, run_stages, store_of
from gristmill.flows.pipeline.progress import SilentReporter
from gristmill.flows.pipeline.publish import train_key
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.run_report import RunReport
from gristmill.flows.pipeline.running import run_stage
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.work_sizes import WorkSizes

PROCESS_BYTES = 450 << 20  # interpreter, Arrow, numba, tokenizers
GROUPS_IN_FLIGHT = 6  # a row group, its kernels' scratch and its output, per worker


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage's parts; ``known`` is False where they depend on an output that does not exist yet."""

    parts: int
    compute: int
    reuse: int
    cpu_seconds: float
    seconds: float  # on as many cores as there are workers, when nothing else runs
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    """Parts of a stage, and how many of them the store has."""

    parts: int
    reuse: int
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

    found: dict[str, _Found] = field(default_factory=dict)

    def compute(
        self,
        name: str,
        jobs: Sequence[Job],
        *,
        here: bool = False,  # noqa: ARG002
        accept: Callable[[], None] | None = None,  # noqa: ARG002  it looks at parts, and may delete some
    ) -> Manifest:
        """Count the parts that the store has and those it lacks."""
        found = [self.store.find(name, job.key) for job in jobs]
        self.found[name] = _Found(len(jobs), sum(receipt is not None for receipt in found))
        parts = [receipt or Receipt(name, job.key, 0, {}, {}, ()) for receipt, job in zip(found, jobs, strict=True)]
        manifest = Manifest(name, tuple(parts))
        self.run.write_manifest(manifest)
        return manifest

    def compare(self, name: str, parts: Sequence[Receipt]) -> None:
        """Nothing lies in a run that has no directory."""

    def place(self, name: str, *parts: Receipt) -> None:
        """Likewise."""

    def file(self, stage: str, name: str, part: int = 0) -> Path:
        """A file of a part that exists; StoreError for one that is only planned."""
        receipt = self.run.manifest(stage).parts[part]
        if not receipt.files:
            raise StoreError(f"{stage} is not computed yet")
        return self.store.folder(receipt) / name


class _DryReport(RunReport):
    """Writes nothing, and leaves what is maintained as it is."""

    def record(self, manifest: Manifest, reused: int, seconds: float) -> None:
        pass

    def maintain(self, name: str, work: Callable[[], Any]) -> None:
        pass


def plan_run(recipe_path: Path) -> dict[str, Any]:
    """What ``gristmill run`` would do, with an estimate of CPU seconds, seconds and peak memory."""
    checked = with_latest_tokenizer(load_recipe(recipe_path), home() / "runs")
    recipe = checked.recipe
    inputs = listed_inputs(checked, home(), digests_of(home(), recipe))  # it writes nothing, so nothing is learnt
    run = DryRun(home() / "runs" / recipe.name / build_lock(checked, inputs).run_id, run_stages(checked))
    engine = ThreadEngine(recipe.engine.workers)
    report = _DryReport(run, SilentReporter())
    context = DryContext(recipe, checked.stages, run, store_of(recipe), engine, report, inputs)
    for stage in checked.stages:
        if not _planned(context, stage):
            context.found[stage.name] = _Found(1, 0, known=False)
    plans, beside = _estimate(context)
    cpu_seconds = sum(plan.cpu_seconds for plan in plans.values()) + sum(beside.values())
    return {
        "run": str(run.path),
        "input_bytes": input_bytes(inputs),
        "stages": {name: asdict(plan) for name, plan in plans.items()},
        "beside": {name: round(seconds, 1) for name, seconds in beside.items()},
        "cpu_seconds": round(cpu_seconds, 1),
        "seconds": round(sum(plan.seconds for plan in plans.values()) + sum(beside.values()), 1),
        "one_core": files_of_one_core(context),
        "peak_bytes": PROCESS_BYTES + engine.workers * GROUPS_IN_FLIGHT * GROUP_BYTES,
    }


def _estimate(context: DryContext) -> tuple[dict[str, StagePlan], dict[str, float]]:
    """Every stage of the recipe, and what a run costs beside stages."""
    manifests = [context.run.manifest(name) if context.run.has(name) else None for name in ("documents", "decide")]
    sizes = WorkSizes(context.recipe, context.inputs, *manifests)
    rates, plans = Rates.of_home(home()), dict[str, StagePlan]()
    for stage in context.stages:
        if (found := context.found.get(stage.name)) is None:
            continue  # nothing to do, such as no spans to merge
        compute = found.parts - found.reuse
        cpu_seconds = rates.seconds(stage, sizes.of(stage)) * compute / max(found.parts, 1)
        beside_each_other = min(context.engine.workers, max(compute, 1))
        seconds = round(cpu_seconds / beside_each_other, 1)
        plans[stage.name] = StagePlan(
            found.parts, compute, found.reuse, round(cpu_seconds, 1), seconds, known=found.known
        )
    return plans, beside_stages(context.stages, sizes, rates.machine)


def _planned(context: DryContext, stage: Instance) -> bool:
    """False where the stage needs the content of an output that does not exist yet."""
    try:
        if stage.name in ("train", "card"):
            return _published(context, stage)
        run_stage(context, stage)
    except (StoreError, FileNotFoundError, MissingManifestError):
        return False
    return True


def _published(context: DryContext, stage: Instance) -> bool:
    """Of a stage that leaves its output in the run directory: whether it stands there, made from the same."""
    if not all(one.known and one.reuse == one.parts for one in context.found.values()):
        return False
    run = RunDir(context.run.path)
    if not run.has(stage.name) or (stage.name == "train" and _key_of(run) != train_key(context, stage)):
        return False
    context.found[stage.name] = _Found(1, 1)
    return True


def _key_of(run: RunDir) -> str:
    return run.manifest("train").parts[0].key


def input_bytes(inputs: Inputs) -> int:
    """Bytes of all input files as they lie on disk."""
    return sum(file.bytes for files in inputs.files.values() for file in files)
