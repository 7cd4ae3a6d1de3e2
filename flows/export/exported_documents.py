"""The documents that an export writes: text as it is encoded, the document's columns, and signals when asked for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.schema import DOCUMENTS
from gristmill.flows.export.row_reader import RowReader
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.signal_tables import signal_tables
from gristmill.tokenizer.kept_text import filled, kept_batches

METADATA = ("lang", "license", "url", "created", "locator", "meta")
EXPORTED = pa.schema(
    [
        *(DOCUMENTS.field(name) for name in ("doc_id", "text", "source", "domain", *METADATA)),
        pa.field("heldout", pa.bool_(), False),  # no training reads it
    ]
)


class Measured(NamedTuple):
    """Columns that a stage measured, row-aligned with the documents."""

    stage: str
    file: str
    fields: tuple[pa.Field, ...]


def measured_columns(context: RunContext) -> list[Measured]:
    """Signals and labels of every stage that measured some, each name once."""
    found, seen = [], {"doc_id"}
    for stage in signal_tables(context.run):
        schema = pq.read_schema(context.file(stage.name, str(stage.table)))
        fields = tuple(field for field in schema if field.name not in seen)
        seen.update(schema.names)
        found.append(Measured(stage.name, str(stage.table), fields))
    return found


def exported_schema(measured: Sequence[Measured]) -> pa.Schema:
    """EXPORTED, and one struct ``signals`` of the measured columns, whose names may be those of a document's."""
    return EXPORTED.append(_signals_field(measured)) if measured else EXPORTED


def _signals_field(measured: Sequence[Measured]) -> pa.Field:
    return pa.field("signals", pa.struct([field for one in measured for field in one.fields]), False)


def exported_tables(context: RunContext, part: int, kept: pa.Table, measured: Sequence[Measured]) -> Iterator[pa.Table]:
    """Kept documents of one part with what the edits left of their text; those left blank are not there.

    Parameters
    ----------
    kept : rows of ``gristmill.corpus.schema.KEPT`` that belong to the part
    measured : columns for ``signals``

    Yields
    ------
    Table of ``exported_schema``, at most one for each row group of the documents
    """
    documents = context.file("documents", DOCUMENTS_FILE, part)
    metadata = RowReader(documents, METADATA)
    signals = [_SignalReader(context.file(one.stage, one.file, part), one.fields) for one in measured]
    for batch in map(filled, kept_batches(documents, kept)):
        if batch.num_rows:
            yield _table(batch, _rows(kept, batch), metadata, signals, exported_schema(measured))


class _SignalReader:
    def __init__(self, path: Path, fields: Sequence[pa.Field]):
        self._names = [field.name for field in fields]
        self._reader = RowReader(path, self._names)

    def columns(self, rows: np.ndarray) -> list[pa.Array]:
        table = self._reader.take(rows).combine_chunks()
        return [pa.chunked_array(table[name]).combine_chunks() for name in self._names]


def _rows(kept: pa.Table, batch: pa.RecordBatch) -> np.ndarray:
    """Where the batch's documents stand in their part."""
    places = pc.index_in(batch["doc_id"].cast(kept.schema.field("doc_id").type), kept["doc_id"].combine_chunks())
    return kept["row"].take(places).to_numpy()


def _table(
    batch: pa.RecordBatch, rows: np.ndarray, metadata: RowReader, signals: Sequence[_SignalReader], schema: pa.Schema
) -> pa.Table:
    taken = metadata.take(rows)
    columns = {name: batch[name] for name in batch.schema.names} | {name: taken[name] for name in METADATA}
    if signals:
        values = [column for one in signals for column in one.columns(rows)]
        columns["signals"] = pa.StructArray.from_arrays(values, fields=list(schema.field("signals").type))
    return pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)
