"""Opening a run context: from a recipe, to run it; or from a finished run, to ask it something or go on with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gristmill.corpus.entry_check import EntryWatch
from gristmill.corpus.errors import StoreError
from gristmill.corpus.extras import installed_versions
from gristmill.corpus.files import json_text
from gristmill.corpus.home import home
from gristmill.corpus.memory import give_back
from gristmill.corpus.recipe_file import read_recipe
from gristmill.corpus.remote import open_store
from gristmill.corpus.run_stages import STAGES_FILE, RunStages
from gristmill.corpus.rundir import JOURNAL, PLUGINS, RECIPE_FILE, TAKEDOWN, RunDir
from gristmill.corpus.store import Store
from gristmill.corpus.store_use import using
from gristmill.corpus.unfinished import END, sweep
from gristmill.corpus.writer_lock import WriterLock
from gristmill.data_cards.parts.environment import FILE as ENVIRONMENT_FILE
from gristmill.data_cards.parts.environment import PACKAGES
from gristmill.flows.pipeline.catalogue import Catalogue
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.engine import ThreadEngine, open_engine
from gristmill.flows.pipeline.former_names import Names
from gristmill.flows.pipeline.healing import Healing
from gristmill.flows.pipeline.latest_tokenizer import FILE as TOKENIZER
from gristmill.flows.pipeline.latest_tokenizer import with_latest_tokenizer, with_tokenizer
from gristmill.flows.pipeline.listed_inputs import DIFFERING, DIGESTS_FILE, digests_of, doubted, listed_inputs
from gristmill.flows.pipeline.locking import build_lock
from gristmill.flows.pipeline.plugged_in import kept_in, name_of, plugged_in
from gristmill.flows.pipeline.progress import Reporter, SilentReporter
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import (
    CheckedRecipe,
    catalogue_with,
    load_recipe,
    parse_stored,
    stored_recipe,
)
from gristmill.flows.pipeline.run_notes import drop_damaged, other_than_locked
from gristmill.flows.pipeline.run_report import RunReport
from gristmill.flows.pipeline.run_state import state_kept
from gristmill.sources.digest_cache import DigestCache


def store_of(recipe: Recipe) -> Store:
    """The store that the recipe names, else the one in the home."""
    return _store_at(recipe.store.path or str(home() / "store"), home() / "cache")


def store_of_run(run: RunDir, recipe: Recipe) -> Store:
    """The store of a run: the recipe's, else the one in the home that the run stands in."""
    above = run.path.resolve().parents
    base = above[2] if len(above) > 2 and (above[2] / "store").is_dir() else home()
    return _store_at(recipe.store.path or str(base / "store"), base / "cache")


def _store_at(url: str, cache: Path) -> Store:
    """A store by its whole path, since a worker of a cluster may stand in another folder."""
    return open_store(url if "://" in url else str(Path(url).absolute()), cache.absolute())


@contextmanager
def open_recipe(
    recipe: Path, *, reporter: Reporter | None = None, engine: Mapping[str, Any] | None = None
) -> Iterator[RunContext]:
    """Open a recipe file; see ``open_checked``."""
    with open_checked(load_recipe(recipe), reporter=reporter, engine=engine) as context:
        yield context


@contextmanager
def open_checked(
    checked: CheckedRecipe,
    *,
    reporter: Reporter | None = None,
    engine: Mapping[str, Any] | None = None,
    names: Names | None = None,
) -> Iterator[RunContext]:
    """List a recipe's inputs, lock its run directory, and give the context to the caller.

    Parameters
    ----------
    engine : values over the recipe's [engine], such as {"workers": 1}; they never change the result
    names : of a card, for sources with ``renamed``; those of the latest run where they are left out
    """
    checked = with_latest_tokenizer(checked, home() / "runs")
    recipe = checked.recipe
    if engine:
        recipe = recipe.model_copy(update={"engine": recipe.engine.model_copy(update=dict(engine))})
    reporter = reporter or SilentReporter()
    digests = digests_of(home(), recipe)
    with reporter.stage("inputs", 0):  # reads every byte once, but of files that are as they were
        inputs = listed_inputs(checked, home(), digests, names)
    lock, described = build_lock(checked, inputs), _description(checked)
    store = store_of(recipe).watched(EntryWatch())
    with ExitStack() as held:
        held.enter_context(using(store.root))
        found_before = list(
            other_than_locked(RunDir(home() / "runs" / recipe.name / lock.run_id), lock, checked.plugins)
        )
        run = RunDir.create(home() / "runs", recipe.name, checked.text, lock, checked.plugins)
        _refuse_after_takedown(run)
        held.enter_context(WriterLock(run.path))
        healing = _noted(run, digests, found_before)
        run.describe(described)
        held.enter_context(state_kept(run))
        held.enter_context(doubted(digests))
        if digests is not None:
            digests.save()
        run.sweep()
        sweep(path for folder in (home(), run.path.parent) for path in folder.glob(f".*{END}"))
        store.sweep()
        del lock  # and what the list of inputs took to be made: 100 MB of 100,000 files
        give_back()
        worker = open_engine(recipe.engine)
        report = RunReport(run, reporter)
        for error in store.scrub(recipe.store.scrub_bytes):
            healing.discard(store, run, error)
        try:
            yield RunContext(recipe, checked.stages, run, store, worker, report, inputs, described, healing)
        finally:
            worker.close()


