"""A domain's documents put into buckets before they are packed, so that every row has one: by difficulty, by weight.

Buckets of difficulty hold equal tokens, in ascending order of a stored signal. Inside each, documents of equal or near
weight stand together. What is drawn of each bucket, and when, is the plan's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.tables import read_part
from gristmill.tokenizer.domain_tokens import DomainTokens, gather_domain
from gristmill.tokenizer.pack import Layout, pack_gathered

LEVELS = 16  # of weight, in each bucket of difficulty
LEVEL_ROWS = 8  # rows of a level at least, on average: each bucket ends in a row that is half empty, as a rule


@dataclass(frozen=True, slots=True)
class RowOrder:
    """What the recipe asks of one domain: ``buckets`` of ``signal`` (None: one), and whether documents have weights."""

    domain: str
    signal: str | None = None
    buckets: int = 1
    weighted: bool = False


class Stored(NamedTuple):
    """Tables that the order is read from: kept.parquet, and the signal's table of every documents part, row-aligned."""

    kept: Path
    signals: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class DocumentBuckets:
    """The bucket of each document, int64[n], and what each bucket is, as it stands in the shards' index."""

    bucket: np.ndarray
    described: list[dict[str, Any]]


def pack_ordered(
    tokens: Sequence[Path],
    folder: Path,
    *,
    order: RowOrder,
    stored: Mapping[str, Any],
    vocab_size: int,
    layout: Layout,
) -> Outcome:
    """Write one domain's documents as packed rows, each of one bucket; see ``gristmill.tokenizer.pack.pack_domain``.

    Parameters
    ----------
    stored : fields of ``Stored``

    Raises
    ------
    RecipeError : the domain has fewer rows than buckets
    """
    with gather_domain(tokens, folder, order.domain, False, vocab_size) as gathered:
        values, weights = document_values(gathered, order, Stored(**stored))
        found = document_buckets(gathered.lengths, values, weights, order, layout.row_tokens)
        parts = [gathered.take(np.flatnonzero(found.bucket == number)) for number in range(len(found.described))]
        described = found.described if len(found.described) > 1 else []
        outcome = pack_gathered(gathered, parts, folder, layout=layout, vocab_size=vocab_size, buckets=described)
    unmeasured = int(np.isnan(values).sum()) if order.signal else 0
    return Outcome(outcome.rows, outcome.accounts, {**outcome.facts, "documents_without_signal": unmeasured})


def document_values(gathered: DomainTokens, order: RowOrder, stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """Signal, NaN where it was not measured, and weight of each document, float64[n] both."""
    columns = ["doc_id", "domain", "part", "row", "weight"]
    kept = pq.read_table(stored.kept, columns=columns, filters=pc.field("domain") == order.domain)
    at = pc.index_in(gathered.doc_ids, kept["doc_id"].cast(pa.large_string()).combine_chunks()).to_numpy()
    weights = kept["weight"].to_numpy()[at].astype(np.float64)
    values = np.zeros(len(gathered))
    if order.signal:
        part, row = (kept[name].to_numpy()[at] for name in ("part", "row"))
        for number in np.unique(part).tolist():
            column = read_part(stored.signals[number], [order.signal])[order.signal]
            values[part == number] = column.to_numpy()[row[part == number]]
    return values, weights


def document_buckets(
    lengths: np.ndarray, values: np.ndarray, weights: np.ndarray, order: RowOrder, row_tokens: int
) -> DocumentBuckets:
    """Which bucket each document goes to.

    Parameters
    ----------
    lengths : int64[n], tokens of each document
    values, weights : float64[n]; documents without a value come last

    Raises
    ------
    RecipeError : there are fewer rows than buckets

    >>> found = document_buckets(np.array([8, 8, 8, 8]), np.array([3.0, 1, 4, 2]), np.ones(4), RowOrder("d", "s", 2), 8)
    >>> found.bucket.tolist(), [(one["low"], one["high"]) for one in found.described]
    ([1, 0, 1, 0], [(1.0, 2.0), (3.0, 4.0)])
    """
    most = max(1, int(lengths.sum()) // row_tokens)
    if order.buckets > most:
        text = f"{order.buckets} buckets, but the domain packs to about {most} rows; take fewer"
        raise RecipeError(f"mixing.order.{order.domain}.buckets: {text}")
    group = _equal_parts(lengths, np.argsort(values, kind="stable"), order.buckets)
    level = np.zeros(len(lengths), np.int64)
    for number in np.unique(group) if order.weighted else ():
        at = np.flatnonzero(group == number)
        level[at] = _levels(lengths[at], weights[at], row_tokens)
    kinds, bucket = np.unique(group * LEVELS + level, return_inverse=True)
    groups = np.unique(kinds // LEVELS, return_inverse=True)[1].tolist()
    described = [
        _described(group, values[bucket == number], lengths[bucket == number], weights[bucket == number], order)
        for number, group in enumerate(groups)
    ]
    return DocumentBuckets(bucket, described)


def _equal_parts(sizes: np.ndarray, order: np.ndarray, n: int) -> np.ndarray:
    """int64[len(sizes)]: the part of each, in ``order``, where the middle of each lies in ``n`` parts of equal size."""
    ordered = sizes[order]
    middle = np.cumsum(ordered) - ordered / 2
    found = np.empty(len(sizes), np.int64)
    found[order] = np.minimum(middle * n // max(ordered.sum(), 1), n - 1)
    return found


def _levels(lengths: np.ndarray, weights: np.ndarray, row_tokens: int) -> np.ndarray:
    """Documents of one weight share a level; where there are too many weights, neighbours do."""
    levels = int(min(LEVELS, max(1, lengths.sum() // (LEVEL_ROWS * row_tokens))))
    distinct, place = np.unique(weights, return_inverse=True)
    if len(distinct) <= levels:
        return place
    return _equal_parts(np.bincount(place, weights=lengths), np.arange(len(distinct)), levels)[place]


def _described(
    group: int, values: np.ndarray, lengths: np.ndarray, weights: np.ndarray, order: RowOrder
) -> dict[str, Any]:
    """A bucket for the index; what ``gristmill.mixing.bucket_draws.PackedBucket`` reads, with ``rows``."""
    measured = values[~np.isnan(values)] if order.signal else values[:0]
    low, high = (float(measured.min()), float(measured.max())) if len(measured) else (None, None)
    weight = float(np.average(weights, weights=lengths)) if order.weighted and lengths.sum() else 1.0
    return {"group": group, "weight": weight, "low": low, "high": high}
