"""``gristmill takedown``: documents removed from a run and its store entries, and the proof that they are gone.

The documents are written again without the named ones; every later stage then runs as it always does, on what
changed, so that the run becomes what it would have been without them: a copy whose representative is gone is elected,
domains are packed and planned again. Only the tokenizer stays, lest every token changes its number, unless its
vocabulary spells a removed text. Old entries are deleted unless another run names them.

The run's raw input files are the user's: a new run of the recipe reads them again. A killed takedown is carried on by
the next one, from the journal that it leaves in the run directory.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gristmill.corpus.entry_check import EntryWatch
from gristmill.corpus.errors import BudgetError, PlanError, StoreError
from gristmill.corpus.files import content_key, read_json, write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.run_stages import STAGES_FILE
from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.corpus.store_use import alone, using
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.home_contents import Home
from gristmill.flows.pipeline.inputs import Inputs, list_artefacts
from gristmill.flows.pipeline.jobs import Job, Ref
from gristmill.flows.pipeline.open_context import read_run, reopen_run, stages_of_run, without_index
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.publish import publish_card
from gristmill.flows.pipeline.running import run_stage
from gristmill.flows.pipeline.stages import Instance, stage_named
from gristmill.flows.takedown import forget
from gristmill.flows.takedown.entries_of_runs import (
    entries_named_by,
    entries_of_others,
    named_by_others,
    superseded,
)
from gristmill.flows.takedown.home_search import HomeSearch, search_home
from gristmill.flows.takedown.index_removal import forget_in_index, hashes_left, index_follows, index_of, lone_hashes
from gristmill.flows.takedown.journal import JOURNAL, RESULT, open_journal, read_result, read_stopped
from gristmill.flows.takedown.other_runs import take_down_in_others
from gristmill.flows.takedown.search import Slices, Vocabulary, file_blocks

NOT_AGAIN = ("documents", "train", "card")  # rewritten, deleted, and written last
CERTIFICATE = Path("train/certificate.json")  # names what was asked for, as takedown.json does
Found = dict[str, Any]


def takedown(
    run_path: Path,
    doc_ids: Sequence[str],
    reporter: Reporter | None = None,
    date: str | None = None,
    *,
    other_runs: bool = False,
) -> dict[str, Any]:
    """Remove documents from a run, search for what is left of them, and write ``takedown.json`` into the run.

    The whole home is searched; what no run names and holds a slice is deleted.

    Parameters
    ----------
    run_path : a run that has its documents at least
    doc_ids : doc_ids or their beginnings, locators, or ids that the input gave; a reject by locator or doc_id
    date : of the record, ISO 8601; today when None. Nothing else depends on it
    other_runs : take the documents down from every other run of the home that has them, before this one

    Returns
    -------
    removed : doc_ids that are gone
    reelected : doc_ids that were not kept before and are now, in place of a removed representative
    rejects : how many rejects lost their head and detail
    copies : doc_ids of documents that stay with exactly the text of a removed one
    rows_rewritten : packed rows, held-out ones among them, of the domains whose rows changed
    entries_deleted : store entries
    entries_of_others : old entries that another run names and that therefore stay, by run
    retrained : "tokenizer" when its vocabulary spelled a removed text, so that all was encoded again
    plan : why the schedule cannot be met any more, else null; the run has neither plan nor card then
    train : true when a training, stale now, was deleted
    index_removed : documents that the recipe's band index held and holds no more
    exports : folders that text of the run was exported to before; their files are not touched
    deleted_from_home : what no run named, or can be made again, and was deleted: entries, logs, results of tuning
    other_runs : documents removed from each other run of the home, or why none were, by its path; where it was asked
    left : files that still hold a 32-byte slice of what only the removed documents contain, with the number of slices

    Raises
    ------
    UnknownNameError : a name that fits neither a document nor a reject
    StoreError : no run there, or an artefact that the stages need is not the one that the run was made with
    """
    date = date or datetime.now(UTC).date().isoformat()
    others = {"other_runs": _from_other_runs(run_path, doc_ids, reporter, date)} if other_runs else {}
    with context_of(run_path, reporter) as context:
        journal = RunDir(context.run.path / JOURNAL)
        names = sorted(set(doc_ids))
        if journal.path.exists():  # a takedown was killed
            before = _names_of(journal)
            result = _carry_out(context, journal, before, date) | others
            names = [name for name in names if name not in before]
            if not names:
                return result
        forget.find_named(document_folders(context, context.run), names)
        open_journal(context.run, journal, names)
        return _carry_out(context, journal, names, date) | others


def _from_other_runs(
    run_path: Path, doc_ids: Sequence[str], reporter: Reporter | None, date: str
) -> dict[str, dict[str, Any]]:
    """The same in the other runs; all are done where a call was killed in this one."""
    context = read_run(run_path, first_format=True)
    if (context.run.path / JOURNAL).exists():
        return {}
    named = forget.find_named(document_folders(context, context.run), sorted(set(doc_ids))).all_doc_ids
    return take_down_in_others(
        context.run, named, _stopped_in, lambda other, names: takedown(other, names, reporter, date)
    )


def _stopped_in(run: RunDir) -> list[str]:
    journal = RunDir(run.path / JOURNAL)
    return list(read_stopped(journal).names) if journal.path.exists() else []


def _names_of(journal: RunDir) -> list[str]:
    stopped = read_stopped(journal)
    if stopped.retraining is not None:
        raise StoreError(f"{journal.path}: a takedown with --retrain was stopped here; run it again with --retrain")
    return list(stopped.names)


@contextmanager
def context_of(run_path: Path, reporter: Reporter | None, *, shared: bool = False) -> Iterator[RunContext]:
    """The run's context, with the digests of its artefacts but without its raw files, which are not read.

    Parameters
    ----------
    shared : other runs may begin inside, since a training that is done again may take days. Else the store is had
        alone: a run at work has read texts that no manifest names yet, and nothing that is found proves them gone

    Raises
    ------
    LockedError : another run uses the store now
    """
    opened = reopen_run(run_path, reporter=reporter, plugins=True, first_format=True)
    with opened as context, _held(context.store.root, shared):
        _ = context.run.exports, context.run.takedowns  # what is written to behind the removal can be read
        context.run.sweep()
        context.store = context.store.watched(EntryWatch())
        context.listed = Inputs({}, list_artefacts(context.stages))
        _check_artefacts(context)
        write_json(context.run.path / STAGES_FILE, stages_of_run(context.run).to_json())  # 0.1.0 kept none
        yield context


@contextmanager
def _held(root: Path, shared: bool) -> Iterator[None]:
    with alone(root):
        if not shared:
            yield
            return
    with using(root):
        yield


def _check_artefacts(context: RunContext) -> None:
    """Changed parts are measured again, with the run's own graph and models or not at all."""
    for stage, locked in context.run.brief_lock.artefacts.items():
        found = context.inputs.of_stage(stage)
        for name, digest in locked.items():
            if name not in found or found[name].digest != digest:
                raise StoreError(
                    f"{context.run.path}: the {name.replace('_', ' ')} of the stage {stage} is not the one that the "
                    "run was made with. Takedown measures the parts that it changes again: put the old file back, or "
                    "run the recipe again"
                )


