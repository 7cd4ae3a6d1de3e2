"""Checks of what the stages of a run promise: conservation, receipts, alignment, shards, plan, plug-ins, card."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import PLUGINS, RunDir
from gristmill.corpus.tables import read_part
from gristmill.corpus.use_policy import UsePolicy
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.verify_files import lock_problems, placed_problems, receipt_problems
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.flows.pipeline.plugged_in import is_file, name_of
from gristmill.flows.pipeline.policy_gate import refuse_forbidden
from gristmill.flows.pipeline.run_state import read_state

IN_RUN = ("train",)  # its files lie in the run, not in the store
RUN_FILES = (*IN_RUN, "card")  # they account for no document


def _stages(context: RunContext) -> Iterator[Manifest]:
    names = (name for name in stages_of_run(context.run).names if name not in RUN_FILES)
    return (context.run.manifest(name) for name in names if context.run.has(name))


def _attempt(name: str, detail: str, action: Callable[[], Any]) -> Check:
    try:
        action()
    except (GristmillError, OSError) as error:
        return Check(name, False, str(error))
    return Check(name, True, detail)


def _found(name: str, problems: list[str], detail: str) -> Check:
    return Check(name, not problems, "; ".join(problems) or detail)


def check_lock(context: RunContext) -> Iterator[Check]:
    """The run has the name of its lock, and recipe.toml and stages.json are those of the lock."""
    if context.run.brief_lock.format != 1:
        yield _found("lock", lock_problems(context), "names the run, its recipe and its stages")


def check_finished(context: RunContext) -> Iterator[Check]:
    """Every stage of the recipe that has something to do is done, but for what a takedown has taken with it."""
    if context.run.brief_lock.format == 1:
        return
    stages = stages_of_run(context.run).stages
    gone = _taken_down(context.run) | (frozenset() if any(stage.spans for stage in stages) else {"edits"})
    unfinished = [stage.name for stage in stages if not context.run.has(stage.name) and stage.name not in gone]
    state = read_state(context.run)
    if unfinished == ["train"] and state is not None and state.state == "paused":
        yield Check("finished", True, "every stage is done but train, which waits for `gristmill approve`")
        return
    detail = f"unfinished: {', '.join(unfinished)} not done; `gristmill run` the recipe" if unfinished else ""
    yield Check("finished", not unfinished, detail or "every stage of the recipe is done")


def _taken_down(run: RunDir) -> frozenset[str]:
    """Stages that no run can do again after a takedown: a training, and a plan that nothing is left for."""
    last = run.takedowns[-1] if run.takedowns else {}
    names = stages_of_run(run).names
    without_plan = names[names.index("plan") :] if last.get("plan") and "plan" in names else ()
    return frozenset((*without_plan, *(("train",) if last.get("train") else ())))


def check_receipts(context: RunContext) -> Iterator[Check]:
    """Every leaf of a manifest is the one of its receipts in the store, and every file has their size and sha256."""
    for name in sorted(path.stem for path in (context.run.path / "manifests").glob("*.json")):
        if name not in IN_RUN:
            parts = context.run.manifest(name).parts
            files = sum(len(part.files) for part in parts)
            yield _found(f"receipts {name}", receipt_problems(context, name), f"{len(parts)} parts, {files} files")


def check_accounts(context: RunContext) -> Iterator[Check]:
    """In = kept + dropped + merged, for every stage and source."""
    for manifest in _stages(context):
        for source, account in manifest.accounts.items():
            detail = f"{account.documents_in} = {account.documents_kept} + {account.documents_dropped} + "
            detail += f"{account.documents_merged} documents; {account.bytes_in} bytes"
            name = f"conservation {manifest.stage} {source}"
            yield _attempt(name, detail, lambda s=source, a=account, m=manifest: check_conservation(m.stage, {s: a}))


def check_use(context: RunContext) -> Iterator[Check]:
    """No row holds a document of a blocked source or a forbidden licence; evaluation sources are held out whole."""
    if context.run.has("decide") and context.recipe.use_policy != UsePolicy():
        yield _attempt("use", "nothing that the recipe withholds is handed over", lambda: refuse_forbidden(context))


def check_chain(context: RunContext) -> Iterator[Check]:
    """What one stage passes on is what the next one takes in, source by source."""
    chain = [stage for stage in ("documents", "signals", "decide", "edits", "tokens") if context.run.has(stage)]
    for before, after in pairwise(chain):
        given, taken = context.run.manifest(before).accounts, context.run.manifest(after).accounts
        for source, account in given.items():
            received = taken[source].documents_in if source in taken else 0
            detail = f"{account.documents_kept} given, {received} taken"
            yield Check(f"hand-on {before} -> {after} {source}", account.documents_kept == received, detail)


def check_edits(context: RunContext) -> Iterator[Check]:
    """The spans of every kept document, counted again: each cut byte has one reason, and all add up to the account."""
    from gristmill.corpus.span_tables import MASK
    from gristmill.flows.pipeline.edits import count_reasons

    if not context.run.has("edits"):
        return
    manifest, decided = context.run.manifest("edits"), context.run.manifest("decide").accounts
    found = count_reasons(read_part(context.file("edits", "kept.parquet")))
    stated = manifest.parts[0].facts["by_reason"]
    yield Check("edits by reason", found == stated, f"{sum(map(len, found.values()))} reasons of {len(found)} sources")
    for source, account in manifest.accounts.items():
        cut = sum(one["bytes"] for reason, one in found.get(source, {}).items() if not reason.startswith(MASK))
        detail = f"{cut} bytes by reason, {account.bytes_dropped} dropped"
        yield Check(f"edits {source}", cut == account.bytes_dropped, detail)
        detail = f"{decided[source].bytes_kept} bytes given, {account.bytes_in} taken"
        yield Check(
            f"hand-on of bytes decide -> edits {source}", decided[source].bytes_kept == account.bytes_in, detail
        )


def check_alignment(context: RunContext) -> Iterator[Check]:
    """Stages that add columns have exactly the documents' rows, part by part."""
    rows = [part.rows for part in context.run.manifest("documents").parts]
    for stage in stages_of_run(context.run).stages:
        if stage.by_part and context.run.has(stage.name):
            found = [part.rows for part in context.run.manifest(stage.name).parts]
            yield Check(f"alignment {stage.name}", found == rows, f"{sum(found)} rows in {len(found)} parts")


