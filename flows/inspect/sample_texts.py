"""Texts of a few documents, as they were and as they are after edits; what is masked is shown by its marker."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.schema import SPAN, SPANS
from gristmill.corpus.span_tables import MASK, merge_spans
from gristmill.corpus.tables import CHECKED
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.edits import SPANS_FILE
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.tokenizer.cutting import cut_spans

ROWS_AT_ONCE = 1 << 12
Span = dict[str, Any]  # start, end in bytes of the text; reason


def documents_named(
    context: RunContext,
    doc_ids: Sequence[str],
    columns: list[str] | None = None,
    parts: Collection[int] | None = None,
) -> dict[str, dict[str, Any]]:
    """Rows of the documents, by doc_id; ROWS_AT_ONCE of them with their text are in memory at a time.

    Parameters
    ----------
    columns : those to read, doc_id among them; all when None
    parts : those that hold the documents, where the caller knows; no other is read
    """
    wanted, found = pa.array(doc_ids, pa.string()), dict[str, dict[str, Any]]()
    for part in range(len(context.run.manifest("documents").parts)) if parts is None else sorted(parts):
        with pq.ParquetFile(context.file("documents", DOCUMENTS_FILE, part), memory_map=True, **CHECKED) as file:
            for row in _rows_named(file, wanted, columns):
                found[row["doc_id"]] = row
        if len(found) == len(doc_ids):
            break
    return found


def _rows_named(file: pq.ParquetFile, wanted: pa.Array, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    for group in range(file.num_row_groups):
        hits = pc.is_in(file.read_row_group(group, columns=["doc_id"])["doc_id"], value_set=wanted)
        yield from _rows_at(file, group, np.flatnonzero(hits.to_numpy()), columns)


def _rows_at(file: pq.ParquetFile, group: int, rows: np.ndarray, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    """Rows of a row group, ascending; what stands behind the last of them is not decoded."""
    if not len(rows):
        return
    first = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, [group], columns, use_threads=False):
        here = rows[(rows >= first) & (rows < first + batch.num_rows)]
        yield from batch.take(pa.array(here - first)).to_pylist()
        first += batch.num_rows
        if first > rows[-1]:
            return


def masks_of(context: RunContext, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Span]]:
    """Spans that hide personal data, by doc_id: what stages mask, and finds for which the recipe drops a document.

    Removals that lie over them are left aside, for they do not hide anything in a text that is shown uncut.
    """
    doc_ids = pa.array(sorted(documents), pa.string())
    tables = [
        _only_masks(pq.read_table(path, filters=pc.field("doc_id").isin(doc_ids), **CHECKED))
        for path in _spans(context)
    ]
    merged = merge_spans([*tables, _dropped_finds(context, documents)])
    return dict(zip(merged["doc_id"].to_pylist(), merged["spans"].to_pylist(), strict=True))


def _spans(context: RunContext) -> Iterator[Path]:
    for stage in stages_of_run(context.run).stages:
        if stage.spans and context.run.has(stage.name):
            for part in range(len(context.run.manifest(stage.name).parts)):
                yield context.file(stage.name, SPANS_FILE, part)


def _only_masks(table: pa.Table) -> pa.Table:
    lists = [[span for span in spans if span["reason"].startswith(MASK)] for spans in table["spans"].to_pylist()]
    return pa.table([table["doc_id"], pa.array(lists, pa.list_(SPAN))], schema=SPANS)


def _dropped_finds(context: RunContext, documents: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Keys for which a document was dropped have no spans in the run: they are looked for again in these few."""
    from gristmill.filters.pii.scan import measure

    actions = context.recipe.pii.actions
    looked_for = context.recipe.pii.model_copy(update={k: "mask" for k, action in actions.items() if action == "drop"})
    if not documents or "drop" not in actions.values():
        return SPANS.empty_table()
    doc_ids = sorted(documents)
    texts = pa.array([documents[doc_id]["text"] for doc_id in doc_ids], pa.large_string())
    spans = measure(pa.record_batch({"doc_id": doc_ids, "text": texts}), looked_for, None).spans
    return pa.table([pa.array(doc_ids), spans], schema=SPANS)


def cut_text(text: str, spans: Sequence[Span]) -> str:
    """The text without its spans, as an encoder reads it.

    >>> cut_text("mail a@b.org now", [{"start": 5, "end": 12, "reason": "mask:EMAIL"}])
    'mail <EMAIL> now'
    """
    return cut_spans(pa.array([text], pa.large_string()), pa.array([list(spans)], pa.list_(SPAN)))[0].as_py()
