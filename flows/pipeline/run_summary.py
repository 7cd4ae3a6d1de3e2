"""What a run did, as plain JSON: stages, sources, mixture, training. All numbers come from its manifests."""

from typing import Any

from gristmill.corpus.rundir import RunDir
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


def mixture(run: RunDir) -> dict[str, dict[str, Any]]:
    """Rows, draws, epochs, target and realised share by domain."""
    return run.manifest("plan").parts[0].facts["by_domain"]
