"""Later copies among any number of records, in bounded memory: what lines, paragraphs and substrings share.

A record is a row of uint64: its place in the corpus (rank of the document << 32 | byte), a hash of what stands there,
and whatever else must come back. Records lie in scratch files, one a range of hashes; one range at a time is in memory.
A batch is searched before it is written, so that a line that occurs a billion times fills no range.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gristmill.dedup import _kernels_copies
from gristmill.dedup.scratch import ScratchArray

RANGE_BYTES = 64 << 20  # of text a range: its records are at most about as large (32 bytes a line of 32)
MOST_RANGES = 256  # open files; beyond 16 GiB of text the ranges grow

PLACE_BITS = np.uint64(32)  # for the byte or token in a place
_HALF = np.uint64(32)

Found = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def range_count(text_bytes: int) -> int:
    """Ranges for a corpus of that size."""
    return min(text_bytes // RANGE_BYTES + 1, MOST_RANGES)


class Spill:
    """Records ``uint64[n, columns]`` in scratch files, one a range."""

    def __init__(self, folder: Path, columns: int, n_ranges: int):
        self.n_ranges = n_ranges
        self._columns = columns
        self._files = [ScratchArray(folder, np.uint64) for _ in range(n_ranges)]

    def add(self, records: np.ndarray, rows: np.ndarray, ranges: np.ndarray) -> None:
        """Append the records ``rows int64[n]`` to the files of their ranges, ``ranges uint64[n]``."""
        ranges = ranges.astype(np.uint16)
        if self.n_ranges > 1:
            rows = rows[np.argsort(ranges, kind="stable")]  # a radix sort for 16 bits
        ends = np.cumsum(np.bincount(ranges, minlength=self.n_ranges))
        for file, part in zip(self._files, np.split(rows, ends[:-1]), strict=True):
            file.append(records.take(part, axis=0).ravel())

    def __iter__(self) -> Iterator[np.ndarray]:
        """The records of each range in turn; its file is gone afterwards."""
        while self._files:
            yield self._files.pop(0).array().reshape(-1, self._columns)


class Copies:
    """Finds the records that share a key with one of a smaller place."""

    def __init__(
        self, folder: Path, n_ranges: int, n_texts: int, *, columns: int, n_keys: int, found: Found, found_columns: int
    ):
        """``found(records, later, first)`` makes the rows that come back, their place first, from row numbers:
        ``later`` copies and the ``first`` of each.
        """
        self._n_keys, self._n_texts, self._found = n_keys, np.uint64(max(n_texts, 1)), found
        self._heads = Spill(folder, columns, n_ranges)
        self._later = Spill(folder, found_columns, n_ranges)

    def add(self, records: np.ndarray) -> None:
        """Search a batch; its first of every key meets the other batches later."""
        heads = self._search(records)
        self._heads.add(records, heads, (records[heads, 1] >> _HALF) * np.uint64(self._heads.n_ranges) >> _HALF)

    def later(self) -> Iterator[np.ndarray]:
        """The found rows of all batches by ascending place, range by range; called once, when all is added."""
        for records in self._heads:
            self._search(records)
        return (found[np.argsort(found[:, 0], kind="stable")] for found in self._later)

    def _search(self, records: np.ndarray) -> np.ndarray:
        """Put the later copies aside; the rows of the others, int64."""
        first = first_of_key(records, self._n_keys)
        is_first = first == np.arange(len(first))
        later = np.flatnonzero(~is_first)
        found = np.ascontiguousarray(self._found(records, later, first[later]))
        ranks = found[:, 0] >> PLACE_BITS
        self._later.add(found, np.arange(len(found)), ranks * np.uint64(self._later.n_ranges) // self._n_texts)
        return np.flatnonzero(is_first)


def first_of_key(records: np.ndarray, n_keys: int) -> np.ndarray:
    """int64[n]: row of the record with the same key and the smallest place.

    >>> first_of_key(np.array([[9, 7], [3, 7], [5, 8]], np.uint64), 1).tolist()
    [1, 1, 2]
    """
    n = len(records)
    table = np.full(1 << max(2 * n - 1, 1).bit_length(), -1, np.int32)
    first = np.empty(n, np.int64)
    _kernels_copies.first_of_key(records, n_keys, table, first)
    return first
