"""Arrow IPC files and streams (.arrow, .feather); locators are ``path#row``, from 0."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from gristmill.corpus.meter import count
from gristmill.sources.columnar import UNREADABLE, Table, expect_readable
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import not_that_format, open_raw
from gristmill.sources.part import BATCH_BYTES, Part
from gristmill.sources.spec import ReadSpec

_FILE_MAGIC = b"ARROW1"


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every row of ``file`` as a document or a reject; a file of 0 bytes has none."""
    if not file.bytes:
        return
    with open_raw(file, spec) as raw:
        batches = slices(raw)
        table = None
        try:
            table = Table(next(batches).schema, file, spec)
            for batch in batches:
                table.write(batch, part)
        except UNREADABLE as error:
            expect_readable(error)
            if table is None or not table.rows:
                raise not_that_format(file, spec, error) from None
            reason = "truncated_archive" if isinstance(error, OSError) else "corrupt_archive"
            part.reject(f"{file.path}#{table.rows}", 0, reason, f"no row from here on can be read: {error}")


def slices(raw: BinaryIO) -> Iterator[pa.RecordBatch]:
    """An empty batch with the schema, then slices of the file's batches, of about 8 MiB each; pa.ArrowException."""
    is_file = raw.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    raw.seek(0)
    reader = pa.ipc.open_file(raw) if is_file else pa.ipc.open_stream(raw)
    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
    batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
    for batch in batches:
        batch.validate()
        rows = max(batch.num_rows * BATCH_BYTES // max(batch.nbytes, 1), 1)
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)
            count(n_bytes=batch.nbytes * min(rows, batch.num_rows - start) // batch.num_rows)
