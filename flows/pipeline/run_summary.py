"""What a run did, as plain JSON: stages, sources, mixture, training. All numbers come from its manifests."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gristmill.corpus.account import Account, Accounts
from gristmill.corpus.facts import read_facts
from gristmill.corpus.rundir import RunDir
from gristmill.dedup.clusters.stage import Near
from gristmill.filters.decide.language_notices import language_notices
from gristmill.filters.decide.stage import DecideFacts
from gristmill.flows.pipeline.clusters import check_clusters
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.estimate import learn
from gristmill.flows.pipeline.latest_tokenizer import tokenizer_fit
from gristmill.flows.pipeline.open_context import home
from gristmill.flows.pipeline.run_metrics import write_metrics
from gristmill.flows.pipeline.work_sizes import WorkSizes


def summarise(context: RunContext) -> dict[str, Any]:
    """The result of ``gristmill run``; also remembers the stages' rates for the next estimate."""
    if not context.recipe.engine.address:  # what a cluster computes costs this process nothing
        done = (context.run.manifest(name) if context.run.has(name) else None for name in ("documents", "decide"))
        sizes = WorkSizes(context.recipe, context.inputs, *done)
        learn(home(), context.stages, context.report.stages, sizes)
    write_metrics(context.run, context.report.stages)
    context.report.healed = [asdict(one) for one in context.healing.healed] if context.healing else []
    context.report.write()
    result = {
        "run": str(context.run.path),
        "stages": context.report.to_json(),
        "maintenance": context.report.maintenance,
        "healed": context.report.healed,
        "came_from": context.report.came_from,
        "sources": sources(context.run) if "decide" in context.report.stages else {},
        "mixture": mixture(context.run) if "plan" in context.report.stages else {},
        "notices": list(notices(context.run)) if "decide" in context.report.stages else [],
    }
    if fit := tokenizer_fit(context.recipe, context.run, context.report.came_from):
        result["bytes_per_token"] = fit
    if context.run.has("train") and "train" in context.report.stages:
        result["training"] = context.run.manifest("train").parts[0].facts["summary"]
    return result


def sources(run: RunDir) -> dict[str, dict[str, int]]:
    """Documents and bytes of text of every source, one that is rejected whole too, by what became of them.

    ``emptied`` were kept by every rule, but cuts left no text of them; before the stage ``tokens`` this is not known.
    """
    read, decided = run.manifest("documents").accounts, run.manifest("decide").accounts
    left = run.manifest("tokens").accounts if run.has("tokens") else decided
    return {
        name: {
            "documents": account.documents_in,
            "rejected": rejected.documents_dropped,
            "dropped": account.documents_dropped,
            "merged": account.documents_merged,
            "emptied": account.documents_kept - left.get(name, Account()).documents_kept,
            "kept": left.get(name, Account()).documents_kept,
            "bytes_in": account.bytes_in,
            "bytes_kept": left.get(name, Account()).bytes_kept,
        }
        for name, rejected, account in [(name, one, decided.get(name, Account())) for name, one in read.items()]
    }


def notices(run: RunDir) -> tuple[str, ...]:
    """Clusters beyond the budgets of a small corpus; documents that are not encoded; what rules passed over.

    What rules made for some languages passed over is noticed where it is above 1 %. Quotas that weights do not reach.
    Sources without a record; sources of which rules keep nothing; sources with rejected records, by reason.
    """
    manifest = run.manifest("decide")
    facts = read_facts(DecideFacts, manifest.parts[0].facts)
    total = sum(account.documents_in for account in manifest.accounts.values())
    near = Near.model_validate(run.brief_lock.recipe.get("dedup", {}).get("near", {}))
    found = (*check_clusters(run.manifest("clusters"), near), *language_notices(facts, total))
    return (
        *_without_records(run),
        *_rejected(run),
        *found,
        *_nothing_kept(manifest.accounts),
        *_unmet_quotas(facts),
        *_not_encoded(run),
    )


def _without_records(run: RunDir) -> Iterator[str]:
    """Sources whose files hold no record at all: an empty file is often one that did not arrive."""
    accounts = run.manifest("documents").accounts
    for name, (files, n_bytes) in run.brief_lock.sizes.items():
        if files and not accounts.get(name, Account()).documents_in:
            of = f"{files:,} file{'' if files == 1 else 's'}, {n_bytes:,} bytes"
            yield f"{name} holds no record: {of}"


def _rejected(run: RunDir) -> Iterator[str]:
    """How many records of a source became no document, and why; what a format passes over stands apart."""
    manifest = run.manifest("documents")
    wrong, passed = defaultdict[str, Counter[str]](Counter), defaultdict[str, Counter[str]](Counter)
    for part in manifest.parts:  # a part has documents of one source
        for source in part.accounts:
            wrong[source].update(part.facts.get("rejects", {}))
            passed[source].update(part.facts.get("skipped", {}))
    for source, account in manifest.accounts.items():
        of = f"of {account.documents_in:,} records of {source}"
        if found := wrong[source]:
            shows = f"`gristmill samples RUN --rejected --source {source}` shows some"
            yield f"{found.total():,} {of} are rejected: {_by_reason(found)}; {shows}"
        if found := passed[source]:
            yield f"{found.total():,} {of} hold no page and count as rejected: {_by_reason(found)}"


def _by_reason(found: Counter[str]) -> str:
    """Most first.

    >>> _by_reason(Counter(b=1, a=1, c=2))
    '2 c, 1 a, 1 b'
    """
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _nothing_kept(accounts: Accounts) -> Iterator[str]:
    """Sources of which rules drop the most, and duplicates the rest: seldom what was meant."""
    for source, one in accounts.items():
        if one.documents_dropped > one.documents_merged and not one.documents_kept:
            dropped = f"{one.documents_dropped:,} of {one.documents_in:,} documents are dropped"
            yield f"nothing of {source} is kept, {dropped}: `gristmill samples RUN --source {source}` shows why"


def _unmet_quotas(facts: DecideFacts) -> tuple[str, ...]:
    """Types that stay under their quota with every document that names them raised as far as it may be."""
    unmet = [
        f"{kind} {one.drawn:,.1f} of {one.asked:,} ({one.documents:,} documents name it)"
        for kind, one in facts.quotas.items()
        if not one.reached
    ]
    text = "quotas that [knowledge] quota_factor and the tokens of each domain do not reach: "
    return (text + ", ".join(unmet),) if unmet else ()


def _not_encoded(run: RunDir) -> tuple[str, ...]:
    """Kept documents that no row holds: those that cuts left empty, and conversations without an answer to learn."""
    parts = run.manifest("tokens").parts if run.has("tokens") else ()
    without, reasons = Counter[str](), Counter[str]()
    for part in parts:
        dropped = part.facts.get("dropped", {})  # a part has documents of one source
        reasons.update(dropped)
        without.update(dict.fromkeys(part.accounts, sum(dropped.values())))
    counts = {name: source["emptied"] - without[name] for name, source in sources(run).items()}
    emptied = {name: n for name, n in counts.items() if n}
    listed = ", ".join(f"{n:,} of {name}" for name, n in emptied.items())
    text = f"kept documents that are not trained on, since cuts left no text: {listed}"
    why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items()))
    unanswered = f"kept conversations that leave no answer to learn: {why}"
    return (*([text] if emptied else []), *([unanswered] if reasons else []))


def mixture(run: RunDir) -> dict[str, dict[str, Any]]:
    """Rows, draws, epochs, target and realised share by domain."""
    return run.manifest("plan").parts[0].facts["by_domain"]
