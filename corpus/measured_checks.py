"""What a part stage gave back, held against what it declares. Built-in stages are checked as plug-ins are."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import StageError
from gristmill.corpus.schema import SPAN
from gristmill.corpus.stage import Measured, PartStage, Signal
from gristmill.corpus.text.columns import text_column

_SLACK = 1e-9  # sums of floats: a share may be one and a few units in the last place


def check_columns(spec: PartStage, options: object, batch: pa.RecordBatch, measured: Measured) -> None:
    """One value a document, in order, under the declared names; numbers finite and in range.

    Raises
    ------
    StageError : names the stage, the column and the first document that is wrong
    """
    signals = spec.measured(options)
    expected = [*(label.name for label in spec.labels), *(signal.name for signal in signals)]
    found = set(measured.columns) - {"doc_id"}
    if spec.table and found != set(expected):
        lacking, further = sorted(set(expected) - found), sorted(found - set(expected))
        raise _error(
            spec, f"it declares {', '.join(expected)}; missing: {lacking or 'none'}, more: {further or 'none'}"
        )
    for name, column in measured.columns.items():
        if len(column) != batch.num_rows:
            raise _error(spec, f"{name} has {len(column)} values for {batch.num_rows} documents")
    if "doc_id" in measured.columns:
        _check_order(spec, "its columns", measured.columns["doc_id"], batch)
    for signal in signals:
        _check_signal(spec, signal, measured.columns[signal.name], batch)
    for label in spec.labels:
        if measured.columns[label.name].null_count:
            raise _error(spec, f"{label.name} is null for a document; give a text")


def _check_signal(spec: PartStage, signal: Signal, column: pa.Array, batch: pa.RecordBatch) -> None:
    if not pa.types.is_floating(column.type) or column.type != pa.float64():
        raise _error(spec, f"{signal.name} is {column.type}, expected double")
    values = column.to_numpy(zero_copy_only=False)
    low = -np.inf if signal.low is None else signal.low - _SLACK
    high = np.inf if signal.high is None else signal.high + _SLACK
    wrong = np.flatnonzero(~((values >= low) & (values <= high) & np.isfinite(values)))
    if len(wrong):
        at = int(wrong[0])
        bounds = " to ".join("unbounded" if bound is None else f"{bound:g}" for bound in (signal.low, signal.high))
        raise _error(spec, f"{signal.name} is {values[at]} for document {batch['doc_id'][at]}, declared {bounds}")


def _check_order(spec: PartStage, what: str, doc_ids: pa.Array, batch: pa.RecordBatch) -> None:
    if not doc_ids.cast(pa.string()).equals(batch.column("doc_id").cast(pa.string())):
        raise _error(spec, f"{what} name the documents in another order, or other documents, than they were given in")


def check_spans(spec: PartStage, batch: pa.RecordBatch, measured: Measured) -> None:
    """Spans only where declared; inside the text, in order, apart, and between characters.

    Raises
    ------
    StageError : names the stage, the document and the span
    """
    if measured.spans is None:
        return
    if not spec.spans:
        raise _error(spec, "it gives spans, which it does not declare (spans=True)")
    spans, kind = measured.spans, pa.list_(SPAN)
    if spans.type != kind or len(spans) != batch.num_rows or spans.null_count:
        raise _error(spec, f"spans are {spans.type} of {len(spans)} documents, expected {kind} of {batch.num_rows}")
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    if not len(flat):
        return
    if flat.field("reason").null_count or flat.null_count:
        raise _error(spec, "a span has no reason")
    starts, ends = (flat.field(name).to_numpy(zero_copy_only=False).astype(np.int64) for name in ("start", "end"))
    text = text_column(batch)
    sizes = np.diff(text.offsets)
    for wrong, why in (
        ((starts < 0) | (ends <= starts) | (ends > sizes[parents]), "does not lie in the text"),
        (_splits(text.data, text.offsets[parents], starts, ends, sizes[parents]), "splits a character"),
        (_overlaps(starts, ends, parents) & (not spec.overlapping), "begins before the one before it ends"),
    ):
        places = np.flatnonzero(wrong)
        if len(places):
            at = int(places[0])
            document = batch["doc_id"][int(parents[at])]
            raise _error(spec, f"the span [{starts[at]}, {ends[at]}) of document {document} {why}")


def _splits(
    data: np.ndarray, firsts: np.ndarray, starts: np.ndarray, ends: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """bool[n_spans]: one of its ends lies inside a character. UTF-8 continuation bytes are 10xxxxxx."""
    wrong = np.zeros(len(starts), np.bool_)
    for places in (starts, ends):
        inside = (places > 0) & (places < sizes)
        wrong[inside] |= (data[(firsts + places)[inside]] & 0xC0) == 0x80
    return wrong


def _overlaps(starts: np.ndarray, ends: np.ndarray, parents: np.ndarray) -> np.ndarray:
    wrong = np.zeros(len(starts), np.bool_)
    wrong[1:] = (parents[1:] == parents[:-1]) & (starts[1:] < ends[:-1])
    return wrong


def check_tables(spec: PartStage, batch: pa.RecordBatch, measured: Measured) -> None:
    """Every declared further table is there; aligned ones have the documents in their order."""
    for side in spec.tables:
        table = measured.tables.get(side.file)
        if table is None:
            raise _error(spec, f"{side.file} is missing from its tables")
        if side.aligned:
            if table.num_rows != batch.num_rows:
                raise _error(spec, f"{side.file} has {table.num_rows} rows for {batch.num_rows} documents")
            _check_order(spec, side.file, table.column("doc_id"), batch)


def _error(spec: PartStage, what: str) -> StageError:
    return StageError(f"stage {spec.name!r} (version {spec.version}): {what}")
