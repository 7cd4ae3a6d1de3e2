"""Documents to rows of one length, best fit decreasing: hardly any padding, and no document cut that fits a row."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import RecipeError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import ROW_DOCUMENT
from gristmill.handoff.shards import ShardWriter
from gristmill.tokenizer import _kernels
from gristmill.tokenizer.domain_tokens import DomainTokens, gather_domain
from gristmill.tokenizer.encode import sum_by
from gristmill.tokenizer.vocabulary import PAD_ID

VERSION = "1"
WINDOW_DOCUMENTS = 1 << 18  # packed together; more of them fill rows no better (padding 0.002 % at 100,000)
WRITE_BYTES = 8 << 20  # rows filled at a time


class Packing(NamedTuple):
    """Pieces in order of (row, start); int64 [n_pieces] each. A piece is a document or a slice of a long one."""

    document: np.ndarray  # index into lengths
    offset: np.ndarray  # first token in the document
    length: np.ndarray  # 1 to row_tokens
    row: np.ndarray
    start: np.ndarray  # first token in the row
    rows: int


def pack_lengths(lengths: np.ndarray, row_tokens: int) -> Packing:
    """Best-fit-decreasing packing of documents into rows.

    A document longer than a row becomes full rows and a remainder; a document that fits is never cut. Every token has
    one place. Rows come fullest piece first, and documents of one length in their order.

    Parameters
    ----------
    lengths : integers [n_docs], tokens; an empty document gets no piece
    row_tokens : at least 1

    Source
    ------
    Ding et al. 2024, Fewer Truncations Improve Language Modeling.  Cost: O(pieces + row_tokens).

    >>> pack_lengths(np.array([5, 3, 9, 2]), 8).row.tolist()
    [0, 1, 1, 2, 2]
    """
    lengths = np.ascontiguousarray(lengths, np.int64)
    n_pieces = -(-lengths // row_tokens)
    document = np.repeat(np.arange(len(lengths)), n_pieces)
    offset = (np.arange(len(document)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * row_tokens
    length = np.minimum(lengths[document] - offset, row_tokens)
    order, row, start = (np.empty(len(document), np.int64) for _ in range(3))
    _kernels.order_by_key(row_tokens - length, row_tokens + 1, order)
    rows = _kernels.best_fit(length, order, row_tokens, row, start)
    placed = np.empty(len(document), np.int64)
    _kernels.order_by_key(row[order], rows + 1, placed)  # in a row, pieces were placed from left to right
    placed = order[placed]
    return Packing(document[placed], offset[placed], length[placed], row[placed], start[placed], int(rows))


def pack_domain(
    tokens: Sequence[Path],
    folder: Path,
    *,
    domain: str,
    heldout: bool,
    row_tokens: int,
    vocab_size: int,
    shard_rows: int,
    batch_rows: int,
) -> Outcome:
    """Write one domain's documents of all parts as packed rows: shards and index (``handoff.shards``) in ``folder``.

    Documents are taken in order of doc_id, so the rows do not depend on how the corpus was cut into parts. They are
    packed in windows of 262,144 documents. Within a window long pieces come first: a trainer reads rows by a plan,
    which shuffles them. Memory: about 100 bytes a document of the domain, 100 a piece of one window,
    and 8 MiB of rows; the tokens lie in an unnamed file in ``folder`` meanwhile. 10 to 50 M tokens a CPU second.

    Parameters
    ----------
    tokens : tokens.parquet of every part
    heldout : pack the held-out documents, or the others
    row_tokens, shard_rows, batch_rows : tokens in a row, rows in a shard, rows in a record batch

    Returns
    -------
    Outcome : rows; accounts by source, bytes of tokens; facts: ``rows, documents, tokens, cut_documents`` and
        ``padding``, the share of places that hold <|pad|>

    Raises
    ------
    RecipeError : a number is below 1
    SchemaError : a part's ids do not fit ``vocab_size``
    """
    for name, value in (("row_tokens", row_tokens), ("shard_rows", shard_rows), ("batch_rows", batch_rows)):
        if value < 1:
            raise RecipeError(f"shards.{name} is {value}; expected 1 or more")
    shape = {"row_tokens": row_tokens, "shard_rows": shard_rows, "batch_rows": batch_rows}
    rows = 0
    with (
        gather_domain(tokens, folder, domain, heldout, vocab_size) as gathered,
        ShardWriter(folder, vocab_size=vocab_size, **shape) as writer,
    ):
        for first in range(0, len(gathered), WINDOW_DOCUMENTS):
            window = gathered.window(first, WINDOW_DOCUMENTS)
            packing = pack_lengths(window.lengths, row_tokens)
            rows += packing.rows
            for block in _row_blocks(window, packing, row_tokens):
                writer.write(*block)
        return _outcome(gathered, rows, row_tokens)


def _row_blocks(window: DomainTokens, packing: Packing, row_tokens: int) -> Iterator[tuple[np.ndarray, pa.ListArray]]:
    """Rows and their documents, about WRITE_BYTES of rows at a time."""
    step = max(1, WRITE_BYTES // (row_tokens * window.ids.itemsize))
    for first in range(0, packing.rows, step):
        n_rows = min(step, packing.rows - first)
        bounds = np.searchsorted(packing.row, np.arange(first, first + n_rows + 1))
        document, offset, length, row, start = (column[bounds[0] : bounds[-1]] for column in packing[:5])
        tokens = np.full((n_rows, row_tokens), PAD_ID, window.ids.dtype)
        _kernels.copy_pieces(window.ids, window.begins[document] + offset, length, row - first, start, tokens)
        doc_ids = window.doc_ids.take(pa.array(document)).cast(pa.string())
        fields = [doc_ids, *(pa.array(values) for values in (start, length, offset))]
        columns = [column.cast(field.type) for column, field in zip(fields, ROW_DOCUMENT, strict=True)]
        structs = pa.StructArray.from_arrays(columns, fields=list(ROW_DOCUMENT))
        lists = pa.ListArray.from_arrays(pa.array((bounds - bounds[0]).astype(np.int32)), structs)
        yield tokens, lists


def _outcome(gathered: DomainTokens, rows: int, row_tokens: int) -> Outcome:
    lengths = gathered.lengths
    documents = sum_by(gathered.sources, np.ones(len(lengths), np.int64))
    n_bytes = sum_by(gathered.sources, lengths * gathered.ids.itemsize)
    n_tokens = int(lengths.sum())
    facts = {
        "rows": rows,
        "documents": len(lengths),
        "tokens": n_tokens,
        "padding": round(1 - n_tokens / (rows * row_tokens), 6) if rows else 0.0,
        "cut_documents": int((lengths > row_tokens).sum()),
    }
    return Outcome(rows, {name: passed_on(documents[name], n_bytes[name]) for name in sorted(documents)}, facts)