def document_folders(context: RunContext, run: RunDir) -> list[Path]:
    """The folder of every part of a run's documents."""
    return [context.store.folder(part) for part in run.manifest("documents").parts]


def _carry_out(context: RunContext, journal: RunDir, names: list[str], date: str) -> Found:
    """Each step can be repeated: entries are found again, and what the old ones say is needed until result.json."""
    done = journal.path / RESULT
    if not done.exists():
        write_json(done, {"date": date, **_rewrite(context, journal, names)})
    result = read_result(journal)
    for receipt in superseded(context.run, journal):
        context.store.delete(receipt)
    append_record(context.run, result)
    renew_card(context)
    shutil.rmtree(journal.path)
    return result


def append_record(run: RunDir, result: Found) -> None:
    """Add to takedown.json, once."""
    if result not in run.takedowns:
        write_json(run.path / TAKEDOWN, {"takedowns": [*run.takedowns, result]})


def renew_card(context: RunContext) -> None:
    """A card that tells of the takedown, in place of the one that the search looked at; it adds dates and counts."""
    if not context.run.has("card"):
        return
    (before,) = context.run.manifest("card").parts
    (after,) = publish_card(context, stage_named(context.stages, "card")).parts
    if before.key != after.key and (before.stage, before.key) not in named_by_others(context.run):
        context.store.delete(before)


