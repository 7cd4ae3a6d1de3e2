"""``gristmill takedown --retrain``: documents and all their copies out of a run, and a model that never saw them.

Plan, packing and tokenizer stay. The pieces of the documents are overwritten with padding, the training goes back to
its last checkpoint from before the first step that drew one of them, and goes on from there: to the bit what a training
from the start on the overwritten rows gives, for the price of the steps behind that checkpoint.

All that can be refused is refused before anything is written. A killed call is carried on by the next one.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.whole_columns import is_in, rows_of
from gristmill.flows.pipeline.assemble import tokenizer_facts
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.open_context import without_index
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.publish import publish_card, seal_training, train_config, train_model
from gristmill.flows.pipeline.stages import Instance, stage_named
from gristmill.flows.takedown import forget, removal
from gristmill.flows.takedown.closure import close
from gristmill.flows.takedown.entries_of_runs import entries_of_others, superseded
from gristmill.flows.takedown.index_removal import forget_in_index, index_of
from gristmill.flows.takedown.journal import (
    JOURNAL,
    RESULT,
    RETRAINING,
    open_journal,
    read_result,
    read_stopped,
)
from gristmill.flows.takedown.overwritten_rows import MASKED, Erasure, overwrite_rows, pieces_of, restamp_plan
from gristmill.flows.takedown.refusals import expect_retrainable, not_covered

VERSION = "1"
STAY = ("documents", "tokenizer", "train", "card")  # rewritten before, kept, retrained and written last
ROWS = ("shards", "heldout")
Found = dict[str, Any]


def takedown_and_retrain(
    run_path: Path, doc_ids: Sequence[str], reporter: Reporter | None = None, date: str | None = None
) -> Found:
    """Remove documents and every copy of them from a run, and make its model one that never saw them.

    Parameters
    ----------
    run_path : a run with a training, finished or not
    doc_ids : doc_ids, locators, or ids that the input gave
    date : of the record, ISO 8601; today when None. Nothing else depends on it

    Returns
    -------
    the keys of ``takedown``, and ``certificate``, which is train/certificate.json too:
    asked, closure : doc_ids; each of the closure with why: asked, exact, near or cut
    first_step : the first step (from 1) that drew a piece; None where no step did
    base_checkpoint : steps done by the checkpoint that the training went on from; 0 = from the start
    digests, final : sha256 of the files of every kept checkpoint, by step, and of the last
    replayed_steps, cost : steps done again, and their price
    not_covered : what stays as it was, in sentences

    Raises
    ------
    UnknownNameError : a name that fits neither a document nor a reject
    StoreError : no training there, a tokenizer that spells the text, a training that began from or learned from a model
        that saw it, or other documents that would be kept or cut otherwise
    TrainError : the checkpoints are of another config or plan than the run's
    """
    date = date or datetime.now(UTC).date().isoformat()
    with removal.context_of(run_path, reporter, shared=True) as context:
        journal, names = RunDir(context.run.path / JOURNAL), sorted(set(doc_ids))
        if journal.path.exists():  # a takedown was killed
            stopped = _stopped(journal)
            result = _carry_out(context, journal, date)
            names = [name for name in names if name not in stopped]
            if not names:
                return result
        _prepare(context, journal, names)
        return _carry_out(context, journal, date)


def _stopped(journal: RunDir) -> list[str]:
    stopped = read_stopped(journal)
    if stopped.retraining is None:
        raise StoreError(f"{journal.path}: a takedown without --retrain was stopped here; run it again without")
    return list(stopped.names)


def _prepare(context: RunContext, journal: RunDir, names: list[str]) -> None:
    """Find what is to be done, refuse what cannot be, and open the journal."""
    from gristmill.handoff.plan import Plan
    from gristmill.trainer.training.rewind import base_before, first_step

    parts = removal.document_folders(context, context.run)
    asked = forget.find_named(parts, names).all_doc_ids
    closure = close(context, asked)
    named = forget.find_named(parts, [*names, *closure])
    expect_retrainable(context, closure, forget.slices_of(parts, named, removal.graph_files(context)))
    masked = {stage: _pieces(context, stage, list(closure)) for stage in ROWS}
    plan = Plan.load(context.run.path / "plan")
    rows = {name: masked["shards"].filter(pc.equal(masked["shards"]["domain"], name))["row"] for name in plan.names}
    config = train_config(context, stage_named(context.stages, "train"))
    first = first_step(plan, {name: column.to_numpy() for name, column in rows.items()}, config.batch_rows)
    base = base_before(context.run.path / "train", config, plan, first)
    found = {"asked": asked, "closure": closure, "first_step": first, "base_checkpoint": base}
    open_journal(context.run, journal, names, **{RETRAINING: found})


def _pieces(context: RunContext, stage: str, doc_ids: list[str]) -> pa.Table:
    if not context.run.has(stage):
        return MASKED.empty_table()
    folders = {domain: context.run.path / stage / domain for domain in context.recipe.domains}
    return pa.concat_tables([pieces_of(folder, domain, doc_ids) for domain, folder in folders.items()])


def _carry_out(context: RunContext, journal: RunDir, date: str) -> Found:
    """Each step can be repeated: entries are found again, and a training goes back once more."""
    done = journal.path / RESULT
    if not done.exists():
        write_json(done, {"date": date, **_rewrite(context, journal)})
    result = read_result(journal)
    for receipt in superseded(context.run, journal):
        context.store.delete(receipt)
    removal.append_record(context.run, {name: value for name, value in result.items() if name != "certificate"})
    removal.renew_card(context)
    shutil.rmtree(journal.path)
    return result


def _rewrite(context: RunContext, journal: RunDir) -> Found:
    stated, parts = read_stopped(journal), removal.document_folders(context, journal)
    assert stated.retraining is not None  # _stopped has looked
    found = dict(stated.retraining)
    closure = list(found["closure"])
    named = forget.find_named(parts, [*stated.names, *closure])
    slices = forget.slices_of(parts, named, removal.graph_files(context))
    rejects = forget.rejects_to_blank(parts, named, slices)
    jobs = removal.document_jobs(journal.manifest("documents"), named.doc_ids, rejects)
    context.compute("documents", jobs)
    _stages_with_old_rows(context.with_recipe(without_index(context.recipe)), journal, closure)
    certificate = _retrain(context, found)
    if journal.has("card"):  # the old one holds samples of rows, and the search looks at it
        publish_card(context, stage_named(context.stages, "card"))
    return {
        "removed": named.all_doc_ids,
        "reelected": [],
        "rejects": sum(map(len, rejects)),
        "copies": [],
        "rows_rewritten": sum(len(set(_pieces_before(context, journal, stage, closure))) for stage in ROWS),
        "entries_deleted": len(superseded(context.run, journal)),
        "entries_of_others": entries_of_others(context.run, journal),
        "retrained": None,
        "plan": None,
        "train": False,
        "replayed_steps": certificate["replayed_steps"],
        "index_removed": forget_in_index(index_of(context), closure),
        "exports": context.run.exports,
        **removal.search_everywhere(context, slices),
        "certificate": certificate,
    }


def _pieces_before(context: RunContext, journal: RunDir, stage: str, doc_ids: list[str]) -> list[tuple[str, int]]:
    """Domain and row of every overwritten piece, from the rows as they were."""
    parts = journal.manifest(stage).parts if journal.has(stage) else ()
    tables = [
        pieces_of(context.store.folder(part), domain, doc_ids)
        for domain, part in zip(context.recipe.domains, parts, strict=bool(parts))
    ]
    return [(row["domain"], row["row"]) for table in tables for row in table.to_pylist()]


# ------------------------------------------------------------------------------------------------ the run again


def _stages_with_old_rows(context: RunContext, before: RunDir, closure: list[str]) -> None:
    """Run what the run had; rows and plan are made from the old ones."""
    checked = False
    for stage in context.stages:
        if stage.name in STAY or not before.has(stage.name):
            continue
        if stage.name in ("tokens", *ROWS) and not checked:
            _expect_others_as_they_were(context, before, closure)
            checked = True
        if stage.name in ROWS:
            _overwrite(context, before, stage, closure)
        elif stage.name == "plan":
            _restamp(context, before, stage, closure)
        else:
            removal.run_again(context, stage)
    removal.forget_lists(context.run, context.stage_names)


def _expect_others_as_they_were(context: RunContext, before: RunDir, closure: list[str]) -> None:
    """Give the run its manifests back and refuse, where another document would now be kept, cut or marked otherwise."""
    then, now = (_others(context, run, closure) for run in (before, context.run))
    if now.equals(then):
        return
    old, new = ({row["doc_id"]: row for row in table.to_pylist()} for table in (then, now))
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    aborted = superseded(before, context.run)  # entries of the manifests that are dropped now
    shutil.copytree(before.path / "manifests", context.run.path / "manifests", dirs_exist_ok=True)
    for receipt in aborted:
        context.store.delete(receipt)
    shutil.rmtree(before.path)
    raise StoreError(
        f"{context.run.path}: without these documents other ones, {len(changed)} in all, would be kept or cut "
        f"otherwise (first {changed[0]}), so the rows that were trained on cannot stay. "
        "Nothing was changed; take down without --retrain"
    )


def _others(context: RunContext, run: RunDir, closure: list[str]) -> pa.Table:
    """What is kept of the documents that stay, in order of doc_id."""
    stage = "edits" if run.has("edits") else "decide"
    path = context.store.folder(run.manifest(stage).parts[0]) / "kept.parquet"
    kept = pq.read_table(path, columns=["doc_id", "domain", "spans", "weight", "heldout"])
    stay = pc.invert(is_in(kept["doc_id"], pa.array(closure, pa.string())))
    kept = kept.filter(stay)
    return rows_of(kept, pc.sort_indices(kept["doc_id"]))


def _overwrite(context: RunContext, before: RunDir, stage: Instance, closure: list[str]) -> Manifest:
    tokens, jobs = [part.key for part in context.run.manifest("tokens").parts], []
    erasure = Erasure(tuple(closure), tokenizer_facts(context).pad_id)
    stated = {"heldout": stage.name == "heldout", **asdict(erasure)}
    old = before.manifest(stage.name).parts
    for domain, part in zip(context.recipe.domains, old, strict=True):
        key = job_key(stage.name, stage.spec.version, [part.key, tokens], retrain=VERSION, domain=domain, **stated)
        arguments = {"shards": Ref(part, ""), "tokens": context.refs("tokens", "tokens.parquet"), "domain": domain}
        arguments |= {"heldout": stated["heldout"], "erasure": erasure}
        jobs.append(Job(stage.name, key, overwrite_rows, arguments))
    manifest = context.compute(stage.name, jobs)
    for domain, receipt in zip(context.recipe.domains, manifest.parts, strict=True):
        context.run.place(context.store.folder(receipt), f"{stage.name}/{domain}")
    return manifest


def _restamp(context: RunContext, before: RunDir, stage: Instance, closure: list[str]) -> Manifest:
    (old,), shards = before.manifest(stage.name).parts, context.run.manifest("shards")
    key = job_key(stage.name, stage.spec.version, [old.key, shards.key], retrain=VERSION)
    folders = {domain: Ref(part, "") for domain, part in zip(context.recipe.domains, shards.parts, strict=True)}
    packed = before.manifest("shards").parts
    tables = [
        pieces_of(context.store.folder(part), domain, closure)
        for domain, part in zip(context.recipe.domains, packed, strict=True)
    ]
    arguments = {"plan": Ref(old, ""), "shards": folders, "masked": pa.concat_tables(tables), "facts": old.facts}
    manifest = context.compute(stage.name, [Job(stage.name, key, restamp_plan, arguments)])
    context.run.place(context.store.folder(manifest.parts[0]), stage.name)
    return manifest


# ------------------------------------------------------------------------------------------------ the training again


def _retrain(context: RunContext, found: Mapping[str, Any]) -> Found:
    """Go back, go on, and write the certificate."""
    from gristmill.trainer.training.checkpoint import saved_steps
    from gristmill.trainer.training.rewind import digests, go_back

    stage, out, began = stage_named(context.stages, "train"), context.run.path / "train", time.process_time()
    go_back(context.run.path, out, train_config(context, stage), found["base_checkpoint"])
    summary = train_model(context, stage).parts[0].facts["summary"]
    replayed = summary["steps"] - found["base_checkpoint"]
    certificate = {
        **found,
        "digests": {str(step): digests(out, step) for step in saved_steps(out / "checkpoints")},
        "final": {"step": summary["steps"], **digests(out, summary["steps"])},
        "replayed_steps": replayed,
        "cost": {
            "steps": summary["steps"],
            "share_spared": 1 - replayed / max(summary["steps"], 1),
            "cpu_seconds": round(time.process_time() - began, 3),
        },
        "not_covered": not_covered(context),
    }
    write_json(context.run.path / removal.CERTIFICATE, certificate)
    seal_training(context, stage)
    return certificate
