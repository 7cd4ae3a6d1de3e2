"""Changed documents in groups that share source, kind, verdicts and reasons; their sums explain both runs' accounts."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from gristmill.corpus.account import Account, Accounts
from gristmill.corpus.errors import ConservationError
from gristmill.filters.decide.evidence import VERDICTS
from gristmill.flows.diff.change_reasons import REASONS, Reasoned, flag
from gristmill.flows.diff.turned_rules import RULE

_KEY = ["source", "kind", "before", "after", *map(flag, REASONS), "turns"]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that is failed in one run alone; the bound that judges the documents in each, None: none does."""

    rule: str
    signal: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Documents that changed alike."""

    source: str
    kind: str  # of ``changed_documents.KINDS``
    before: str  # verdict in the first run, or absent
    after: str
    reasons: tuple[str, ...]  # of ``change_reasons.REASONS``, in their order; empty: unexplained
    rules: tuple[RuleChange, ...]
    documents: int
    ids: tuple[str, ...]  # doc_ids, ascending


def change_groups(reasoned: Reasoned) -> list[ChangeGroup]:
    """The groups, the largest first; every changed document stands in exactly one."""
    rules, turns = _turns(reasoned.turned)
    frame = reasoned.changed.with_row_index("n").join(turns, on="n", how="left", maintain_order="left")
    frame = frame.rename({"verdict_a": "before", "verdict_b": "after"}).with_columns(pl.col("turns").fill_null(""))
    grouped = (
        frame.group_by(_KEY)
        .agg(pl.col("doc_id").sort())
        .sort(pl.col("doc_id").list.len(), *_KEY, descending=[True, *[False] * len(_KEY)])
    )
    return [_group(row, rules) for row in grouped.iter_rows(named=True)]


def _group(row: dict, rules: Sequence[RuleChange]) -> ChangeGroup:
    return ChangeGroup(
        source=row["source"],
        kind=row["kind"],
        before=row["before"],
        after=row["after"],
        reasons=tuple(reason for reason in REASONS if row[flag(reason)]),
        rules=tuple(rules[int(number)] for number in row["turns"].split()),
        documents=len(row["doc_id"]),
        ids=tuple(row["doc_id"]),
    )


def _turns(turned: pl.DataFrame) -> tuple[list[RuleChange], pl.DataFrame]:
    """The distinct changes of rules, and the numbers of those of each document as a text."""
    columns = [*RULE, "before", "after"]
    distinct = turned.select(columns).unique().sort(columns).with_row_index("number")
    numbered = turned.join(distinct, on=columns, nulls_equal=True).sort("n", "number")
    turns = numbered.group_by("n", maintain_order=True).agg(
        pl.col("number").cast(pl.String).str.join(" ").alias("turns")
    )
    return [RuleChange(*row) for row in distinct.select(columns).iter_rows()], turns


def check_explained(groups: Sequence[ChangeGroup], before: Accounts, after: Accounts) -> None:
    """See that the groups explain the difference of the two runs' accounts, source by source and verdict by verdict.

    Parameters
    ----------
    before, after : accounts of ``decide``, from the manifests: counted when the runs were made, not here

    Raises
    ------
    ConservationError : documents are missing among the changes, or stand there twice
    """
    moves: dict[str, Counter[str]] = defaultdict(Counter)
    for group in groups:
        moves[group.source].subtract({group.before: group.documents})
        moves[group.source].update({group.after: group.documents})
    for source in sorted({*before, *after, *moves}):
        for verdict in VERDICTS:
            counts = [_documents(accounts.get(source, Account()), verdict) for accounts in (before, after)]
            if counts[0] + moves[source][verdict] != counts[1]:
                raise ConservationError(
                    f"the changes of source {source!r} do not add up: {counts[0]:,} documents are {verdict} in the "
                    f"first run and {counts[1]:,} in the second, the changes say {moves[source][verdict]:+,}. "
                    "Check both runs with `gristmill verify`; where they pass, this is a defect of gristmill"
                )


def _documents(account: Account, verdict: str) -> int:
    return getattr(account, f"documents_{verdict}")


def count_by(groups: Sequence[ChangeGroup]) -> dict[str, dict]:
    """Documents by kind, by reason (``unexplained`` without one), and by rule; each also by source."""
    found: dict[str, dict] = {"by_kind": {}, "by_reason": {}, "by_rule": {}}
    for group in groups:
        names = [("by_kind", group.kind), *(("by_reason", reason) for reason in group.reasons or ("unexplained",))]
        names += [("by_rule", rule) for rule in group.rules]
        for table, name in names:
            sources = found[table].setdefault(name, Counter())
            sources[group.source] += group.documents
    return found
