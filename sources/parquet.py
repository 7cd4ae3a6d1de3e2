"""Parquet: read in batches of about 8 MiB; locators are ``path#row``, from 0."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.meter import count
from gristmill.sources.columnar import UNREADABLE, Table, expect_readable
from gristmill.sources.listing import InputFile, Piece
from gristmill.sources.opening import not_that_format, open_raw
from gristmill.sources.part import BATCH_BYTES, Part
from gristmill.sources.spec import ReadSpec

_MOST_ROWS = 4096


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every row of ``file`` as a document or a reject; a file of 0 bytes has none."""
    if not file.bytes:
        return
    with open_raw(file, spec) as raw:
        try:
            opened = pq.ParquetFile(raw, page_checksum_verification=True)
            table = Table(opened.schema_arrow, file, spec)
            first = table.rows = file.piece.before if file.piece else 0
        except UNREADABLE as error:
            raise not_that_format(file, spec, error) from None
        try:
            for batch in _batches(opened, file.piece):
                table.write(batch, part)
        except UNREADABLE as error:
            expect_readable(error)
            if table.rows == first:
                raise not_that_format(file, spec, error) from None
            part.reject(f"{file.path}#{table.rows}", 0, "corrupt_archive", f"no row from here on can be read: {error}")


def _batches(opened: pq.ParquetFile, piece: Piece | None) -> Iterator[pa.RecordBatch]:
    for group in range(opened.num_row_groups) if piece is None else range(piece.start, piece.stop):
        about = opened.metadata.row_group(group)
        row_bytes = about.total_byte_size // max(about.num_rows, 1) + 1
        rows = min(max(BATCH_BYTES // row_bytes, 1), _MOST_ROWS)
        packed = sum(about.column(i).total_compressed_size for i in range(about.num_columns))
        for batch in opened.iter_batches(batch_size=rows, row_groups=[group], use_threads=False):
            yield batch
            count(n_bytes=packed * batch.num_rows // about.num_rows)
