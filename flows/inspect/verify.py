"""``gristmill verify``: does a run hold what it promises? Every check looks at the files again."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import GristmillError
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import STAGES
from gristmill.corpus.store import check_files
from gristmill.flows.pipeline.context import Mill, reopen_mill
from gristmill.flows.pipeline.signal_tables import measured_files


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


def verify_run(run_path: Path) -> dict[str, Any]:
    """Check conservation, receipts, alignment, shards, plan, consumption and card of a run."""
    with reopen_mill(run_path) as mill:
        checks = [check for group in CHECKS for check in group(mill)]
    return {
        "run": str(run_path),
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def _stages(mill: Mill) -> Iterator[Manifest]:
    return (mill.run.manifest(stage) for stage in STAGES if stage != "train" and mill.run.has(stage))


def _attempt(name: str, detail: str, action: Callable[[], Any]) -> Check:
    try:
        action()
    except (GristmillError, OSError) as error:
        return Check(name, False, str(error))
    return Check(name, True, detail)


def check_accounts(mill: Mill) -> Iterator[Check]:
    """In = kept + dropped + merged, for every stage and source."""
    for manifest in _stages(mill):
        for source, account in manifest.accounts.items():
            detail = f"{account.documents_in} = {account.documents_kept} + {account.documents_dropped} + "
            detail += f"{account.documents_merged} documents; {account.bytes_in} bytes"
            name = f"conservation {manifest.stage} {source}"
            yield _attempt(name, detail, lambda s=source, a=account, m=manifest: check_conservation(m.stage, {s: a}))


def check_chain(mill: Mill) -> Iterator[Check]:
    """What one stage passes on is what the next one takes in, source by source."""
    chain = [stage for stage in ("documents", "signals", "decide", "edits", "tokens") if mill.run.has(stage)]
    for before, after in pairwise(chain):
        given, taken = mill.run.manifest(before).accounts, mill.run.manifest(after).accounts
        for source, account in given.items():
            received = taken[source].documents_in if source in taken else 0
            detail = f"{account.documents_kept} given, {received} taken"
            yield Check(f"hand-on {before} -> {after} {source}", account.documents_kept == received, detail)


def check_edits(mill: Mill) -> Iterator[Check]:
    """The spans of every kept document, counted again: each cut byte has one reason, and all add up to the account."""
    from gristmill.corpus.span_tables import MASK
    from gristmill.flows.pipeline.edits import count_reasons

    if not mill.run.has("edits"):
        return
    manifest, decided = mill.run.manifest("edits"), mill.run.manifest("decide").accounts
    found = count_reasons(pq.read_table(mill.file("edits", "kept.parquet")))
    told = manifest.parts[0].facts["by_reason"]
    yield Check("edits by reason", found == told, f"{sum(map(len, found.values()))} reasons of {len(found)} sources")
    for source, account in manifest.accounts.items():
        cut = sum(one["bytes"] for reason, one in found.get(source, {}).items() if not reason.startswith(MASK))
        detail = f"{cut} bytes by reason, {account.bytes_dropped} dropped"
        yield Check(f"edits {source}", cut == account.bytes_dropped, detail)
        detail = f"{decided[source].bytes_kept} bytes given, {account.bytes_in} taken"
        yield Check(
            f"hand-on of bytes decide -> edits {source}", decided[source].bytes_kept == account.bytes_in, detail
        )


def check_receipts(mill: Mill) -> Iterator[Check]:
    """Every file of every part has the size and sha256 of its receipt."""
    for manifest in _stages(mill):
        files = sum(len(part.files) for part in manifest.parts)
        parts = manifest.parts
        yield _attempt(
            f"receipts {manifest.stage}",
            f"{len(parts)} parts, {files} files",
            lambda parts=parts: [check_files(mill.store.folder(part), part) for part in parts],
        )


def check_alignment(mill: Mill) -> Iterator[Check]:
    """Stages that add columns have exactly the documents' rows, part by part."""
    rows = [part.rows for part in mill.run.manifest("documents").parts]
    for stage in ("signatures", *(stage for stage, _ in measured_files(mill))):
        if mill.run.has(stage):
            found = [part.rows for part in mill.run.manifest(stage).parts]
            yield Check(f"alignment {stage}", found == rows, f"{sum(found)} rows in {len(found)} parts")


def check_shards(mill: Mill) -> Iterator[Check]:
    """Every shard of the run has the digests of its index, whole and batch by batch."""
    from gristmill.handoff.reader import ShardReader

    for stage in ("shards", "heldout"):
        if mill.run.has(stage):
            for folder in sorted((mill.run.path / stage).iterdir()):
                problems = ShardReader(folder).verify()
                yield Check(f"{stage} {folder.name}", not problems, "; ".join(problems) or "digests agree")


def check_plan(mill: Mill) -> Iterator[Check]:
    """The plan loads, names these shards, and covers its samples."""
    from gristmill.corpus.files import file_sha256
    from gristmill.handoff.plan import Plan

    if not mill.run.has("plan"):
        return
    plan = Plan.load(mill.run.path / "plan")
    for domain in plan.domains:
        found = file_sha256(mill.run.path / "shards" / domain.name / "index.json")
        yield Check(f"plan names shards {domain.name}", found == domain.index, found[:16])
    total = sum(plan.counts(0, plan.samples).values())
    yield Check("plan covers its samples", total == plan.samples, f"{total} of {plan.samples} rows")


def check_consumption(mill: Mill) -> Iterator[Check]:
    """What the trainer logged is the plan, row by row, and so tokens by domain exactly."""
    if not mill.run.has("train"):
        return
    from gristmill.handoff.audit import consumed, differences
    from gristmill.handoff.plan import Plan

    log = pq.read_table(mill.run.path / "train" / "consumption.parquet")
    samples = Plan.load(mill.run.path / "plan").samples
    rows = dict(zip(*(column.to_pylist() for column in log["domain"].value_counts().flatten()), strict=True))
    for domain, planned in consumed(mill.run.path, samples).items():
        tokens = mill.recipe.shards.row_tokens
        detail = f"{rows.get(domain, 0) * tokens} tokens consumed, {planned * tokens} planned"
        yield Check(f"consumption {domain}", rows.get(domain, 0) == planned, detail)
    problems = differences(mill.run.path, log)
    yield Check("consumption in order", not problems, "; ".join(problems) or f"{log.num_rows} rows as planned")


def check_card(mill: Mill) -> Iterator[Check]:
    """The card is complete and its numbers are the run's."""
    from gristmill.data_cards.check import check_card as problems_of

    if mill.run.has("card"):
        problems = problems_of(mill.run.path / "card", mill.run, mill.store.folder)
        yield Check("card", not problems, "; ".join(problems) or "complete, numbers agree")


CHECKS = (
    check_accounts,
    check_chain,
    check_edits,
    check_receipts,
    check_alignment,
    check_shards,
    check_plan,
    check_consumption,
    check_card,
)
