"""Ways to put documents into rows of one length, by name.

numba is imported where documents are packed: a recipe is checked against the names in ``PACKINGS``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Pieces in order of (row, start); int64 [n_pieces] each. A piece is a document or a slice of a long one."""

    document: np.ndarray  # index into lengths
    offset: np.ndarray  # first token in the document
    length: np.ndarray  # 1 to row_tokens
    row: np.ndarray
    start: np.ndarray  # first token in the row
    rows: int


def best_fit(lengths: np.ndarray, row_tokens: int) -> Packing:
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

    >>> best_fit(np.array([5, 3, 9, 2]), 8).row.tolist()
    [0, 1, 1, 2, 2]
    """
    from gristmill.tokenizer import _kernels

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


PACKINGS: dict[str, Callable[[np.ndarray, int], Packing]] = {"best_fit": best_fit}
