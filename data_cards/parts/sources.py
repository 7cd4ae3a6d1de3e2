"""What the recipe says about each source, what became of it, and what could not be read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.account import Account
from gristmill.corpus.lock import LockedFile
from gristmill.data_cards.lock_facts import file_counts, source_files
from gristmill.data_cards.reading import Reading
from gristmill.data_cards.wording import flat
from gristmill.sources.stage import DocumentsFacts


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source: as stated, its files, and the outcomes of its records and documents."""

    name: str
    domain: str
    license: str | None
    lang: str | None
    priority: int
    retention_budget: float
    format: str | None
    files: int
    file_bytes: int
    records: int
    rejected: int
    documents: int
    kept: int  # and encoded
    emptied: int  # kept by every rule, but cuts left no text
    merged: int
    dropped: int
    text_bytes: int
    kept_bytes: int  # as it is encoded: after cuts, with the markers of masks
    use: str = "train"  # evaluate: held-out rows alone; blocked: measured and judged, never handed over


@dataclass(frozen=True, slots=True)
class RejectRow:
    """Records of a source that did not become documents for one reason; ``skipped`` ones are no mistakes."""

    source: str
    kind: str  # rejected | skipped
    reason: str
    records: int


def sources(reading: Reading) -> tuple[SourceRow, ...]:
    """One row a source of the recipe, in its order."""
    files, counts = source_files(reading.lock), file_counts(reading.lock)
    stages = [reading.manifest(name).accounts for name in ("documents", "decide", "tokens")]
    return tuple(
        _row(spec, files.get(name, ()), counts.get(name, 0), *(found.get(name, Account()) for found in stages))
        for name, spec in ((spec["name"], spec) for spec in reading.recipe["sources"])
    )


def _row(
    spec: Mapping[str, Any],
    files: tuple[LockedFile, ...],
    count: int,
    read: Account,
    decided: Account,
    encoded: Account,
) -> SourceRow:
    formats = sorted({file.format for file in files if file.format})
    return SourceRow(
        **{key: spec[key] for key in ("name", "domain", "lang", "priority", "retention_budget")},
        license=flat(spec["license"] or "") or None,
        format=spec["format"] or ", ".join(formats) or None,
        files=count,
        file_bytes=sum(file.bytes for file in files),
        records=read.documents_in,
        rejected=read.documents_dropped + read.documents_merged,
        documents=decided.documents_in,
        kept=encoded.documents_kept,
        emptied=decided.documents_kept - encoded.documents_kept,
        merged=decided.documents_merged,
        dropped=decided.documents_dropped,
        text_bytes=decided.bytes_in,
        kept_bytes=encoded.bytes_kept,
        use=spec.get("use", "train"),
    )


def rejects(reading: Reading) -> tuple[RejectRow, ...]:
    """Rejected and skipped records by source and reason; a part of ``documents`` is of one source."""
    counts: Counter[tuple[str, str, str]] = Counter()
    parts = reading.manifest("documents").parts
    for part, facts in zip(parts, reading.facts("documents", DocumentsFacts), strict=True):
        for kind, reasons in (("rejected", facts.rejects), ("skipped", facts.skipped)):
            for reason, records in reasons.items():
                counts[next(iter(part.accounts)), kind, flat(reason)] += records
    return tuple(RejectRow(*key, records) for key, records in sorted(counts.items()))
