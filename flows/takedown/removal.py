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

from gristmill.corpus.errors import BudgetError, PlanError, StoreError
from gristmill.corpus.files import content_key, read_json, write_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.flows.pipeline.context import Mill, reopen_mill, without_index
from gristmill.flows.pipeline.inputs import Inputs, list_inputs
from gristmill.flows.pipeline.jobs import Job, Ref
from gristmill.flows.pipeline.progress import Reporter, SilentReporter
from gristmill.flows.pipeline.publish import publish_card
from gristmill.flows.pipeline.stages import REFINE
from gristmill.flows.takedown import forget
from gristmill.flows.takedown.index_removal import forget_in_index, hashes_left, index_follows, index_of, lone_hashes
from gristmill.flows.takedown.search import Slices, Vocabulary, file_blocks

JOURNAL = ".takedown"  # manifests/ as they were, names.json, and result.json once all but the deletion is done
Found = dict[str, Any]


def takedown(
    run_path: Path, doc_ids: Sequence[str], reporter: Reporter | None = None, date: str | None = None
) -> dict[str, Any]:
    """Remove documents from a run, search for what is left of them, and write ``takedown.json`` into the run.

    Parameters
    ----------
    run_path : a run that has its documents at least
    doc_ids : doc_ids, locators, or ids that the input gave; a reject is named by locator or doc_id
    date : of the record, ISO 8601; today when None. Nothing else depends on it

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
    left : files that still hold a 32-byte slice of what only the removed documents said, with the number of slices

    Raises
    ------
    UnknownNameError : a name that fits neither a document nor a reject
    StoreError : no run there, or an artefact that the stages need is not the one that the run was made with
    """
    date = date or datetime.now(UTC).date().isoformat()
    with _mill_of(run_path, reporter) as mill:
        journal = RunDir(mill.run.path / JOURNAL)
        names = sorted(set(doc_ids))
        if journal.path.exists():  # a takedown was killed
            before = read_json(journal.path / "names.json")["names"]
            result = _carry_out(mill, journal, before, date)
            names = [name for name in names if name not in before]
            if not names:
                return result
        forget.find_named(_folders(mill, mill.run), names)
        _open_journal(mill.run, journal, names)
        return _carry_out(mill, journal, names, date)


@contextmanager
def _mill_of(run_path: Path, reporter: Reporter | None) -> Iterator[Mill]:
    """The run's mill, with the digests of its artefacts but without its raw files, which are not read."""
    with reopen_mill(run_path, reporter=reporter) as mill:
        inputs = list_inputs(mill.recipe.model_copy(update={"sources": ()}))
        _check_artefacts(mill, inputs)
        yield Mill(mill.recipe, inputs, mill.run, mill.store, mill.engine, reporter or SilentReporter())


def _check_artefacts(mill: Mill, inputs: Inputs) -> None:
    """Changed parts are measured again, with the run's own graph and models or not at all."""
    for name, digest in mill.run.lock["inputs"].items():
        if name != "files" and inputs.to_json().get(name) != digest:
            raise StoreError(
                f"{mill.run.path}: the {name.replace('_', ' ')} is not the one that the run was made with. Takedown "
                "measures the parts that it changes again: put the old file back, or run the recipe again"
            )


def _folders(mill: Mill, run: RunDir) -> list[Path]:
    return [mill.store.folder(part) for part in run.manifest("documents").parts]


