"""Rows: one record batch of packed tokens and their document slices, checked and digested.

``gristmill.corpus.schema.rows_schema`` names the columns. Files of rows stand in ``gristmill.handoff.shards``.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from gristmill.handoff.failures import SchemaError
from gristmill.handoff.row_schema import ROW_DOCUMENT, ROW_TARGETS, rows_schema, token_type

DOCUMENTS, TARGETS = pa.list_(ROW_DOCUMENT), pa.list_(ROW_TARGETS)
Lists = pa.Array | list[list[dict]]  # one list of structs for each row
INTEGERS = ("start", "length", "offset")


def row_batch(
    tokens: np.ndarray, documents: Lists, vocab_size: int, targets: Lists | None = None, bucket: int | None = None
) -> pa.RecordBatch:
    """Rows as one record batch.

    Parameters
    ----------
    tokens : integers [n_rows, row_tokens], 0 <= id < vocab_size
    documents : n_rows lists of ``ROW_DOCUMENT``, each in order of ``start`` and without overlap
    targets : n_rows lists of ``ROW_TARGETS``, likewise: places in the row of predicted tokens that count
    bucket : number of the bucket that all of these rows lie in, for rows that have buckets

    Raises
    ------
    SchemaError : a shape, an id or a slice is not as above

    >>> row_batch(np.array([[7, 8]]), [[{"doc_id": "d", "start": 0, "length": 2, "offset": 0}]], 9).num_rows
    1
    """
    held = {"targets": targets is not None, "bucket": bucket is not None}
    schema = rows_schema(tokens.shape[-1], token_type(vocab_size), **held)
    item = schema.field("tokens").type
    _check_ids(tokens, vocab_size)
    flat = pa.array(tokens.reshape(-1).astype(item.value_type.to_pandas_dtype(), copy=False))
    columns = [_checked(documents, DOCUMENTS, *tokens.shape)]
    if targets is not None:
        columns.append(_checked(targets, TARGETS, *tokens.shape))
    if bucket is not None:
        columns.append(pa.array(np.full(len(tokens), bucket, np.int16)))
    return pa.record_batch([pa.FixedSizeListArray.from_arrays(flat, type=item), *columns], schema=schema)


def _check_ids(tokens: np.ndarray, vocab_size: int) -> None:
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
        raise SchemaError(f"tokens are {tokens.dtype}{list(tokens.shape)}, not integers [n_rows, row_tokens]")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        raise SchemaError(f"token ids {tokens.min()} to {tokens.max()} do not fit vocab_size {vocab_size}")


def _checked(lists: Lists, kind: pa.ListType, n_rows: int, row_tokens: int) -> pa.ListArray:
    """``lists`` as a column of ``kind``: complete, of one list for each row, and every slice inside its row."""
    column: Any = lists if isinstance(lists, pa.Array) else pa.array(lists, kind)
    column = column if column.type == kind else column.cast(kind)
    slices, what = column.flatten(), "targets" if kind == TARGETS else "documents"
    nulls = column.null_count + slices.null_count + sum(column.null_count for column in slices.flatten())
    if nulls:
        names = ", ".join(field.name for field in kind.value_type)
        raise SchemaError(f"{what} hold {nulls} nulls; every slice has all of {names}")
    if len(column) != n_rows:
        raise SchemaError(f"{n_rows} rows of tokens came with {len(column)} lists of {what}")
    _check_slices(column, row_tokens)
    return column


def _check_slices(lists: pa.ListArray, row_tokens: int) -> None:
    slices = lists.flatten()
    start, length = (slices.field(name).to_numpy().astype(np.int64) for name in ("start", "length"))
    row, stop = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy()), start + length
    wrong = (start < 0) | (length < 1) | (stop > row_tokens)
    if lists.type == DOCUMENTS:
        wrong |= slices.field("offset").to_numpy() < 0
    wrong[1:] |= (row[1:] == row[:-1]) & (start[1:] < stop[:-1])
    if wrong.any():
        at, what = int(np.argmax(wrong)), "document" if lists.type == DOCUMENTS else "target"
        raise SchemaError(
            f"row {row[at]} of this call: the {what} slice [{start[at]}, {stop[at]}) is empty, overlaps the one "
            f"before it, or leaves the row of {row_tokens} tokens"
        )


def count_documents(batch: pa.RecordBatch) -> tuple[int, int]:
    """Tokens that belong to documents, and documents that begin here (a later piece has ``offset`` > 0)."""
    slices = batch.column("documents").flatten()
    return int(slices.field("length").to_numpy().sum(dtype=np.int64)), int(
        (slices.field("offset").to_numpy() == 0).sum()
    )


def digests(batch: pa.RecordBatch) -> dict[str, str]:
    """xxh3-128 (5 to 20 GB/s a core) of the tokens, and of the documents' values column by column; so of targets."""
    lengths, slices = _items(batch.column("documents"))
    digest = xxhash.xxh3_128(lengths.data)
    for values in (*text_buffers(slices.field("doc_id")), *(slices.field(name).to_numpy() for name in INTEGERS)):
        digest.update(values.data)
    column = batch.column("tokens")
    whole = len(column.values) == len(column) * column.type.list_size
    tokens = (column.values if whole else column.flatten()).to_numpy()
    found = {"tokens": xxhash.xxh3_128_hexdigest(tokens), "documents": digest.hexdigest()}
    if "targets" in batch.schema.names:
        found["targets"] = _digest_of_targets(batch.column("targets"))
    if "bucket" in batch.schema.names:
        found["bucket"] = xxhash.xxh3_128_hexdigest(batch.column("bucket").to_numpy())
    return found


def _digest_of_targets(targets: pa.ListArray) -> str:
    lengths, slices = _items(targets)
    digest = xxhash.xxh3_128(lengths.data)
    for name in ("start", "length"):
        digest.update(slices.field(name).to_numpy().data)
    return digest.hexdigest()


def plain(lists: pa.ListArray) -> bool:
    """True when a list column's values are its own alone: all from the first to the last, as they are written."""
    ends = lists.offsets.to_numpy()
    return lists.offset == 0 and len(ends) > 0 and ends[0] == 0 and ends[-1] == len(lists.values)


def _items(lists: pa.ListArray) -> tuple[np.ndarray, Any]:
    """Lengths int32 [n] and all values laid end to end; without a copy where the column is ``plain``."""
    if plain(lists):
        ends = lists.offsets.to_numpy()
        return ends[1:] - ends[:-1], lists.values
    return lists.value_lengths().to_numpy(), lists.flatten()


def text_buffers(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths int32 [n] and bytes of a string array, whatever offset its slice has."""
    if not len(texts):
        return np.empty(0, np.int32), np.empty(0, np.uint8)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset)
    return ends[1:] - ends[:-1], np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
