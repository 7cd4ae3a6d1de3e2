"""What was scanned for: personal data, block lists, lines of boilerplate, evaluation passages."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl

from gristmill.data_cards.reading import Reading
from gristmill.filters.line_edits.stage import LineEditsFacts
from gristmill.filters.lists.stage import BlocklistFacts, ContaminationFacts
from gristmill.filters.pii.stage import PiiFacts


@dataclass(frozen=True, slots=True)
class PiiFinds:
    """Personal data of one kind, what the recipe does with it, and how often it was found in all documents."""

    kind: str
    action: str | None
    finds: int


@dataclass(frozen=True, slots=True)
class Contamination:
    """Passages of one benchmark: found in any document; documents that hold one, dropped (for any reason), kept.

    Those neither dropped nor kept were merged into another document.
    """

    benchmark: str
    passages: int
    too_short: int
    found: int
    documents: int
    dropped: int
    kept: int


@dataclass(frozen=True, slots=True)
class Screens:
    """Over all documents, before any verdict; None for a scan that was not part of the run."""

    pii: tuple[PiiFinds, ...] | None
    blocklist: BlocklistFacts | None
    line_edits: LineEditsFacts | None
    contamination: tuple[Contamination, ...] | None


def screens(reading: Reading, ledger: Path) -> Screens:
    """From receipts, and for benchmark passages from the tables of finds and the ledger."""
    return Screens(
        pii=_pii(reading) if reading.has("pii") else None,
        blocklist=_blocklist(reading) if reading.has("blocklist") else None,
        line_edits=_line_edits(reading) if reading.has("line_edits") else None,
        contamination=_contamination(reading, ledger) if reading.has("contamination") else None,
    )


def _pii(reading: Reading) -> tuple[PiiFinds, ...]:
    actions = reading.recipe.get("pii") or {}
    finds = _added(part.finds for part in reading.facts("pii", PiiFacts))
    return tuple(PiiFinds(kind, actions.get(kind), n) for kind, n in finds.items())


def _blocklist(reading: Reading) -> BlocklistFacts:
    parts = reading.facts("blocklist", BlocklistFacts)
    return BlocklistFacts(**{f.name: sum(getattr(part, f.name) for part in parts) for f in fields(BlocklistFacts)})


def _line_edits(reading: Reading) -> LineEditsFacts:
    parts = reading.facts("line_edits", LineEditsFacts)
    return LineEditsFacts(_added(part.bytes_by_reason for part in parts), sum(part.edited for part in parts))


def _contamination(reading: Reading, ledger: Path) -> tuple[Contamination, ...]:
    """A passage that two parts hold is found once, so the finds of parts are no sum: the table of finds is counted."""
    finds = pl.concat([pl.read_parquet(path) for path in reading.tables("contamination", "passages.parquet")])
    verdicts = pl.read_parquet(ledger, columns=["doc_id", "verdict"]).unique()
    finds = finds.join(verdicts, on="doc_id", how="left")
    documents = pl.col("doc_id")
    counted = finds.group_by("benchmark").agg(
        found=pl.col("passage").n_unique(),
        documents=documents.n_unique(),
        dropped=documents.filter(pl.col("verdict") == "dropped").n_unique(),
        kept=documents.filter(pl.col("verdict") == "kept").n_unique(),
    )
    rows = {row["benchmark"]: row for row in counted.to_dicts()}
    (first, *_) = reading.facts("contamination", ContaminationFacts)
    return tuple(
        Contamination(name, one.passages, one.too_short, *(rows.get(name, {}).get(key, 0) for key in FOUND))
        for name, one in sorted(first.benchmarks.items())
    )


FOUND = ("found", "documents", "dropped", "kept")


def _added(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in many:
        total.update(counts)
    return dict(sorted(total.items()))
