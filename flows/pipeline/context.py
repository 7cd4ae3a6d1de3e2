"""The run context: a recipe on its inputs, with its run directory. Stage functions take one and nothing else.

Four doors lead out of it: ``inputs`` (what is read), ``store`` (where outputs are kept), ``engine`` (who computes) and
``report`` (where progress goes). How a context is opened stands in ``open_context``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import json_text
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.seeds import derive_seed
from gristmill.corpus.store import Store
from gristmill.flows.pipeline.engine import Engine, ThreadEngine, Watch
from gristmill.flows.pipeline.healing import Healing, differing
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.jobs import Done, Job, Ref
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.run_report import RunReport, timed
from gristmill.flows.pipeline.stages import Instance


@dataclass
class RunContext:
    """One recipe opened on its inputs."""

    recipe: Recipe
    stages: tuple[Instance, ...]  # that the recipe runs, in order
    run: RunDir
    store: Store
    engine: Engine
    report: RunReport
    listed: Inputs | None = field(default=None, repr=False)
    described: Mapping[str, str] = field(default_factory=dict)  # files of the run that are renewed with its card
    healing: Healing | None = None  # None: what is damaged cannot be made again here

    @property
    def inputs(self) -> Inputs:
        """Listed input files and artefacts; a run that was opened for questions has none."""
        if self.listed is None:
            raise StoreError("a run that is opened for a question does not list its inputs; run the recipe itself")
        return self.listed

    @cached_property
    def stage_names(self) -> frozenset[str]:
        """Names of the stages that the recipe runs."""
        return frozenset(stage.name for stage in self.stages)

    def with_recipe(self, recipe: Recipe) -> "RunContext":
        """The same context with other values in its recipe."""
        return replace(self, recipe=recipe)

    def seed(self, *purpose: str | int) -> int:
        """The seed of a random choice, from the recipe's."""
        return derive_seed(self.recipe.seed, *purpose)

    def compute(
        self, name: str, jobs: Sequence[Job], *, here: bool = False, accept: Callable[[], None] | None = None
    ) -> Manifest:
        """Find or make every part of a stage, then record its manifest from the planned jobs, in their order.

        Parameters
        ----------
        here : run in this process even when there is a cluster (jobs that hold the context itself)
        accept : called when all parts are there and the run does not have them yet; what it raises keeps it so
        """
        cost = timed()
        engine = ThreadEngine(1) if here else self.engine
        with self.report.progress(name, len(jobs), sum(job.n_bytes for job in jobs)) as progress:
            watch = Watch(lambda job: progress.part(job.n_bytes), lambda done: progress.advance(_note(done)))
            results = engine.run(self.store, jobs, watch)
        if accept is not None:
            accept()
        manifest = Manifest(name, tuple(done.receipt for done in results))
        self._note_other_manifest(manifest)
        self.run.write_manifest(manifest)
        self.report.record(manifest, sum(done.reused for done in results), cost())
        return manifest

    def file(self, stage: str, name: str, part: int = 0) -> Path:
        """A local path to a file of a finished stage."""
        receipt = self.run.manifest(stage).parts[part]
        return self.store.folder(receipt) / name

    def place(self, name: str, *receipts: Receipt) -> Path:
        """Hand the files of store entries over: they lie under ``name`` in the run, whatever lay there before."""
        self.compare(name, receipts)
        entries = [self.store.folder(one) for one in receipts]
        return self.run.place(entries[0], name, *entries[1:])

    def compare(self, name: str, receipts: Sequence[Receipt]) -> None:
        """Note what was handed over under ``name`` and is not what the receipts say; it is handed over again next."""
        if self.healing is not None:
            for problem in differing(self.run.path / name, receipts, self.store):
                self.healing.note(name, problem)

    def known_parts(self, stage: str) -> Sequence[Receipt]:
        """The parts of a stage as the run has them by now; none where it is not done, or its manifest is damaged."""
        try:
            return self.run.manifest(stage).parts if self.run.has(stage) else ()
        except (StoreError, ValueError, KeyError, TypeError, AttributeError):
            return ()

    def _note_other_manifest(self, manifest: Manifest) -> None:
        """A run has the same manifest each time, or a damaged one."""
        path = self.run.manifest_path(manifest.stage)
        if self.healing is not None and path.exists() and path.read_bytes() != json_text(manifest.to_json()).encode():
            self.healing.note(f"manifests/{path.name}", "it was not what its receipts say")

    def refs(self, stage: str, name: str) -> list[Ref]:
        """The same file of every part of a stage, for the arguments of a job."""
        return [Ref(receipt, name) for receipt in self.run.manifest(stage).parts]


def _note(done: Done) -> str:
    return "reused" if done.reused else f"{done.seconds:.1f} s"
