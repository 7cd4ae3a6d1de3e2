"""Spans of bytes to remove or mask: tables of several stages made one, and put into the kept rows.

A span whose reason begins with ``mask:`` leaves a marker behind (``tokenizer.cutting`` cuts and marks), any other
is removed. Here nothing touches text.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus import _kernels_spans
from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import SPAN, SPANS, expect_columns
from gristmill.corpus.whole_columns import index_in, narrow, taken, whole, wide

MASK = "mask:"
ROWS_AT_ONCE = 1 << 20  # documents whose spans are put together in one array
_DOCUMENT_BITS = 32  # a span's ends are int32


def spans_column(n_docs: int, found: np.ndarray, reasons: Sequence[str]) -> pa.ListArray:
    """What a scanner has found, one list of spans for each document.

    Parameters
    ----------
    found : int64[n_spans, 4], by document: its place, start and end in bytes of its text, place in ``reasons``
    reasons : what to write for each

    Raises
    ------
    ValueError : places of documents fall, or a number is out of its range: such a span would be another document's

    >>> spans_column(2, np.array([[1, 0, 4, 0]]), ["c4:blank"]).to_pylist()
    [[], [{'start': 0, 'end': 4, 'reason': 'c4:blank'}]]
    """
    _check_found(n_docs, found, len(reasons))
    starts, ends = (pa.array(found[:, column].astype(np.int32)) for column in (1, 2))
    texts = pa.array(reasons, pa.string()).take(pa.array(found[:, 3]))
    spans = pa.StructArray.from_arrays([starts, ends, texts], fields=list(SPAN))
    offsets = np.searchsorted(found[:, 0], np.arange(n_docs + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), spans, type=pa.list_(SPAN))


def _check_found(n_docs: int, found: np.ndarray, n_reasons: int) -> None:
    if (np.diff(found[:, 0]) < 0).any():
        raise ValueError("spans are not in the order of their documents")
    limits = np.array([n_docs, 1 << 31, 1 << 31, n_reasons])
    if (wrong := ((found < 0) | (found >= limits)).any(axis=1)).any():
        document, start, end, reason = found[wrong][0].tolist()
        raise ValueError(
            f"a span [{start}, {end}) of document {document} with reason {reason}, "
            f"where there are {n_docs} documents and {n_reasons} reasons"
        )


def span_rows(doc_ids: pa.Array, spans: pa.ListArray) -> pa.RecordBatch:
    """Rows of ``corpus.schema.SPANS`` for the documents that have spans."""
    chosen = pc.greater(pc.list_value_length(spans), 0)
    return pa.record_batch([doc_ids.filter(chosen), spans.filter(chosen)], schema=SPANS)


class _Flat(NamedTuple):
    """Spans of all documents on one number line, where document d begins at d << 32."""

    starts: np.ndarray  # int64
    stops: np.ndarray  # int64
    reasons: np.ndarray  # int64

    def take(self, chosen: np.ndarray) -> "_Flat":
        return _Flat(*(values[chosen] for values in self))


def merge_spans(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of what the stages found, by doc_id: sorted, disjoint spans.

    A byte is removed when any table removes it; where two do, the span that starts first gives the reason, then the
    one of the earlier table. Of masks the same is true, but they give way to removals: what is left of a mask, on
    both sides of a removal within it, is masked.

    Parameters
    ----------
    tables : of ``gristmill.corpus.schema.SPANS``; within a table one row per document, its spans in any order

    Returns
    -------
    Table of SPANS, ascending by doc_id, without documents that have no span

    Raises
    ------
    SchemaError : a column is missing, a span ends before it starts, or a table names a document twice

    >>> def table(*spans):
    ...     keys = ("start", "end", "reason")
    ...     return pa.table({"doc_id": ["a"], "spans": [[dict(zip(keys, span)) for span in spans]]}, SPANS)
    >>> merged = merge_spans([table((0, 9, "line")), table((4, 12, "substring"), (2, 20, "mask:EMAIL"))])
    >>> [tuple(span.values()) for span in merged["spans"][0].as_py()]
    [(0, 9, 'line'), (9, 12, 'substring'), (12, 20, 'mask:EMAIL')]
    """
    for table in tables:
        _check(table)
    rows = pa.concat_tables([SPANS.empty_table(), *(table.select(SPANS.names).cast(SPANS) for table in tables)])
    doc_ids = pc.unique(wide(rows["doc_id"]))
    doc_ids = doc_ids.take(pc.sort_indices(doc_ids))
    flat, reasons = _flatten(rows, doc_ids)
    masks = pc.starts_with(reasons, MASK).to_numpy(zero_copy_only=False)[flat.reasons]
    removed = _unite(flat.take(~masks))
    masked = _subtract(_unite(flat.take(masks)), removed)
    return _table(doc_ids, [removed, masked], reasons)


