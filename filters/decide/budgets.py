"""Budgets of sources: a run stops where a source loses more than its recipe allows, to readers or to rules."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gristmill.corpus.account import Account, Accounts
from gristmill.corpus.errors import BudgetError

if TYPE_CHECKING:
    import pyarrow as pa

Rejects = Mapping[str, Mapping[str, int]]  # by source and reason


def check_budgets(
    accounts: Accounts,
    budgets: Mapping[str, float],
    ledger: "pa.Table | None" = None,
    rejects: Rejects | None = None,
) -> None:
    """Stop when a source lost more of its records, rejected, dropped or merged, than its budget allows.

    Parameters
    ----------
    accounts : of decide, by source; of a source whose records are all rejected there is none
    budgets : by source, share of records, 0 to 1; sources left out may lose all
    ledger : names the rule that took most
    rejects : records that are no documents. What a reader skips (a page of status 404) is none

    Raises
    ------
    BudgetError : names the source, the share, the rule, and the recipe key

    >>> check_budgets({}, {"web": 0.5}, rejects={"web": {"not_json": 0}})
    """
    rejected_by = rejects or {}
    names: set[str] = {*accounts, *rejected_by}
    for source in sorted(names):
        account, reasons = accounts.get(source, Account()), rejected_by.get(source, {})
        rejected = sum(reasons.values())
        lost, records = rejected + account.documents_dropped + account.documents_merged, rejected + account.documents_in
        if lost > budgets.get(source, 1.0) * records:
            taken = {"rejected": rejected, "dropped": account.documents_dropped, "merged": account.documents_merged}
            parts = ", ".join(f"{count} {how}" for how, count in taken.items() if count)
            raise BudgetError(
                f"source {source!r} lost {lost} of {records} {'records' if rejected else 'documents'} "
                f"({lost / records:.1%}: {parts}), more than its budget of {budgets[source]:.1%}"
                f"{_worst_reason(reasons)}{_worst_rule(source, ledger)}. Change "
                f"{'what is rejected' if rejected else 'the rule'}, or set sources.{source}.retention_budget"
            )


def _worst_reason(reasons: Mapping[str, int]) -> str:
    if not any(reasons.values()):
        return ""
    reason, count = min(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"; most were rejected as {reason} ({count} records)"


def _worst_rule(source: str, ledger: "pa.Table | None") -> str:
    if ledger is None:
        return ""
    import polars as pl

    mine = pl.DataFrame(ledger.select(["source", "verdict", "rule", "bound"])).filter(
        pl.col("source") == source, pl.col("verdict") != "kept"
    )
    if mine.is_empty():
        return ""
    counts = mine.group_by("rule", "bound").len().sort(["len", "rule", "bound"], descending=[True, False, False])
    rule, bound, n = counts.row(0)
    return f"; most failed {rule}{' ' + bound if bound else ''} ({n} documents)"
