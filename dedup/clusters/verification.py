"""Proof of candidate pairs: the exact Jaccard similarity of their shingle sets.

Only texts that occur in a candidate pair are read again. Their sets go to a scratch file that is mapped, and let go
of every 64 MiB, so that memory is bounded whatever the size of the corpus.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.text.columns import text_column
from gristmill.dedup.clusters import _kernels
from gristmill.dedup.clusters.candidates import Candidates
from gristmill.dedup.scratch import ScratchArray

SHINGLES_AT_ONCE = 1 << 23  # 64 MiB of sets are looked at before their pages are let go of
SHINGLES_A_FAULT = 1 << 13  # the system maps 64 KiB around a page that is read; a set has 2.4 KB
Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Sorted distinct shingle hashes a document: ``values.array()[starts[d] : starts[d] + sizes[d]]``, uint64.

    A shingle counts once however often it occurs. Two shingles with one 64-bit hash are taken for the same:
    a chance of 1 in 10^9 for a pair of documents of 100,000 shingles each.
    """

    starts: np.ndarray  # int64
    sizes: np.ndarray  # int32
    values: ScratchArray

    def jaccard(self, a: np.ndarray, b: np.ndarray, at_least: float = 0.0) -> np.ndarray:
        """Exact similarity of the pairs ``int64[n]``; 0 where the sizes alone prove it below ``at_least``.

        Two empty sets have similarity 0.
        """
        out, values = np.empty(len(a)), self.values.array()
        for some in self._blocks(a, b):
            _kernels.jaccard_of_pairs(self.starts, self.sizes, values, a[some], b[some], at_least, out[some])
            self.values.release()
        return out

    def _blocks(self, a: np.ndarray, b: np.ndarray) -> Iterator[slice]:
        """Pairs whose sets lie on pages of about SHINGLES_AT_ONCE members together; all when there are no more."""
        whole = len(self.values) <= SHINGLES_AT_ONCE
        pages = (np.maximum(self.sizes[of], 0 if whole else SHINGLES_A_FAULT) for of in (a, b))
        another = np.diff(a, prepend=-1) != 0  # pairs are ordered by a, whose pages are then there
        touched = np.cumsum(next(pages) * another, dtype=np.int64) + np.cumsum(next(pages), dtype=np.int64)
        cuts = np.flatnonzero(np.diff(touched // SHINGLES_AT_ONCE)) + 1
        bounds = [0, *cuts.tolist(), len(a)]
        return map(slice, bounds[:-1], bounds[1:])


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
    node_of_row : int32, one a row of all files in order; the document's number, below 0 for rows to skip
    n_nodes : count of numbers
    wanted : numbers to read, int64
    shingle_words : words in a shingle, as in the signatures
    scratch : folder for the scratch file, which is gone afterwards
    """
    chosen = np.zeros(n_nodes, np.bool_)
    chosen[wanted] = True
    starts, sizes = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int32)
    values = ScratchArray(scratch, np.uint64)
    for nodes, texts in _texts(documents, node_of_row, chosen):
        found, counts = _sets_of(texts, shingle_words)
        sizes[nodes] = counts
        starts[nodes] = len(values) + np.cumsum(counts) - counts
        values.append(found)
    return ShingleSets(starts, sizes, values)


def _texts(
    documents: Sequence[Path], node_of_row: np.ndarray, chosen: np.ndarray
) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Nodes and texts of the chosen nodes, one row group at a time; other row groups are not read."""
    start = 0
    for path in documents:
        with pq.ParquetFile(path, memory_map=True) as file:
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                nodes = node_of_row[start:stop]
                rows = np.flatnonzero(nodes >= 0)
                rows = rows[chosen[nodes[rows]]]
                if len(rows):
                    yield nodes[rows], file.read_row_group(group, columns=["text"], use_threads=False).take(rows)
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