def _open_journal(run: RunDir, journal: RunDir, names: list[str]) -> None:
    aside = journal.path.with_name(f"{JOURNAL}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(run.path / "manifests", aside / "manifests")
    write_json(aside / "names.json", {"names": names})
    aside.rename(journal.path)


def _carry_out(mill: Mill, journal: RunDir, names: list[str], date: str) -> Found:
    """Each step can be repeated: entries are found again, and what the old ones say is needed until result.json."""
    done = journal.path / "result.json"
    if not done.exists():
        write_json(done, {"date": date, **_rewrite(mill, journal, names)})
    result = read_json(done)
    for receipt in _superseded(mill.run, journal):
        mill.store.delete(receipt)
    _append_record(mill.run, result)
    _renew_card(mill)
    shutil.rmtree(journal.path)
    return result


def _append_record(run: RunDir, result: Found) -> None:
    if result not in run.takedowns:
        write_json(run.path / TAKEDOWN, {"takedowns": [*run.takedowns, result]})


def _renew_card(mill: Mill) -> None:
    """A card that tells of the takedown, in place of the one that the search looked at; it adds dates and counts."""
    if not mill.run.has("card"):
        return
    (before,) = mill.run.manifest("card").parts
    (after,) = publish_card(mill).parts
    if before.key != after.key and (before.stage, before.key) not in _named_by_others(mill.run):
        mill.store.delete(before)


# ------------------------------------------------------------------------------------------------ the run again


def _rewrite(mill: Mill, journal: RunDir, names: list[str]) -> Found:
    parts = _folders(mill, journal)
    named = forget.find_named(parts, names)
    said = forget.said_by(parts, named)
    rejects = [
        sorted({*places, *forget.rejects_that_say(part, said)})
        for part, places in zip(parts, named.rejects, strict=True)
    ]
    _drop_training(mill.run)
    folder, follows = index_of(mill), index_follows(mill)
    forgotten = forget_in_index(folder, named.all_doc_ids)
    mill.stage("documents", _document_jobs(journal.manifest("documents"), named.doc_ids, rejects))
    retrained = _spells(mill, journal, said)
    plan = _later_stages(mill if follows else _leaving_the_index(mill), journal, retrained)
    own = _superseded(mill.run, journal)
    return {
        "removed": named.all_doc_ids,
        "reelected": sorted(_kept(mill, mill.run) - _kept(mill, journal)),
        "rejects": sum(map(len, rejects)),
        "copies": forget.copies_of(parts, named),
        "rows_rewritten": sum(_rows_rewritten(mill, journal, stage) for stage in ("shards", "heldout")),
        "entries_deleted": len(own),
        "entries_of_others": _entries_of_others(mill.run, journal),
        "retrained": "tokenizer" if retrained else None,
        "plan": plan,
        "train": journal.has("train"),
        "index_removed": forgotten,
        "left": _search(mill, said) + (hashes_left(folder, lone_hashes(parts, named)) if follows and folder else []),
    }


def _leaving_the_index(mill: Mill) -> Mill:
    """Its clusters come from signatures: the index holds a later run's documents, and is not to be taken back."""
    recipe = without_index(mill.recipe)
    return Mill(recipe, mill.inputs, mill.run, mill.store, mill.engine, mill.reporter)


def _drop_training(run: RunDir) -> None:
    """The checkpoints have seen the documents, and their plan is gone."""
    shutil.rmtree(run.path / "train", ignore_errors=True)
    _forget_stage(run, "train")


def _forget_stage(run: RunDir, stage: str) -> None:
    (run.path / "manifests" / f"{stage}.json").unlink(missing_ok=True)


def _document_jobs(before: Manifest, doc_ids: list[list[str]], rejects: list[list[int]]) -> list[Job]:
    """A new entry for each part that loses something; the others are found under their own key."""
    jobs = []
    for part, gone, blank in zip(before.parts, doc_ids, rejects, strict=True):
        key = content_key(["takedown", forget.VERSION, part.key, gone, blank]) if gone or blank else part.key
        arguments = {"doc_ids": gone, "rejects": blank, "account": part.accounts, "facts": part.facts}
        jobs.append(Job("documents", key, forget.forget_rows, {"part": Ref(part, ""), **arguments}))
    return jobs


def _spells(mill: Mill, before: RunDir, said: Slices) -> bool:
    """True when a word of the vocabulary is a slice of a removed text."""
    if not before.has("tokenizer"):
        return False
    return said.count_in(Vocabulary(mill.file("tokenizer", "tokenizer.json")).table) > 0


def _later_stages(mill: Mill, before: RunDir, retrain: bool) -> str | None:
    """Run what the run had; returns why there is no plan, if so."""
    problem = None
    for name, stage in REFINE.items():
        if name == "documents" or not before.has(name) or (name == "tokenizer" and not retrain):
            continue
        try:
            with suppress(BudgetError):  # a source that loses documents to a takedown is no defect of its rules
                stage(mill)
        except PlanError as error:
            problem = str(error)
            for lost in (name, "card"):  # a card tells of a plan
                shutil.rmtree(mill.run.path / lost, ignore_errors=True)
                _forget_stage(mill.run, lost)
    if before.has("card") and not problem:
        publish_card(mill)
    return problem


def _kept(mill: Mill, run: RunDir) -> set[str]:
    if not run.has("decide"):
        return set()
    path = mill.store.folder(run.manifest("decide").parts[0]) / "kept.parquet"
    return set(pq.read_table(path, columns=["doc_id"])["doc_id"].to_pylist())


def _rows_rewritten(mill: Mill, journal: RunDir, stage: str) -> int:
    """Rows of the domains whose index is another now."""
    if not journal.has(stage):
        return 0
    parts = zip(journal.manifest(stage).parts, mill.run.manifest(stage).parts, strict=True)
    indexes = ([read_json(mill.store.folder(part) / "index.json") for part in pair] for pair in parts)
    return sum(after["rows"] for before, after in indexes if before != after)


# ------------------------------------------------------------------------------------------------ entries and proof


def _entries(run: RunDir) -> dict[tuple[str, str], Receipt]:
    """Every store entry that a run's manifests name; a training is no entry."""
    manifests = [Manifest.from_json(read_json(path)) for path in sorted((run.path / "manifests").glob("*.json"))]
    return {(part.stage, part.key): part for manifest in manifests for part in manifest.parts if part.files}


def _old_entries(run: RunDir, journal: RunDir) -> dict[tuple[str, str], Receipt]:
    now = _entries(run)
    return {place: receipt for place, receipt in _entries(journal).items() if place not in now}


def _superseded(run: RunDir, journal: RunDir) -> list[Receipt]:
    """Old entries that no run names any more."""
    others = _named_by_others(run)
    return [receipt for place, receipt in _old_entries(run, journal).items() if place not in others]


def _named_by_others(run: RunDir) -> set[tuple[str, str]]:
    return {place for other in _other_runs(run) for place in _entries(other)}


def _entries_of_others(run: RunDir, journal: RunDir) -> dict[str, int]:
    old = _old_entries(run, journal).keys()
    shared = {str(other.path): len(old & _entries(other).keys()) for other in _other_runs(run)}
    return {path: n for path, n in shared.items() if n}


def _other_runs(run: RunDir) -> list[RunDir]:
    """The runs beside this one, of all recipes. Runs of another home that share the store are not seen."""
    own = run.path.resolve()
    folders = (lock.parent for lock in sorted(own.parents[1].glob("*/*/lock.json")))
    return [RunDir(folder) for folder in folders if folder != own]


def _search(mill: Mill, said: Slices) -> list[dict[str, Any]]:
    """Files of the run and of its entries that hold a slice, by path; a file with two names is read once."""
    vocabulary = Vocabulary(mill.file("tokenizer", "tokenizer.json")) if mill.run.has("tokenizer") else None
    left, seen = [], set()
    for path in _files(mill):
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        slices = sum(said.count_in(block) for block in file_blocks(path, vocabulary))
        if slices:
            left.append({"file": str(path), "slices": slices})
    return left


def _files(mill: Mill) -> Iterator[Path]:
    for path in sorted(mill.run.path.rglob("*")):
        if path.is_file() and path.relative_to(mill.run.path).parts[0] not in (JOURNAL, TAKEDOWN):
            yield path
    folders = [mill.store.folder(receipt) for receipt in _entries(mill.run).values()]
    for folder in [*folders, *filter(None, [index_of(mill)])]:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
