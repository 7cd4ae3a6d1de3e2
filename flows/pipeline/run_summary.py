"""What a run did, as plain JSON: stages, sources, mixture, training. All numbers come from its manifests."""

from collections import Counter
from typing import Any

from gristmill.corpus.facts import read_facts
from gristmill.corpus.rundir import RunDir
from gristmill.filters.decide.language_notices import language_notices
from gristmill.filters.decide.stage import DecideFacts
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.dry_run import learn_rates


def summarise(context: RunContext) -> dict[str, Any]:
    """The result of ``gristmill run``; also remembers the stages' rates for the next estimate."""
    learn_rates(context)
    result = {
        "run": str(context.run.path),
        "stages": context.report.to_json(),
        "maintenance": context.report.maintenance,
        "sources": sources(context.run) if "decide" in context.report.stages else {},
        "mixture": mixture(context.run) if "plan" in context.report.stages else {},
        "notices": list(notices(context.run)) if "decide" in context.report.stages else [],
    }
    if context.run.has("train") and "train" in context.report.stages:
        result["training"] = context.run.manifest("train").parts[0].facts["summary"]
    return result


def sources(run: RunDir) -> dict[str, dict[str, int]]:
    """Documents and bytes of text by source: read, rejected, dropped, merged, kept."""
    read, decided = run.manifest("documents").accounts, run.manifest("decide").accounts
    return {
        name: {
            "documents": account.documents_in,
            "rejected": read[name].documents_dropped,
            "dropped": account.documents_dropped,
            "merged": account.documents_merged,
            "kept": account.documents_kept,
            "bytes_in": account.bytes_in,
            "bytes_kept": account.bytes_kept,
        }
        for name, account in decided.items()
    }


def notices(run: RunDir) -> tuple[str, ...]:
    """What rules made for some languages passed over, where it is more than 1 %, and what was kept but not encoded."""
    manifest = run.manifest("decide")
    facts = read_facts(DecideFacts, manifest.parts[0].facts)
    passed_over = language_notices(facts, sum(account.documents_in for account in manifest.accounts.values()))
    return (*passed_over, *_not_encoded(run))


def _not_encoded(run: RunDir) -> tuple[str, ...]:
    """Conversations that leave nothing to learn, by reason."""
    if not run.has("tokens"):
        return ()
    reasons = Counter[str]()
    for part in run.manifest("tokens").parts:
        reasons.update(part.facts.get("dropped", {}))
    listed = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    return (f"{sum(reasons.values())} kept conversations leave no answer to learn: {listed}.",) if reasons else ()


def mixture(run: RunDir) -> dict[str, dict[str, Any]]:
    """Rows, draws, epochs, target and realised share by domain."""
    return run.manifest("plan").parts[0].facts["by_domain"]