# ------------------------------------------------------------------------------------------------ the run again


def graph_files(context: RunContext) -> list[Path]:
    """What the run keeps of its graph, which came from no document."""
    manifests = [context.run.manifest(name) for name in ("graph", "names") if context.run.has(name)]
    folders = [context.store.folder(receipt) for manifest in manifests for receipt in manifest.parts]
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def _rewrite(context: RunContext, journal: RunDir, names: list[str]) -> Found:
    parts = document_folders(context, journal)
    named = forget.find_named(parts, names)
    slices_removed = forget.slices_of(parts, named, graph_files(context))
    rejects = forget.rejects_to_blank(parts, named, slices_removed)
    _drop_training(context.run)
    folder, follows = index_of(context), index_follows(context)
    forgotten = forget_in_index(folder, named.all_doc_ids)
    context.compute("documents", document_jobs(journal.manifest("documents"), named.doc_ids, rejects))
    retrained = spells(context, journal, slices_removed)
    plan = _later_stages(context if follows else _leaving_the_index(context), journal, retrained)
    own, lone = superseded(context.run, journal), lone_hashes(parts, named) if follows and folder else []
    return {
        "removed": named.all_doc_ids,
        "reelected": sorted(kept_ids(context, context.run) - kept_ids(context, journal)),
        "rejects": sum(map(len, rejects)),
        "copies": forget.copies_of(parts, named),
        "rows_rewritten": sum(_rows_rewritten(context, journal, stage) for stage in ("shards", "heldout")),
        "entries_deleted": len(own),
        "entries_of_others": entries_of_others(context.run, journal),
        "retrained": "tokenizer" if retrained else None,
        "plan": plan,
        "train": journal.has("train"),
        "index_removed": forgotten,
        "exports": context.run.exports,
        **search_everywhere(context, slices_removed, hashes_left(folder, lone) if follows and folder else []),
    }


def _leaving_the_index(context: RunContext) -> RunContext:
    """Its clusters come from signatures: the index holds a later run's documents, and is not to be taken back."""
    return context.with_recipe(without_index(context.recipe))


def _drop_training(run: RunDir) -> None:
    """The checkpoints have seen the documents, and their plan is gone."""
    shutil.rmtree(run.path / "train", ignore_errors=True)
    _forget_stage(run, "train")


def _forget_stage(run: RunDir, stage: str) -> None:
    (run.path / "manifests" / f"{stage}.json").unlink(missing_ok=True)


def document_jobs(before: Manifest, doc_ids: list[list[str]], rejects: list[list[int]]) -> list[Job]:
    """A new entry for each part that loses something; the others are found under their own key."""
    jobs = []
    for part, gone, blank in zip(before.parts, doc_ids, rejects, strict=True):
        key = content_key(["takedown", forget.VERSION, part.key, gone, blank]) if gone or blank else part.key
        arguments = {"doc_ids": gone, "rejects": blank, "account": part.accounts, "facts": part.facts}
        jobs.append(Job("documents", key, forget.forget_rows, {"part": Ref(part, ""), **arguments}))
    return jobs


def spells(context: RunContext, before: RunDir, slices_removed: Slices) -> bool:
    """True when a word of a vocabulary that was trained on these texts is a slice of a removed one."""
    if not before.has("tokenizer") or context.recipe.tokenizer.given:
        return False
    return slices_removed.count_in(Vocabulary(context.file("tokenizer", "tokenizer.json")).table) > 0


