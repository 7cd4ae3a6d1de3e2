"""Text columns as the two arrays that kernels read: offsets and UTF-8 bytes."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SchemaError

# RE2, from the first byte: separators, controls, joiners and marks of direction, and the blanks of Braille and Hangul
_NOTHING_SEEN = r"^[\p{Z}\x01-\x1f\x7f-\x{9f}\p{Cf}\x{2800}\x{3164}\x{115F}\x{1160}\x{FFA0}]*$"
PAD_BYTES = 64  # kernels load blocks of 64 bytes; Arrow promises none behind a slice


def is_blank(text: pa.Array | pa.ChunkedArray) -> pa.BooleanArray | pa.ChunkedArray:
    r"""Bool [n_docs]: no character that a reader sees; null where the text is.

    >>> is_blank(pa.array([" \t\n", "", "a"])).to_pylist()
    [True, True, False]
    """
    return pc.match_substring_regex(text, _NOTHING_SEEN)


class TextColumn(NamedTuple):
    """``offsets int64[n_docs + 1]`` into ``data uint8[n_bytes + 64]``; the last 64 bytes are zero padding."""

    offsets: np.ndarray
    data: np.ndarray

    @property
    def n_docs(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1


def text_column(batch: pa.RecordBatch | pa.Table, name: str = "text") -> TextColumn:
    """Offsets and bytes of a string column, in one fixed layout (int64, uint8, C order, padded).

    Every numba kernel is compiled once because its arguments always look the same. The bytes are copied
    (memory speed) so that the padding exists and the offsets start at 0 whatever slice came in.

    Raises
    ------
    SchemaError : the column is missing, is not text, or has nulls

    >>> text_column(pa.record_batch({"text": ["ab", "", "c"]})).offsets.tolist()
    [0, 2, 2, 3]
    """
    if name not in batch.schema.names:
        raise SchemaError(f"no column {name!r}; the batch has {', '.join(batch.schema.names)}")
    column = batch.column(name)
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())  # before it is one array: 67 million doc_ids are beyond 2 GiB
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_large_string(column.type):
        raise SchemaError(f"column {name!r} is {column.type}, not text")
    if column.null_count:
        raise SchemaError(f"column {name!r} has {column.null_count} nulls in {len(column)} rows; kernels need text")
    return _copy_buffers(column)


def _copy_buffers(column: pa.LargeStringArray) -> TextColumn:
    if not len(column):
        return TextColumn(np.zeros(1, np.int64), np.zeros(PAD_BYTES, np.uint8))
    _, offset_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[column.offset : column.offset + len(column) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(last - first + PAD_BYTES, np.uint8)
    if last > first:
        data[: last - first] = np.frombuffer(data_buffer, np.uint8, last - first, first)
    return TextColumn(offsets - first, data)