def _noted(run: RunDir, digests: DigestCache | None, found: Sequence[tuple[str, str]]) -> Healing:
    """What is damaged before the first stage: what was ``found``, small files, which are dropped, digests of inputs."""
    healing = Healing()
    for what, wrong in (*found, *drop_damaged(run)):
        healing.note(what, wrong)
    if digests is not None and digests.is_damaged:
        healing.note(DIGESTS_FILE, "it was damaged: every input was read again")
    for path in digests.differing if digests else ():
        healing.note(path, DIFFERING)
    return healing


def _description(checked: CheckedRecipe) -> dict[str, str]:
    """The files of a run that decide no byte of its corpus and that its card repeats."""
    return {
        RECIPE_FILE: checked.text,
        STAGES_FILE: json_text(run_stages(checked).to_json()),
        ENVIRONMENT_FILE: json_text(installed_versions(PACKAGES)),
    }


def run_stages(checked: CheckedRecipe) -> RunStages:
    """What is kept of a recipe's stages in its run."""
    return RunStages.of([(one.name, one.spec) for one in checked.stages], checked.catalogue.specs)


def _refuse_after_takedown(run: RunDir) -> None:
    if (run.path / JOURNAL).exists():
        raise StoreError(
            f"a takedown of {run.path} was stopped, and a run would bring its documents back. Carry it on with "
            "`gristmill takedown RUN --ids FILE`, or delete the run directory."
        )
    if run.was_taken_down:
        lost = "" if (run.path / TAKEDOWN).exists() else f" ({TAKEDOWN}, which says which, is missing)"
        raise StoreError(
            f"documents were taken down from {run.path}{lost}, and its inputs still hold them: a run would bring them "
            "back. Remove them from the inputs, which makes another run, or delete the run directory."
        )


@contextmanager
def reopen_run(
    run_path: Path, *, reporter: Reporter | None = None, plugins: bool = False, first_format: bool = False
) -> Iterator[RunContext]:
    """Open a finished run again, without looking at its inputs; for training, cards and questions.

    Parameters
    ----------
    plugins : load the run's plug-ins, as it keeps them; only what measures documents again needs their code
    first_format : whether a run of version 0.1.0 will do
    """
    run = _open(run_path, first_format)
    with WriterLock(run.path):
        yield _context_of(run, reporter or SilentReporter(), plugins)


def read_run(run_path: Path, *, first_format: bool = False) -> RunContext:
    """A run for questions that write nothing in it.

    No lock is taken: it can be asked while a writer is at work, and where it lies on a disk that is only read. What a
    manifest names is complete; a stage that the writer has not finished is one that the run does not have yet.

    Parameters
    ----------
    first_format : whether a run of version 0.1.0 will do
    """
    return _context_of(_open(run_path, first_format), SilentReporter())


def _open(run_path: Path, first_format: bool) -> RunDir:
    run = RunDir.open(run_path)
    if not first_format and run.brief_lock.format == 1:
        raise StoreError(
            f"{run.path} was made by gristmill 0.1.0. verify, explain, trace and takedown read it as it is; for all "
            f"else run its recipe again: `gristmill run {run.path / 'recipe.toml'}`"
        )
    return run


def _context_of(run: RunDir, reporter: Reporter, plugins: bool = False) -> RunContext:
    text, name = read_recipe(run.path / "recipe.toml"), str(run.path / "recipe.toml")
    recipe, catalogue = stored_recipe(text, name), Catalogue()
    if plugins and run.brief_lock.plugins:
        catalogue = kept_catalogue(run, recipe)
        recipe = parse_stored(text, name, catalogue)
    recipe = with_tokenizer(recipe, run.path / TOKENIZER)  # its own copy: the run that trained it may be gone
    engine = ThreadEngine(recipe.engine.workers)
    stages, report = catalogue.stages_of(recipe), RunReport(run, reporter)
    return RunContext(recipe, stages, run, store_of_run(run, recipe), engine, report)


def kept_catalogue(run: RunDir, recipe: Recipe) -> Catalogue:
    """The catalogue with the plug-ins that a run keeps: those that its recipe names, then those that were announced."""
    locked = run.brief_lock.plugins
    find = kept_in(run.path / PLUGINS, locked)
    named = [name for name in recipe.plugins if name_of(name) in locked]
    announced = sorted(set(locked) - {name_of(name) for name in named})
    return catalogue_with([plugged_in(find(name)) for name in (*named, *announced)])


def stages_of_run(run: RunDir) -> RunStages:
    """The stages of a finished run, in order; of a run of version 0.1.0 those that its recipe asks for."""
    recipe_file = run.path / "recipe.toml"
    if not recipe_file.exists() or (run.path / STAGES_FILE).exists():
        return run.stages
    recipe, catalogue = stored_recipe(read_recipe(recipe_file), str(recipe_file)), Catalogue()
    return RunStages.of([(one.name, one.spec) for one in catalogue.stages_of(recipe)], catalogue.specs)


def without_index(recipe: Recipe) -> Recipe:
    """The same recipe, which keeps no band index; the corpus is the same."""
    near = recipe.dedup.near.model_copy(update={"index": None})
    return recipe.model_copy(update={"dedup": recipe.dedup.model_copy(update={"near": near})})
