"""What ledger and kept rows say: which rule dropped how much, and why. One streamed query a table."""

from pathlib import Path
from typing import Any

import polars as pl

RULE = ("rule", "signal", "bound", "profile")


def verdicts(ledger: Path) -> list[dict[str, Any]]:
    """Documents and bytes by source, domain and verdict; a document counts once, however many rules it failed."""
    once = pl.scan_parquet(ledger).unique("doc_id", keep="any", maintain_order=False)
    return (
        once.group_by("source", "domain", "verdict")
        .agg(documents=pl.len(), bytes=pl.col("bytes").sum())
        .sort("source", "domain", "verdict")
        .collect()
        .to_dicts()
    )


def dropped_by_rule(ledger: Path) -> list[dict[str, Any]]:
    """Each rule with the documents and bytes that failed it, by source, most documents first.

    ``alone`` counts the documents that failed this rule and no other: what loosening it would bring back.
    """
    failed = pl.scan_parquet(ledger).filter(pl.col("verdict") == "dropped")
    failures = failed.group_by("doc_id").agg(failures=pl.len())
    counted = (
        failed.join(failures, on="doc_id")
        .group_by(*RULE, "source")
        .agg(
            documents=pl.len(),
            bytes=pl.col("bytes").sum(),
            alone=(pl.col("failures") == 1).sum(),
            lowest=pl.col("value").min(),
            highest=pl.col("value").max(),
        )
        .sort(*RULE, "source", nulls_last=True)
        .collect()
    )
    rules = [_rule(group) for group in counted.partition_by(*RULE, maintain_order=True)]
    return sorted(rules, key=lambda rule: -rule["documents"])


def _rule(rows: pl.DataFrame) -> dict[str, Any]:
    rule = {name: rows[name][0] for name in RULE}
    rule |= {name: int(rows[name].sum()) for name in ("documents", "bytes", "alone")}
    sources = dict(zip(rows["source"].to_list(), rows["documents"].to_list(), strict=True))
    return rule | {"lowest": rows["lowest"].min(), "highest": rows["highest"].max(), "sources": sources}


def merged_by_kind(ledger: Path) -> dict[str, dict[str, int]]:
    """Documents and bytes that were merged into a representative, by rule (duplicate_exact, duplicate_near)."""
    merged = pl.scan_parquet(ledger).filter(pl.col("verdict") == "merged")
    counted = merged.group_by("rule").agg(documents=pl.len(), bytes=pl.col("bytes").sum()).sort("rule").collect()
    return {
        row["rule"] or "not stated": {"documents": row["documents"], "bytes": row["bytes"]}
        for row in counted.to_dicts()
    }
