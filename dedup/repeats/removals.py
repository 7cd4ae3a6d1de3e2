"""Repeated stretches of text -> a table of spans, with the bytes that they take from every source."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import Account, passed_on
from gristmill.corpus.schema import SPANS
from gristmill.corpus.tables import PartWriter
from gristmill.dedup.copies import PLACE_BITS
from gristmill.dedup.repeats.kept_texts import KeptTexts

_LOW = np.uint64(0xFFFFFFFF)

Intervals = tuple[np.ndarray, np.ndarray]


def unite(places: np.ndarray, n_bytes: np.ndarray) -> Intervals:
    """(starts, stops) of the stretches that cover the same bytes; what overlaps or touches becomes one.

    Parameters
    ----------
    places : uint64, ascending: rank of the document << 32 | first byte
    n_bytes : uint64, 1 or more; no stretch leaves its document

    >>> starts, stops = unite(np.array([2, 4, 9, (1 << 32) + 0], np.uint64), np.array([3, 3, 1, 5], np.uint64))
    >>> starts.tolist(), stops.tolist()
    ([2, 9, 4294967296], [7, 10, 4294967301])
    """
    if not len(places):
        return places, places
    reach = np.maximum.accumulate(places + n_bytes)
    opens = np.flatnonzero(places[1:] > reach[:-1]) + 1
    return places[np.concatenate([[0], opens])], reach[np.concatenate([opens - 1, [len(reach) - 1]])]


def write_spans(path: Path, texts: KeptTexts, stretches: Iterable[Intervals], reason: str) -> tuple[int, np.ndarray]:
    """Write ``gristmill.corpus.schema.SPANS`` in the order of doc_id.

    Parameters
    ----------
    stretches : (starts, stops) as ``unite`` gives them, ascending from block to block, no document in two blocks

    Returns
    -------
    rows, and the removed bytes, int64, a source of ``texts.source_names``
    """
    removed = np.zeros(len(texts.source_names), np.int64)
    with PartWriter(path, SPANS) as writer:
        for starts, stops in stretches:
            ranks = (starts >> PLACE_BITS).astype(np.int64)
            np.add.at(removed, texts.sources[ranks], (stops - starts).astype(np.int64))
            if len(ranks):
                writer.write(_spans_batch(texts.doc_ids, ranks, starts & _LOW, stops & _LOW, reason))
    return writer.rows, removed


def _spans_batch(
    doc_ids: pa.Array, ranks: np.ndarray, starts: np.ndarray, stops: np.ndarray, reason: str
) -> pa.RecordBatch:
    chosen, first = np.unique(ranks, return_index=True)
    bounds = [pa.array(values.astype(np.int32)) for values in (starts, stops)]
    reasons = pa.repeat(pa.scalar(reason), len(ranks))
    spans = pa.StructArray.from_arrays([*bounds, reasons], ["start", "end", "reason"])
    lists = pa.ListArray.from_arrays(pa.array(np.append(first, len(ranks)).astype(np.int32)), spans)
    return pa.record_batch([doc_ids.take(pa.array(chosen)).cast(pa.string()), lists], schema=SPANS)


def accounts_of(texts: KeptTexts, n_bytes: np.ndarray) -> dict[str, Account]:
    """Everything is passed on: a span found here is cut once, with those of other stages, and counted by ``edits``.

    ``n_bytes``: int64 a source.
    """
    n_documents = np.bincount(texts.sources, minlength=len(texts.source_names)).tolist()
    counts = zip(texts.source_names, n_documents, n_bytes.tolist(), strict=True)
    return {source: passed_on(n, size) for source, n, size in counts}


def totals(texts: KeptTexts, counts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Each count added up over all sources, and ``by_source``; for receipts and cards."""
    named = {
        source: {name: int(values[place]) for name, values in counts.items()}
        for place, source in enumerate(texts.source_names)
    }
    return {**{name: int(values.sum()) for name, values in counts.items()}, "by_source": named}
