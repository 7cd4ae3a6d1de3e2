"""What two runs came to: shares of domains, tokens, plans and cards. Figures from manifests and stored columns."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from gristmill.corpus.state_files import Record, read_typed
from gristmill.flows.diff.decided_columns import DecidedColumns
from gristmill.flows.diff.made_differently import Differs, differing
from gristmill.flows.diff.turned_rules import Side
from gristmill.flows.pipeline.context import RunContext

MAX_LISTED = 100  # leaves of cards that are named; all are counted
_PLAN = ("samples", "tokens", "document_tokens", "digest")


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure of both runs; None where a run has not come so far."""

    before: Any
    after: Any


def figures(before: Side, after: Side) -> dict[str, Any]:
    """Shares of kept bytes by domain, tokens by domain, plan, and leaves of the cards that differ."""
    cards = differing(*(_card(side.context) for side in (before, after)))
    return {
        "shares": _by_key(_shares(before.columns), _shares(after.columns)),
        "tokens": _by_key(_tokens(before.context), _tokens(after.context)),
        "plan": _by_key(_plan(before.context), _plan(after.context)),
        "card": {"differences": len(cards), "listed": listed(cards)},
    }


def listed(differences: list[Differs]) -> list[dict[str, Any]]:
    """The first of them as JSON."""
    return [asdict(one) for one in differences[:MAX_LISTED]]


def _by_key(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: asdict(Pair(before.get(key), after.get(key))) for key in sorted(before.keys() | after.keys())}


def _shares(columns: DecidedColumns) -> dict[str, float]:
    """Of the bytes that are left of kept documents."""
    kept = columns.documents.lazy().filter(pl.col("verdict") == "kept")
    sums = kept.group_by("domain").agg((pl.col("bytes") - pl.col("cut")).sum()).collect().rows()
    total = sum(n_bytes for _, n_bytes in sums)
    return {domain: n_bytes / total for domain, n_bytes in sums} if total else {}


def _tokens(context: RunContext) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in context.run.manifest("tokens").parts if context.run.has("tokens") else ():
        for domain, tokens in part.facts["tokens"].items():
            found[domain] = found.get(domain, 0) + tokens
    return found


def _plan(context: RunContext) -> dict[str, Any]:
    """Its sums, and rows and realised share of each domain."""
    if not context.run.has("plan"):
        return {}
    facts = context.run.manifest("plan").parts[0].facts
    sums = {name: facts[name] for name in _PLAN if name in facts}
    shares = {f"share.{domain}": one["realised_share"] for domain, one in facts["by_domain"].items()}
    return sums | shares


def _card(context: RunContext) -> dict[str, Any]:
    path = context.run.path / "card" / "card.json"
    return dict(read_typed(Record, path, "`gristmill card RUN` writes it anew")) if path.exists() else {}
