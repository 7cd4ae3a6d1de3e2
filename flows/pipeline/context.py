"""A mill: one recipe opened on its inputs, with a store, a run directory, an engine and someone to report to."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.recipe import Recipe
from gristmill.corpus.recipe_file import parse_recipe, read_recipe
from gristmill.corpus.remote import open_store
from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.corpus.store import Store
from gristmill.corpus.writer_lock import WriterLock
from gristmill.flows.pipeline.engine import Engine, ThreadEngine, open_engine
from gristmill.flows.pipeline.inputs import Inputs, list_inputs
from gristmill.flows.pipeline.jobs import Done, Job, Ref
from gristmill.flows.pipeline.lock import build_lock
from gristmill.flows.pipeline.progress import Reporter, SilentReporter


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage cost and where its documents and bytes went."""

    computed: int
    reused: int
    seconds: float
    documents_in: int
    documents_out: int
    bytes_in: int
    bytes_out: int


class Mill:
    """Stage functions take one of these and nothing else."""

    def __init__(
        self, recipe: Recipe, inputs: Inputs | None, run: RunDir, store: Store, engine: Engine, reporter: Reporter
    ):
        self.recipe = recipe
        self._inputs = inputs
        self.run = run
        self.store = store
        self.engine = engine
        self.reports: dict[str, StageReport] = {}
        self.kept_up: dict[str, str] = {}
        self.reporter = reporter

    @property
    def inputs(self) -> Inputs:
        """Listed input files; a reopened run has none."""
        if self._inputs is None:
            raise StoreError("a reopened run does not list its inputs; run the recipe itself")
        return self._inputs

    def stage(self, name: str, jobs: Sequence[Job], *, here: bool = False) -> Manifest:
        """Find or make every part of a stage, then record its manifest from the planned jobs, in their order.

        ``here``: run in this process even when there is a cluster (jobs that hold the mill itself).
        """
        begin = time.perf_counter()
        engine = ThreadEngine(1) if here else self.engine
        with self.reporter.stage(name, len(jobs)) as progress:
            results = engine.run(self.store, jobs, lambda done: progress.advance(_note(done)))
        manifest = Manifest(name, tuple(done.receipt for done in results))
        self.run.write_manifest(manifest)
        self.record(name, manifest, sum(done.reused for done in results), time.perf_counter() - begin)
        return manifest

    def upkeep(self, name: str, work: Callable[[], Any]) -> None:
        """Do what leaves no store entry; what ``work`` returns, if anything, is told and stands in the report."""
        with self.reporter.stage(name, 1) as progress:
            done = work()
            progress.advance(str(done or "in step"))
        self.kept_up[name] = str(done or "in step")

    def record(self, name: str, manifest: Manifest, reused: int, seconds: float) -> None:
        """Keep a stage's report and write all of them to the run."""
        total = list(manifest.accounts.values())
        self.reports[name] = StageReport(
            computed=len(manifest.parts) - reused,
            reused=reused,
            seconds=round(seconds, 3),
            documents_in=sum(a.documents_in for a in total),
            documents_out=sum(a.documents_kept for a in total),
            bytes_in=sum(a.bytes_in for a in total),
            bytes_out=sum(a.bytes_kept for a in total),
        )
        write_json(self.run.path / "report.json", {"stages": self.report_json(), "upkeep": self.kept_up})

    def report_json(self) -> dict[str, Any]:
        """Stage reports as plain JSON."""
        return {name: asdict(report) for name, report in self.reports.items()}

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Any]:
        """Show progress of work that has no parts (training)."""
        with self.reporter.stage(name, total) as progress:
            yield progress

    def file(self, stage: str, name: str, part: int = 0) -> Path:
        """A local path to a file of a finished stage."""
        receipt = self.run.manifest(stage).parts[part]
        return self.store.folder(receipt) / name

    def refs(self, stage: str, name: str) -> list[Ref]:
        """The same file of every part of a stage, for the arguments of a job."""
        return [Ref(receipt, name) for receipt in self.run.manifest(stage).parts]


def _note(done: Done) -> str:
    return "reused" if done.reused else f"{done.seconds:.1f} s"


def _refuse_after_takedown(run: RunDir) -> None:
    if (run.path / TAKEDOWN).exists():
        raise StoreError(
            f"documents were taken down from {run.path}, and its inputs still hold them: a run would bring them back. "
            "Remove them from the inputs, which makes another run, or delete the run directory."
        )


@contextmanager
def reopen_mill(run_path: Path, *, reporter: Reporter | None = None) -> Iterator[Mill]:
    """Open a finished run again, without looking at its inputs; for training, cards and questions."""
    run = RunDir.open(run_path)
    recipe = parse_recipe(read_recipe(run.path / "recipe.toml"), str(run.path / "recipe.toml"))
    with WriterLock(run.path):
        yield Mill(
            recipe,
            None,
            run,
            store_of_run(run, recipe),
            ThreadEngine(recipe.engine.workers),
            reporter or SilentReporter(),
        )


def without_index(recipe: Recipe) -> Recipe:
    """The same recipe, which keeps no band index; the corpus is the same."""
    near = recipe.dedup.near.model_copy(update={"index": None})
    return recipe.model_copy(update={"dedup": recipe.dedup.model_copy(update={"near": near})})


def store_of_run(run: RunDir, recipe: Recipe) -> Store:
    """The store of a run: the recipe's, else the one in the home that the run stands in."""
    root = run.path.resolve().parents[2]
    base = root if (root / "store").is_dir() else home()
    return open_store(recipe.store.path or str(base / "store"), base / "cache")


def home() -> Path:
    """``$GRISTMILL_HOME``, or ``.gristmill`` in the working directory."""
    return Path(os.environ.get("GRISTMILL_HOME", ".gristmill"))


def store_of(recipe: Recipe) -> Store:
    """The store that the recipe names, else the one in the home."""
    return open_store(recipe.store.path or str(home() / "store"), home() / "cache")


@contextmanager
def open_mill(
    recipe: Path, *, reporter: Reporter | None = None, engine: Mapping[str, Any] | None = None
) -> Iterator[Mill]:
    """Open a recipe file; see ``open_mill_text``."""
    with open_mill_text(read_recipe(recipe), str(recipe), reporter=reporter, engine=engine) as mill:
        yield mill


@contextmanager
def open_mill_text(
    text: str,
    name: str,
    *,
    reporter: Reporter | None = None,
    engine: Mapping[str, Any] | None = None,
    index: bool = True,
) -> Iterator[Mill]:
    """Check a recipe and its inputs, lock its run directory, and give the mill to the caller.

    Parameters
    ----------
    text, name : the recipe's TOML and what to call it in messages
    engine : values over the recipe's [engine], such as {"workers": 1}; they never change the result
    index : False leaves the recipe's band index alone, which changes the time and not the result
    """
    recipe = parse_recipe(text, name)
    recipe = recipe if index else without_index(recipe)
    if engine:
        recipe = recipe.model_copy(update={"engine": recipe.engine.model_copy(update=dict(engine))})
    inputs = list_inputs(recipe)
    run = RunDir.create(home() / "runs", recipe.name, text, build_lock(recipe, inputs))
    _refuse_after_takedown(run)
    store = store_of(recipe)
    with WriterLock(run.path):
        run.sweep()
        store.sweep()
        worker = open_engine(recipe.engine)
        try:
            yield Mill(recipe, inputs, run, store, worker, reporter or SilentReporter())
        finally:
            worker.close()
