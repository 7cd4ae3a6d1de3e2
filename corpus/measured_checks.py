"""What a part stage gave back, held against what it declares. Built-in stages are checked as plug-ins are."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import StageError
from gristmill.corpus.schema import SPAN
from gristmill.corpus.span_tables import MASK
from gristmill.corpus.stage import Measured, PartStage, Plugin, Signal
from gristmill.corpus.text.columns import text_column

_SLACK = 1e-9  # sums of floats: a share may be one and a few units in the last place


def check_measured(
    spec: PartStage, options: object, batch: pa.RecordBatch, measured: Measured, plugin: Plugin | None = None
) -> None:
    """Columns, spans, facts and further tables of one batch.

    Raises
    ------
    StageError : names the plug-in, the stage, the column and the first document that is wrong
    """
    for problem in _problems(spec, options, batch, measured):
        raise stage_error(spec, problem, plugin)


def stage_error(spec: PartStage, problem: str, plugin: Plugin | None = None) -> StageError:
    """An error that names stage and plug-in."""
    where = f"plug-in {plugin.name!r}, " if plugin else ""
    return StageError(f"{where}stage {spec.name!r} (version {spec.version}): {problem}")


def _problems(spec: PartStage, options: object, batch: pa.RecordBatch, measured: Measured) -> Iterator[str]:
    """What is wrong, one thing after the other; what comes later may rest on what came before."""
    if not isinstance(measured, Measured):
        yield f"it returned {_kind(measured)}, expected Measured"
    for what in ("columns", "tables"):
        if not isinstance(getattr(measured, what), Mapping):
            yield f"its {what} are {_kind(getattr(measured, what))}, expected a table by name"
    yield from _column_problems(spec, options, batch, measured)
    yield from _span_problems(spec, batch, measured)
    yield from _table_problems(spec, batch, measured)
    yield from fact_problems(spec, measured.facts)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _column_problems(spec: PartStage, options: object, batch: pa.RecordBatch, measured: Measured) -> Iterator[str]:
    """One value per document, in order, under the declared names; numbers finite and in range."""
    signals, columns = spec.measured(options), measured.columns
    expected = [*(label.name for label in spec.labels), *(signal.name for signal in signals)]
    found = set(columns) - {"doc_id"}
    lacking, further = sorted(set(expected) - found), sorted(found - set(expected))
    if lacking or further:
        declared = ", ".join(expected) or "no column"
        yield f"it declares {declared}; missing: {', '.join(lacking) or 'none'}, more: {', '.join(further) or 'none'}"
    for name, column in columns.items():
        if not isinstance(column, pa.Array):
            yield f"{name} is {_kind(column)}, expected an Arrow array"
        if len(column) != batch.num_rows:
            yield f"{name} has {len(column)} values for {batch.num_rows} documents"
    if "doc_id" in columns:
        yield from _order_problems("its columns", columns["doc_id"], batch)
    if not batch.num_rows:
        return  # an array of no values has no type of its own
    for label in spec.labels:
        yield from _label_problems(label.name, columns[label.name], batch)
    for signal in signals:
        yield from _signal_problems(signal, columns[signal.name], batch)


def _label_problems(name: str, column: pa.Array, batch: pa.RecordBatch) -> Iterator[str]:
    if not _is_text(column.type):
        yield f"{name} is {column.type}, expected text"
    if column.null_count:
        at = pc.index(column.is_null(), True).as_py()
        yield f"{name} is null for document {batch['doc_id'][at]}; give a text"


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _signal_problems(signal: Signal, column: pa.Array, batch: pa.RecordBatch) -> Iterator[str]:
    if column.type != pa.float64():
        yield f"{signal.name} is {column.type}, expected double"
    values = column.to_numpy(zero_copy_only=False)
    low = -np.inf if signal.low is None else signal.low - _SLACK
    high = np.inf if signal.high is None else signal.high + _SLACK
    wrong = np.flatnonzero(~((values >= low) & (values <= high) & np.isfinite(values)))
    if len(wrong):
        at = int(wrong[0])
        value = values[at] if column[at].is_valid else "null"
        yield f"{signal.name} is {value} for document {batch['doc_id'][at]}, declared {range_of(signal)}"


def range_of(signal: Signal) -> str:
    """The declared range in words.

    >>> range_of(Signal("share", "share", 0, 1, "")), range_of(Signal("words", "words", 0, None, ""))
    ('0 to 1', '0 and above')
    """
    if signal.low is None and signal.high is None:
        return "finite"
    if signal.high is None:
        return f"{signal.low:g} and above"
    return f"{signal.high:g} and below" if signal.low is None else f"{signal.low:g} to {signal.high:g}"


def _order_problems(what: str, doc_ids: pa.Array, batch: pa.RecordBatch) -> Iterator[str]:
    expected = batch.column("doc_id").cast(pa.string())
    if _is_text(doc_ids.type) and doc_ids.cast(pa.string()).equals(expected):
        return
    pairs = zip(expected.to_pylist(), doc_ids.to_pylist(), strict=True)
    here, there = next((one, other) for one, other in pairs if one != other)
    yield f"{what} name the documents in another order, or others: {there} stands where {here} was given"


def _span_problems(spec: PartStage, batch: pa.RecordBatch, measured: Measured) -> Iterator[str]:
    """Spans where they are declared and nowhere else, a list for each document."""
    if not spec.spans:
        if measured.spans is not None:
            yield "it gives spans, which it does not declare (spans=True)"
        return
    spans: Any = measured.spans
    kind = pa.list_(SPAN)
    if not isinstance(spans, pa.ListArray):
        yield f"it declares spans and gives {_kind(spans)}, expected an Arrow list for each document"
        return
    if spans.type != kind or len(spans) != batch.num_rows:
        yield f"spans are {spans.type} of {len(spans)} documents, expected {kind} of {batch.num_rows}"
    if spans.null_count:
        at = pc.index(spans.is_null(), True).as_py()
        yield f"spans are null for document {batch['doc_id'][at]}; give an empty list where there are none"
    if len(spans.flatten()):
        yield from _wrong_spans(spec, batch, spans)


def _wrong_spans(spec: PartStage, batch: pa.RecordBatch, spans: pa.ListArray) -> Iterator[str]:
    """Spans with a reason; inside the text, in order, apart, and between characters."""
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    if any(column.null_count for column in (flat, flat.field("start"), flat.field("end"))):
        yield "a span is null, or has no start or no end"
    starts, ends = (flat.field(name).to_numpy(zero_copy_only=False).astype(np.int64) for name in ("start", "end"))
    text = text_column(batch)
    sizes, firsts = np.diff(text.offsets)[parents], text.offsets[parents]
    for wrong, why in (
        (_unexplained(flat.field("reason")), "has no reason"),
        ((starts < 0) | (ends <= starts) | (ends > sizes), "does not lie in the text"),
        (_splits(text.data, firsts, starts, ends, sizes), "splits a character"),
        (_overlaps(starts, ends, parents) & (not spec.overlapping), "begins before the one before it ends"),
    ):
        places = np.flatnonzero(wrong)
        if len(places):
            at = int(places[0])
            document = batch["doc_id"][int(parents[at])]
            size = int(sizes[at])
            yield f"the span [{starts[at]}, {ends[at]}) of document {document} ({size} bytes) {why}"


def _unexplained(reasons: pa.StringArray) -> np.ndarray:
    """bool[n_spans]: null, empty, or a mask that leaves nothing to be read behind."""
    coded = reasons.dictionary_encode()  # there are many spans and few reasons
    silent = np.array([*(_says_nothing(text) for text in coded.dictionary.to_pylist()), True])
    return silent[pc.fill_null(coded.indices, len(silent) - 1).to_numpy()]


def _says_nothing(reason: str) -> bool:
    return not reason or (reason.startswith(MASK) and not re.search("[A-Za-z0-9]", reason.removeprefix(MASK)))


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


def _table_problems(spec: PartStage, batch: pa.RecordBatch, measured: Measured) -> Iterator[str]:
    """Every declared further table is there, and no other; aligned ones have the documents in their order."""
    further = sorted(set(measured.tables) - {side.file for side in spec.tables})
    if further:
        yield f"it gives the table {further[0]}, which it does not declare"
    for side in spec.tables:
        table: Any = measured.tables.get(side.file)
        if not isinstance(table, pa.RecordBatch):
            yield f"{side.file} is {_kind(table)}, expected a record batch"
            return
        if side.aligned and "doc_id" not in table.schema.names:
            yield f"{side.file} has no column doc_id"
        if side.aligned and table.num_rows != batch.num_rows:
            yield f"{side.file} has {table.num_rows} rows for {batch.num_rows} documents"
        if side.aligned:
            yield from _order_problems(side.file, table.column("doc_id"), batch)


def fact_problems(spec: PartStage, facts: object) -> Iterator[str]:
    """Facts of the declared kind. A stage with ``conclude`` may leave those of a batch out."""
    if facts is not None and (spec.facts is None or not isinstance(facts, spec.facts)):
        expected = f"a {spec.facts.__name__}" if spec.facts else "none, since it declares no facts"
        yield f"its facts are {_kind(facts)}, expected {expected}"
    if facts is None and spec.facts is not None and spec.conclude is None:
        yield f"it gives no facts, expected a {spec.facts.__name__}"
