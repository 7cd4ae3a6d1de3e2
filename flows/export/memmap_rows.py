"""The target ``memmap``: token ids as one flat array without a header, as nanoGPT, litgpt and OLMo-core map it.

Of each part three files, all of the same rows: ``.bin`` ids, little-endian uint16 or uint32; ``.mask.bin`` one byte
for each, 1 where the token counts when it is predicted; ``.csv.gz`` a line for each document slice, in order:
first token in the part, the token after its last, doc_id, domain, row in the domain, first token in the document.
"""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_blocks import RowBlock
from gristmill.flows.export.row_export import export_rows
from gristmill.flows.export.row_part import Layout
from gristmill.flows.export.target import Exported, ExportOptions
from gristmill.flows.pipeline.context import RunContext


def export_memmap(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Flat arrays of token ids, with masks and document borders beside them."""
    return export_rows(context, folder, options, MemmapPart)


class MemmapPart:
    """One part."""

    def __init__(self, files: AsideFiles, layout: Layout):
        self._layout, self._rows = layout, 0
        self._ids, self._mask = files.path("bin").open("wb"), files.path("mask.bin").open("wb")
        self._plain = files.path("csv.gz").open("wb")
        self._borders = gzip.GzipFile("", "wb", 1, self._plain, mtime=0)  # neither name nor date: equal bytes

    def write(self, block: RowBlock) -> None:
        """Add rows."""
        self._ids.write(np.ascontiguousarray(block.tokens, block.tokens.dtype.newbyteorder("<")).data)
        self._mask.write(np.ascontiguousarray(block.counted).view(np.uint8).data)
        options = pc_csv.WriteOptions(include_header=False, quoting_style="none")
        pc_csv.write_csv(self._lines(block), pa.PythonFile(self._borders, "w"), options)
        self._rows += len(block.row)

    def _lines(self, block: RowBlock) -> pa.Table:
        row, start, length = block.slices()
        begin = (self._rows + row) * self._layout.row_tokens + start
        documents = block.documents.flatten()
        names = pa.array(self._layout.domains).take(pa.array(block.domain[row]))
        numbers = [pa.array(begin), pa.array(begin + length)]
        columns = [*numbers, documents.field("doc_id"), names, pa.array(block.row[row]), documents.field("offset")]
        return pa.table(columns, names=["first", "stop", "doc_id", "domain", "row", "offset"])

    def close(self) -> None:
        """Close the three files."""
        for file in (self._ids, self._mask, self._borders, self._plain):
            file.close()
