"""What the ledger says: verdicts, rules that dropped documents, duplicates that were merged. One query each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

RULE = ("rule", "signal", "bound", "profile")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Documents and bytes of a source and domain with one verdict: kept, dropped or merged."""

    source: str
    domain: str
    verdict: str
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DroppedRule:
    """Documents that failed a rule; ``alone`` counts those that failed no other, so what loosening it brings back."""

    rule: str | None
    signal: str | None
    bound: str | None
    profile: str | None
    documents: int
    bytes: int
    alone: int
    lowest: float | None
    highest: float | None
    sources: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MergedKind:
    """Documents that were merged into a representative by one rule (duplicate_exact, duplicate_near)."""

    rule: str | None
    documents: int
    bytes: int


def verdicts(ledger: Path) -> tuple[Verdict, ...]:
    """By source, domain and verdict; a document counts once, however many rules it failed."""
    once = pl.scan_parquet(ledger).unique("doc_id", keep="any", maintain_order=False)
    counted = once.group_by("source", "domain", "verdict").agg(documents=pl.len(), bytes=pl.col("bytes").sum())
    return tuple(Verdict(**row) for row in counted.sort("source", "domain", "verdict").collect().to_dicts())


def dropped_by_rule(ledger: Path) -> tuple[DroppedRule, ...]:
    """Each rule with the documents and bytes that failed it, most documents first."""
    failed = pl.scan_parquet(ledger).filter(pl.col("verdict") == "dropped")
    finite = pl.col("value").filter(pl.col("value").is_finite())
    failures = failed.group_by("doc_id").agg(failures=pl.len())
    counted = (
        failed.join(failures, on="doc_id")
        .group_by(*RULE, "source")
        .agg(
            documents=pl.len(),
            bytes=pl.col("bytes").sum(),
            alone=(pl.col("failures") == 1).sum(),
            lowest=finite.min(),
            highest=finite.max(),
        )
        .sort(*RULE, "source", nulls_last=True)
        .collect()
    )
    rules = [_rule(group) for group in counted.partition_by(*RULE, maintain_order=True)]
    return tuple(sorted(rules, key=lambda rule: -rule.documents))


def _rule(rows: pl.DataFrame) -> DroppedRule:
    counts = ("documents", "bytes", "alone")
    values = rows.select(
        *RULE, *(pl.col(name).sum() for name in counts), pl.col("lowest").min(), pl.col("highest").max()
    )
    sources = dict(zip(rows["source"].to_list(), rows["documents"].to_list(), strict=True))
    return DroppedRule(**values.row(0, named=True), sources=sources)


def merged_by_kind(ledger: Path) -> tuple[MergedKind, ...]:
    """By rule, in order of name."""
    merged = pl.scan_parquet(ledger).filter(pl.col("verdict") == "merged")
    counted = merged.group_by("rule").agg(documents=pl.len(), bytes=pl.col("bytes").sum()).sort("rule").collect()
    return tuple(MergedKind(**row) for row in counted.to_dicts())
