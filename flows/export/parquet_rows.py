"""The target ``rows-parquet``: one row of the file for each packed row, with its documents and targets as lists.

Columns: tokens list<uint16 or uint32>, documents list<doc_id, start, length, offset>, targets list<start, length> of
the tokens that count where they are predicted (never absent: nothing has to be known of the rows), domain, epoch, row.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.schema import ROW_DOCUMENT, ROW_TARGETS
from gristmill.corpus.tables import PartWriter
from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_blocks import RowBlock
from gristmill.flows.export.row_export import export_rows
from gristmill.flows.export.row_part import Layout
from gristmill.flows.export.target import Exported, ExportOptions
from gristmill.flows.pipeline.context import RunContext


def export_rows_parquet(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Parquet files of packed rows."""
    return export_rows(context, folder, options, ParquetPart)


def parquet_schema(layout: Layout) -> pa.Schema:
    """The columns of the files."""
    token = pa.field("item", pa.type_for_alias(layout.token_type), False)
    return pa.schema(
        [
            pa.field("tokens", pa.list_(token), False),
            pa.field("documents", pa.list_(ROW_DOCUMENT), False),
            pa.field("targets", pa.list_(ROW_TARGETS), False),
            pa.field("domain", pa.string(), False),
            pa.field("epoch", pa.int32(), False),
            pa.field("row", pa.int64(), False),
        ]
    )


class ParquetPart:
    """One part: row groups of about 32 MiB, zstd."""

    def __init__(self, files: AsideFiles, layout: Layout):
        self._schema, self._names = parquet_schema(layout), pa.array(layout.domains)
        self._writer = PartWriter(files.path("parquet"), self._schema)

    def write(self, block: RowBlock) -> None:
        """Add rows."""
        n_rows, row_tokens = block.tokens.shape
        ends = pa.array(np.arange(n_rows + 1, dtype=np.int32) * row_tokens)
        tokens = pa.ListArray.from_arrays(ends, pa.array(block.tokens.reshape(-1)), self._schema.field("tokens").type)
        names = self._names.take(pa.array(block.domain))
        columns = [tokens, block.documents, target_lists(block.counted), names, block.epoch, block.row]
        self._writer.write(pa.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._writer.__exit__(None)


def target_lists(counted: np.ndarray) -> pa.ListArray:
    """Stretches of true values in each row, bool [n, row_tokens], as lists of ``ROW_TARGETS``.

    >>> target_lists(np.array([[False, True, True], [False, False, True]])).to_pylist()
    [[{'start': 1, 'length': 2}], [{'start': 2, 'length': 1}]]
    """
    padded = np.zeros((counted.shape[0], counted.shape[1] + 2), np.int8)
    padded[:, 1:-1] = counted
    change = np.diff(padded)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    values = [pa.array(start.astype(np.int32)), pa.array((stop - start).astype(np.int32))]
    ends = np.searchsorted(row, np.arange(counted.shape[0] + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.StructArray.from_arrays(values, fields=list(ROW_TARGETS)))