def put_spans(kept: pa.Table, spans: pa.Table) -> pa.Table:
    """``kept`` with the spans of its documents in place of those it had, an empty list where there are none.

    Spans of documents that are not kept are left out.

    Parameters
    ----------
    kept : rows of ``gristmill.corpus.schema.KEPT``, any order
    spans : table of ``gristmill.corpus.schema.SPANS``, as ``merge_spans`` makes it

    Raises
    ------
    SchemaError : a column is missing, or ``spans`` names a document twice
    """
    expect_columns(kept.schema, ("doc_id", "spans"), "the kept table")
    _check(spans)
    none = pa.array([[]], pa.list_(SPAN))
    lists = pa.chunked_array([*spans["spans"].cast(none.type).chunks, none])
    column = taken(lists, pc.fill_null(index_in(kept["doc_id"], spans["doc_id"]), len(spans)))
    at = kept.schema.get_field_index("spans")
    return kept.set_column(at, kept.schema.field(at).with_type(none.type), column)


def _check(table: pa.Table) -> None:
    expect_columns(table.schema, tuple(SPANS.names), "a table of spans")
    if pc.count_distinct(table["doc_id"]).as_py() < len(table):
        raise SchemaError("a table of spans names a document twice; expected one row per document")


def _flatten(rows: pa.Table, doc_ids: pa.Array) -> tuple[_Flat, pa.Array]:
    """The spans that cover at least a byte, by place and then by table, and the texts of their reasons."""
    lists = whole(rows["spans"])
    spans = lists.flatten()
    document = index_in(rows["doc_id"], doc_ids).to_numpy().astype(np.int64)
    base = np.repeat(document << _DOCUMENT_BITS, pc.fill_null(lists.value_lengths(), 0).to_numpy())
    starts, stops = (spans.field(name).to_numpy().astype(np.int64) for name in ("start", "end"))
    wrong = np.flatnonzero((starts < 0) | (stops < starts))
    if len(wrong):
        raise SchemaError(f"a span [{starts[wrong[0]]}, {stops[wrong[0]]}); expected 0 <= start <= end")
    coded = spans.field("reason").dictionary_encode()
    flat = _Flat(base + starts, base + stops, coded.indices.to_numpy().astype(np.int64))
    order = np.argsort(flat.starts, kind="stable")  # rows came table by table
    return flat.take(order[flat.stops[order] > flat.starts[order]]), coded.dictionary.cast(pa.string())


def _unite(spans: _Flat) -> _Flat:
    out = _Flat(*(np.empty(len(spans.starts), np.int64) for _ in spans))
    n = _kernels_spans.unite(*spans, *out)
    return out.take(np.arange(n))


def _subtract(spans: _Flat, cuts: _Flat) -> _Flat:
    out = _Flat(*(np.empty(len(spans.starts) + len(cuts.starts), np.int64) for _ in spans))
    n = _kernels_spans.subtract(*spans, cuts.starts, cuts.stops, *out)
    return out.take(np.arange(n))


def _table(doc_ids: pa.Array, parts: Sequence[_Flat], reasons: pa.Array) -> pa.Table:
    flat = _Flat(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    flat = flat.take(np.argsort(flat.starts))
    document = flat.starts >> _DOCUMENT_BITS
    chosen, first = np.unique(document, return_index=True)
    ends = np.append(first, len(document))
    pieces = [_piece(flat, ends[at : at + ROWS_AT_ONCE + 1], reasons) for at in range(0, len(chosen), ROWS_AT_ONCE)]
    columns = [taken(doc_ids, pa.array(chosen)), pa.chunked_array(pieces, pa.list_(SPAN))]
    return pa.Table.from_arrays([narrow(whole(columns[0]), pa.string()), columns[1]], schema=SPANS)


def _piece(flat: _Flat, ends: np.ndarray, reasons: pa.Array) -> pa.ListArray:
    """The lists of the documents between these places of ``flat``."""
    starts, stops, codes = (values[ends[0] : ends[-1]] for values in flat)
    document = starts >> _DOCUMENT_BITS << _DOCUMENT_BITS
    bounds = [pa.array((places - document).astype(np.int32)) for places in (starts, stops)]
    spans = pa.StructArray.from_arrays([*bounds, reasons.take(pa.array(codes))], fields=list(SPAN))
    return pa.ListArray.from_arrays(pa.array((ends - ends[0]).astype(np.int32)), spans, type=pa.list_(SPAN))