def _later_stages(context: RunContext, before: RunDir, retrain: bool) -> str | None:
    """Run what the run had; returns why there is no plan, if so."""
    problem, lacking = None, set[str]()
    forget_lists(context.run, context.stage_names)
    for stage in context.stages:
        if lacking.intersection(stage.spec.reads):
            _forget_stage(context.run, stage.name)
            continue
        if stage.name in NOT_AGAIN or not before.has(stage.name) or (stage.name == "tokenizer" and not retrain):
            continue
        try:
            run_again(context, stage)
        except PlanError as error:
            problem = str(error)
            lacking.add(stage.name)
            for lost in (stage.name, "card"):  # a card tells of a plan
                shutil.rmtree(context.run.path / lost, ignore_errors=True)
                _forget_stage(context.run, lost)
    if before.has("card") and not problem:
        publish_card(context, stage_named(context.stages, "card"))
    return problem


def run_again(context: RunContext, stage: Instance) -> None:
    """Run a stage; that a source loses documents to a takedown is no defect of its rules."""
    with suppress(BudgetError):
        run_stage(context, stage)


def forget_lists(run: RunDir, names: frozenset[str]) -> None:
    """Runs of version 0.1.0 have a manifest over all classifiers, and one over all references: no stage renews them."""
    for path in (run.path / "manifests").glob("*.json"):
        if path.stem in ("classifiers", "references") and path.stem not in names:
            path.unlink()


def kept_ids(context: RunContext, run: RunDir) -> set[str]:
    """doc_ids that decide keeps; none where it did not run."""
    if not run.has("decide"):
        return set()
    path = context.store.folder(run.manifest("decide").parts[0]) / "kept.parquet"
    return set(pq.read_table(path, columns=["doc_id"])["doc_id"].to_pylist())


def _rows_rewritten(context: RunContext, journal: RunDir, stage: str) -> int:
    """Rows of the domains whose index is another now."""
    if not journal.has(stage):
        return 0
    parts = zip(journal.manifest(stage).parts, context.run.manifest(stage).parts, strict=True)
    indexes = ([read_json(context.store.folder(part) / "index.json") for part in pair] for pair in parts)
    return sum(after["rows"] for before, after in indexes if before != after)


# ------------------------------------------------------------------------------------------------ proof


def search_everywhere(
    context: RunContext, slices_removed: Slices, more: Sequence[dict[str, Any]] = ()
) -> dict[str, list[Any]]:
    """``left`` of the run, of its entries, and of the rest of its home, with ``more``; and what was deleted there."""
    home = Home.of(context.run)
    found = search_home(home, context.run, slices_removed) if home else HomeSearch()
    left = {place["file"]: place for place in [*found.left, *search_left(context, slices_removed), *more]}
    return {"left": list(left.values()), "deleted_from_home": found.deleted}


def search_left(context: RunContext, slices_removed: Slices) -> list[dict[str, Any]]:
    """Files of the run and of its entries that hold a slice, by path; a file with two names is read once."""
    vocabulary = Vocabulary(context.file("tokenizer", "tokenizer.json")) if context.run.has("tokenizer") else None
    left, seen = [], set()
    for path in _files(context):
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        slices = sum(slices_removed.count_in(block) for block in file_blocks(path, vocabulary))
        if slices:
            left.append({"file": str(path), "slices": slices})
    return left


def _files(context: RunContext) -> Iterator[Path]:
    for path in sorted(context.run.path.rglob("*")):
        place = path.relative_to(context.run.path)
        if path.is_file() and place.parts[0] not in (JOURNAL, TAKEDOWN) and place != CERTIFICATE:
            yield path
    folders = [context.store.folder(receipt) for receipt in entries_named_by(context.run).values()]
    for folder in [*folders, *filter(None, [index_of(context)])]:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
