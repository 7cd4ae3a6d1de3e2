"""Duplicates: what was asked for, what was found, what was merged; and passages repeated inside documents."""

from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import CardError
from gristmill.data_cards.parts.ledger import MergedKind, merged_by_kind
from gristmill.data_cards.reading import Reading
from gristmill.dedup.clusters.stage import ClustersFacts
from gristmill.dedup.repeats.stage import LinesFacts, SubstringsFacts


@dataclass(frozen=True, slots=True)
class NearScheme:
    """What [dedup.near] of the recipe asks for."""

    off: bool
    threshold: float
    hashes: int
    shingle_words: int


@dataclass(frozen=True, slots=True)
class Dedup:
    """Documents that are duplicates as a whole."""

    scheme: NearScheme
    found: ClustersFacts
    merged: tuple[MergedKind, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Passages that were looked for inside documents; None where that was not asked for."""

    lines: LinesFacts | None
    substrings: SubstringsFacts | None


def dedup(reading: Reading, ledger: Path) -> Dedup:
    """From the recipe, the receipt of ``clusters`` and the ledger."""
    near = reading.recipe["dedup"]["near"]
    found = reading.fact("clusters", ClustersFacts)
    if found is None:
        raise CardError(f"{reading.run.path} has no clusters yet; `gristmill run` its recipe first")
    scheme = NearScheme(*(near[key] for key in ("off", "threshold", "hashes", "shingle_words")))
    return Dedup(scheme, found, merged_by_kind(ledger))


def repeats(reading: Reading) -> Repeats:
    """What ``lines`` and ``substrings`` found."""
    return Repeats(reading.fact("lines", LinesFacts), reading.fact("substrings", SubstringsFacts))
