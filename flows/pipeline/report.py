"""What a run did, as plain JSON: stages, sources, mixture, training. All numbers come from its manifests."""

from typing import Any

from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.dry_run import learn_rates


def summarise(mill: Mill) -> dict[str, Any]:
    """The result of ``gristmill run``; also remembers the stages' rates for the next estimate."""
    learn_rates(mill)
    result = {
        "run": str(mill.run.path),
        "stages": mill.report_json(),
        "upkeep": mill.kept_up,
        "sources": sources(mill),
        "mixture": mixture(mill),
    }
    if mill.run.has("train") and "train" in mill.reports:
        result["training"] = mill.run.manifest("train").parts[0].facts["summary"]
    return result


def sources(mill: Mill) -> dict[str, dict[str, int]]:
    """Documents and bytes of text by source: read, rejected, dropped, merged, kept."""
    if "decide" not in mill.reports:
        return {}
    read, decided = mill.run.manifest("documents").accounts, mill.run.manifest("decide").accounts
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


def mixture(mill: Mill) -> dict[str, dict[str, Any]]:
    """Rows, draws, epochs, target and realised share by domain."""
    if "plan" not in mill.reports:
        return {}
    return mill.run.manifest("plan").parts[0].facts["by_domain"]
