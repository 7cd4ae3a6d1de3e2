"""Parquet parts: written in row groups of bounded text, read back batch by batch; pages have checksums.

A run compares a whole part with its receipt before it is used; a question reads a few pages and compares those.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

CHECKED: dict[str, Any] = {"page_checksum_verification": True}  # CRC32 of each page read, below 1 %
WRITTEN: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
GROUP_BYTES = 32 << 20  # a row group's share of memory in every later stage
T = TypeVar("T")


class PartWriter:
    """Append record batches to one Parquet file; a row group closes at about 32 MiB.

    zstd level 1: encode speed is the floor of the whole mill (0.39 GB/s against 0.20 at level 3).
    """

    def __init__(self, path: Path, schema: pa.Schema, noise: Sequence[str] = ()):
        """``noise``: columns of hashes, which neither a dictionary nor zstd makes shorter; written as they are."""
        self.rows = 0
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._writer = pq.ParquetWriter(path, schema, **_encodings(schema, noise))

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch; its schema must equal the part's."""
        self._pending.append(batch.cast(self._schema) if batch.schema != self._schema else batch)
        self._pending_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._pending_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._pending, self._pending_bytes = [], 0

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _encodings(schema: pa.Schema, noise: Sequence[str]) -> dict[str, Any]:
    """Arguments of ParquetWriter: what is done to each column; a list is named by its elements."""
    if not noise:
        return WRITTEN
    leaves = {field.name: f"{field.name}.list.element" if field.type.num_fields else field.name for field in schema}
    packed = [leaf for name, leaf in leaves.items() if name not in noise]
    codecs = {leaf: "zstd" if leaf in packed else "none" for leaf in leaves.values()}
    levels = dict.fromkeys(packed, 1)
    return WRITTEN | {"compression": codecs, "compression_level": levels, "use_dictionary": packed}


def write_part(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], noise: Sequence[str] = ()) -> int:
    """Write ``batches`` to one Parquet file; returns the number of rows. ``noise``: see ``PartWriter``."""
    with PartWriter(path, schema, noise) as writer:
        for batch in batches:
            writer.write(batch)
    return writer.rows


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """One record batch a row group, in order, so that row-aligned tables stay aligned."""
    with pq.ParquetFile(path, memory_map=True, **CHECKED) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False).combine_chunks()
            yield from table.to_batches()


def read_rows(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """At most ``rows`` rows at a time, whatever a row group has, for columns that are wide beside the text.

    Of 100,000 short texts a row group has 100 MB of signatures: read whole it takes 520 MB, this way 180, most of it
    mapped pages.
    """
    with pq.ParquetFile(path, memory_map=True, **CHECKED) as file:
        yield from file.iter_batches(rows, columns=columns, use_threads=False)


def read_part(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A whole part as one table, its columns in the order asked for.

    ``pq.read_table`` plans a data set for each file first: two thirds of the time of a small column, over all parts.

    Raises
    ------
    KeyError : no such column
    """
    with pq.ParquetFile(path, memory_map=True, **CHECKED) as file:
        table = file.read(columns=columns, use_threads=False)
    return table if columns is None else table.select(columns)


def together(parts: Iterable[T], rows_of: Callable[[T], int], least: int) -> Iterator[list[T]]:
    """Neighbours that have ``least`` rows or a few more; the last ones whatever they have.

    A part of 1 MB has a hundred documents: columns of so few cost more to call about than to work on.

    >>> list(together(["ab", "c", "", "def", "g"], len, 3))
    [['ab', 'c'], ['', 'def'], ['g']]
    """
    waiting, rows = list[T](), 0
    for part in parts:
        waiting.append(part)
        rows += rows_of(part)
        if rows >= least:
            yield waiting
            waiting, rows = [], 0
    if waiting:
        yield waiting
