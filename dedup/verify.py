"""Proof of candidate pairs: the exact Jaccard similarity of their shingle sets.

Only texts that occur in a candidate pair are read again. Their sets go to a scratch file that is mapped, not loaded,
so that memory is bounded by the pairs at hand whatever the size of the corpus.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.columns import text_column
from dedup import _kernels
from dedup.candidates import Candidates

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Sorted distinct shingle hashes a document: ``values[starts[d] : starts[d] + sizes[d]]``, uint64.

    A shingle counts once however often it occurs. Two shingles with one 64-bit hash are taken for the same:
    a chance of 1 in 10^9 for a pair of documents of 100,000 shingles each.
    """

    starts: np.ndarray
    sizes: np.ndarray
    values: np.ndarray

    def jaccard(self, a: np.ndarray, b: np.ndarray, at_least: float = 0.0) -> np.ndarray:
        """Exact similarity of the pairs ``int64[n]``; 0 where the sizes alone prove it below ``at_least``.

        Two empty sets have similarity 0.
        """
        out = np.empty(len(a))
        _kernels.jaccard_of_pairs(self.starts, self.sizes, self.values, a, b, at_least, out)
        return out


def shingle_sets(
    documents: Sequence[Path],
    node_of_row: np.ndarray,
    n_nodes: int,
    wanted: np.ndarray,
    shingle_words: int,
    scratch: Path,
) -> ShingleSets:
    """Read the sets of the ``wanted`` nodes.

    Parameters
    ----------
    documents : part files with ``text``
    node_of_row : int64, one a row of all files in order; the document's number, -1 for rows to skip
    n_nodes : count of numbers
    wanted : numbers to read, int64
    shingle_words : words in a shingle, as in the signatures
    scratch : folder for the scratch file, which is gone afterwards
    """
    chosen = np.zeros(n_nodes + 1, np.bool_)  # the last place stands for -1
    chosen[wanted] = True
    starts, sizes, end = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64), 0
    with tempfile.TemporaryFile(dir=scratch) as file:
        for rows, texts in _texts(documents, chosen[node_of_row]):
            nodes = node_of_row[rows]
            values, found = _sets_of(texts, shingle_words)
            sizes[nodes] = found
            starts[nodes] = end + np.cumsum(found) - found
            end += len(values)
            values.tofile(file)
        return ShingleSets(starts, sizes, _mapped(file, end))


def _mapped(file: IO[bytes], length: int) -> np.ndarray:
    """The scratch file as an array; the map keeps it alive after it is closed."""
    file.flush()
    return np.asarray(np.memmap(file, np.uint64, "r+", shape=(length,))) if length else np.empty(0, np.uint64)


def _texts(documents: Sequence[Path], chosen: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Row numbers and texts of the chosen rows, one row group at a time; other row groups are not read."""
    start = 0
    for path in documents:
        with pq.ParquetFile(path, memory_map=True) as file:
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                rows = np.flatnonzero(chosen[start:stop])
                if len(rows):
                    yield rows + start, file.read_row_group(group, columns=["text"], use_threads=False).take(rows)
                start = stop


def _sets_of(texts: pa.Table, shingle_words: int) -> tuple[np.ndarray, np.ndarray]:
    text = text_column(texts)
    sizes = np.empty(text.n_docs, np.int64)
    values = np.empty(int(_kernels.set_capacity(text.offsets)), np.uint64)
    end = _kernels.shingle_sets(text.offsets, text.data, shingle_words, sizes, values)
    return values[:end], sizes


def verified(candidates: Candidates, sets: ShingleSets, threshold: float) -> Iterator[tuple[int, Edges]]:
    """Block by block: how many pairs were looked at, and those (a, b, jaccard) with jaccard >= threshold."""
    for a, b in candidates.pairs():
        jaccard = sets.jaccard(a, b, threshold)
        proved = jaccard >= threshold
        yield len(a), (a[proved], b[proved], jaccard[proved])
