"""Rows: one record batch of packed tokens and their document slices, checked and digested.

``gristmill.corpus.schema.rows_schema`` names the columns. Files of rows stand in ``gristmill.handoff.shards``.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import ROW_DOCUMENT, rows_schema, token_type

DOCUMENTS = pa.list_(ROW_DOCUMENT)
INTEGERS = ("start", "length", "offset")


def row_batch(tokens: np.ndarray, documents: pa.Array | list[list[dict]], vocab_size: int) -> pa.RecordBatch:
    """Rows as one record batch.

    Parameters
    ----------
    tokens : integers [n_rows, row_tokens], 0 <= id < vocab_size
    documents : n_rows lists of ``ROW_DOCUMENT``, each in order of ``start`` and without overlap

    Raises
    ------
    SchemaError : a shape, an id or a slice is not as above

    >>> row_batch(np.array([[7, 8]]), [[{"doc_id": "d", "start": 0, "length": 2, "offset": 0}]], 9).num_rows
    1
    """
    schema = rows_schema(tokens.shape[-1], token_type(vocab_size))
    item = schema.field("tokens").type
    _check_ids(tokens, vocab_size)
    flat = pa.array(tokens.reshape(-1).astype(item.value_type.to_pandas_dtype(), copy=False))
    column = _without_nulls(documents)
    if len(column) != len(tokens):
        raise SchemaError(f"{len(tokens)} rows of tokens came with {len(column)} lists of documents")
    _check_slices(column, tokens.shape[1])
    return pa.record_batch([pa.FixedSizeListArray.from_arrays(flat, type=item), column], schema=schema)


def _check_ids(tokens: np.ndarray, vocab_size: int) -> None:
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
        raise SchemaError(f"tokens are {tokens.dtype}{list(tokens.shape)}, not integers [n_rows, row_tokens]")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        raise SchemaError(f"token ids {tokens.min()} to {tokens.max()} do not fit vocab_size {vocab_size}")


def _without_nulls(documents: pa.Array | list[list[dict]]) -> pa.ListArray:
    column: Any = documents if isinstance(documents, pa.Array) else pa.array(documents, DOCUMENTS)
    column = column if column.type == DOCUMENTS else column.cast(DOCUMENTS)
    slices = column.flatten()
    nulls = column.null_count + slices.null_count + sum(column.null_count for column in slices.flatten())
    if nulls:
        raise SchemaError(f"documents hold {nulls} nulls; every slice has doc_id, start, length and offset")
    return column


def _check_slices(documents: pa.ListArray, row_tokens: int) -> None:
    slices = documents.flatten()
    start, length, offset = (slices.field(name).to_numpy().astype(np.int64) for name in INTEGERS)
    row, stop = np.repeat(np.arange(len(documents)), documents.value_lengths().to_numpy()), start + length
    wrong = (start < 0) | (length < 1) | (stop > row_tokens) | (offset < 0)
    wrong[1:] |= (row[1:] == row[:-1]) & (start[1:] < stop[:-1])
    if wrong.any():
        at = int(np.argmax(wrong))
        raise SchemaError(
            f"row {row[at]} of this call: the document slice [{start[at]}, {stop[at]}) is empty, overlaps the one "
            f"before it, or leaves the row of {row_tokens} tokens"
        )


def count_documents(batch: pa.RecordBatch) -> tuple[int, int]:
    """Tokens that belong to documents, and documents that begin here (a later piece has ``offset`` > 0)."""
    slices = batch.column("documents").flatten()
    return int(slices.field("length").to_numpy().sum(dtype=np.int64)), int(
        (slices.field("offset").to_numpy() == 0).sum()
    )


def digests(batch: pa.RecordBatch) -> dict[str, str]:
    """xxh3-128 (5 to 10 GB/s a core) of the tokens, and of the documents' values column by column."""
    documents: pa.ListArray = batch.column("documents")
    slices = documents.flatten()
    digest = xxhash.xxh3_128(documents.value_lengths().to_numpy())
    for values in (*text_buffers(slices.field("doc_id")), *(slices.field(name).to_numpy() for name in INTEGERS)):
        digest.update(values.data)
    tokens = batch.column("tokens").flatten().to_numpy()
    return {"tokens": xxhash.xxh3_128_hexdigest(tokens), "documents": digest.hexdigest()}


def text_buffers(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths int32 [n] and bytes of a string array, whatever offset its slice has."""
    if not len(texts):
        return np.empty(0, np.int32), np.empty(0, np.uint8)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset)
    return np.diff(ends), np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
