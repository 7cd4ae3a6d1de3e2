"""Two homes that each ran one recipe, by two versions: which documents are kept in one and not in the other, and why.

    python bench/kept_changes.py OLD_HOME NEW_HOME [--recipe sample] [--json]

A document is known by its id, which source and locator make, so a reader that gives it another text keeps it the same
document. Every document whose verdict changed is counted once, under its source and what decided it before and after:
kept, the rules that it failed, merged, rejected, or absent. ``--json`` lists the ids. Any version's tables can be read.
"""

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl

from gristmill.corpus.files import read_json

ABSENT = "no record"


def table(home: Path, run: Path, stage: str, name: str) -> pl.DataFrame:
    """One table of a stage, all its parts."""
    parts = read_json(run / "manifests" / f"{stage}.json")["parts"]
    paths = [home / "store" / stage / part["key"] / name for part in parts]
    return pl.concat([pl.read_parquet(path) for path in paths if path.exists()], how="diagonal_relaxed")


def reason(verdict: str, rules: list[str]) -> str:
    """What decided: a document that failed rules has a row of the ledger for each."""
    return f"{verdict} by {', '.join(sorted(set(rules)))}" if verdict == "dropped" else verdict


def verdicts(home: Path, recipe: str) -> dict[tuple[str, str], str]:
    """(source, doc_id or locator of a reject) -> what decided."""
    run = next(path for path in sorted((home / "runs" / recipe).iterdir()) if path.is_dir())
    ledger = table(home, run, "decide", "ledger.parquet").with_columns(pl.col("rule").fill_null(""))
    rows = ledger.group_by("source", "doc_id").agg(pl.col("verdict").first(), pl.col("rule"))
    found = {(source, doc_id): reason(verdict, rules) for source, doc_id, verdict, rules in rows.iter_rows()}
    rejects = table(home, run, "documents", "rejects.parquet").select("source", "locator", "reason")
    return found | {(source, locator): f"rejected as {why}" for source, locator, why in rejects.iter_rows()}


def changes(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    """One row for each source and pair of reasons: {source, before, after, documents, ids}."""
    ids: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for source, one in sorted(before.keys() | after.keys()):
        was, now = before.get((source, one), ABSENT), after.get((source, one), ABSENT)
        if was != now and "kept" in (was, now):
            ids[source, was, now].append(one)
    return [
        {"source": source, "before": was, "after": now, "documents": len(found), "ids": found}
        for (source, was, now), found in sorted(ids.items())
    ]


def main() -> None:
    """Print kept documents by source, before and after, and every change under its reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", nargs=2, type=Path)
    parser.add_argument("--recipe", default="sample")
    parser.add_argument("--json", action="store_true", help="one JSON object, with the ids")
    arguments = parser.parse_args()
    before, after = (verdicts(home, arguments.recipe) for home in arguments.homes)
    kept = [Counter(source for (source, _), why in side.items() if why == "kept") for side in (before, after)]
    rows = changes(before, after)
    sources = sorted({source for source, _ in before.keys() | after.keys()})
    for source in sources:  # conservation: the changes explain the difference, document by document
        gained = sum(row["documents"] for row in rows if row["source"] == source and row["after"] == "kept")
        lost = sum(row["documents"] for row in rows if row["source"] == source and row["before"] == "kept")
        assert kept[0][source] + gained - lost == kept[1][source], source
    if arguments.json:
        print(json.dumps({"kept": {s: [kept[0][s], kept[1][s]] for s in sources}, "changes": rows}))
        return
    for source in sources:
        print(f"{source:14} {kept[0][source]:6} -> {kept[1][source]:6}")
        for row in (row for row in rows if row["source"] == source):
            print(f"    {row['documents']:6}  {row['before']}  ->  {row['after']}")


if __name__ == "__main__":
    main()