def check_shards(context: RunContext) -> Iterator[Check]:
    """Every shard of the run has the digests of its index, whole and batch by batch."""
    from gristmill.handoff.reader import ShardReader

    for stage in ("shards", "heldout"):
        if context.run.has(stage):
            for folder in sorted((context.run.path / stage).iterdir()):
                problems = placed_problems(context, f"{stage}/{folder.name}") or ShardReader(folder).verify()
                yield _found(f"{stage} {folder.name}", problems, "digests agree")


def check_tokenizer(context: RunContext) -> Iterator[Check]:
    """The tokenizer of the run is the one whose receipt it has."""
    if context.run.has("tokenizer"):
        yield _found("tokenizer", placed_problems(context, "tokenizer"), "as its receipt says")


def check_plan(context: RunContext) -> Iterator[Check]:
    """The plan is that of its receipt, loads, names these shards, and covers its samples."""
    from gristmill.handoff.plan import Plan

    if not context.run.has("plan"):
        return
    yield _found("plan", placed_problems(context, "plan"), "as its receipt says")
    if context.run.has("pieces"):
        yield _found("plan pieces", placed_problems(context, "plan/pieces"), "as its receipts say")
    plan = Plan.load(context.run.path / "plan")
    for domain in plan.domains:
        found = file_sha256(context.run.path / "shards" / domain.name / "index.json")
        yield Check(f"plan names shards {domain.name}", found == domain.index, found[:16])
        if domain.buckets:
            yield _buckets_agree(context.run.path / "shards" / domain.name, domain.buckets.rows)
    total = sum(plan.counts(0, plan.samples).values())
    yield Check("plan covers its samples", total == plan.samples, f"{total} of {plan.samples} rows")


def _buckets_agree(shards: Path, planned: Sequence[int]) -> Check:
    """The bucket of every row, as the shards hold it, is the one that the plan draws it from."""
    streams = [pa.ipc.open_stream(pa.memory_map(str(path))) for path in sorted(shards.glob("data-*.arrow"))]
    found = np.concatenate([batch.column("bucket").to_numpy() for stream in streams for batch in stream])
    agree = np.array_equal(found, np.repeat(np.arange(len(planned)), planned))
    return Check(f"plan buckets {shards.name}", agree, f"{len(found)} rows in {len(planned)} buckets")


def check_plugins(context: RunContext) -> Iterator[Check]:
    """The files of plug-ins that the run keeps are those of its lock; none of them is loaded."""
    for name in (name_of(name) for name in context.recipe.plugins if is_file(name)):
        path, locked = context.run.path / PLUGINS / f"{name}.py", context.run.brief_lock.plugins[name]
        found = file_sha256(path) if path.is_file() else "missing"
        yield Check(f"plug-in {name}", found == locked.sha256, found[:16])


def check_card(context: RunContext) -> Iterator[Check]:
    """The card is complete and its numbers are the run's."""
    from gristmill.data_cards.check import check_card as problems_of

    if context.run.has("card") and context.run.brief_lock.format == 1:
        yield Check("card", True, "written by gristmill 0.1.0; its numbers are not compared")
    elif context.run.has("card"):
        problems = problems_of(context.run.path / "card", context.run, context.store.folder)
        yield Check("card", not problems, "; ".join(problems) or "complete, numbers agree")
