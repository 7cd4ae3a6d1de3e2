"""The graph of near duplicates: verified edges, streamed to a file, and what clustering needs of them.

Edges are not kept in memory: union-find takes them as they come, and two spanning forests, at most two edges a text,
are enough to know every bridge (Nagamochi and Ibaraki 1992: they keep all cuts of size 0 and 1).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.tables import write_part
from gristmill.dedup.clusters import _kernels, _kernels_graph
from gristmill.dedup.clusters.exact import Texts
from gristmill.dedup.clusters.grouping import Nodes
from gristmill.dedup.clusters.verification import Edges

PAIRS_A_BATCH = 1 << 17  # rows of the file that are written together
EDGES_AT_ONCE = 1 << 19  # searched for bridges; a larger cluster is searched whole

PAIRS = pa.schema(
    [
        pa.field("a", pa.string(), False),  # doc_id of the document that stands for a text, a < b
        pa.field("b", pa.string(), False),
        pa.field("jaccard", pa.float64(), False),  # exact, of the shingle sets
    ]
)
_NO_EDGES: Edges = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(slots=True)
class NearGraph:
    """Texts 0 to n - 1 and the verified edges between them. Memory: 12 bytes a text, and 16 at most of its edges."""

    n_texts: int
    root: np.ndarray = field(init=False)  # int32[n_texts]; after ``settle`` the smallest text of the cluster
    nearest: np.ndarray = field(init=False)  # float32[n_texts]: the highest Jaccard of the text's edges, 0 without
    looked_at: int = 0  # candidate pairs
    edges: int = 0  # verified pairs
    _second: np.ndarray = field(init=False)
    _forests: list[np.ndarray] = field(default_factory=list)  # int32[n, 2]

    def __post_init__(self):
        self.root = np.arange(self.n_texts, dtype=np.int32)
        self._second = self.root.copy()
        self.nearest = np.zeros(self.n_texts, np.float32)

    def add(self, looked_at: int, edges: Edges) -> None:
        """Take a block of verified edges."""
        a, b, jaccard = edges
        self.looked_at += looked_at
        self.edges += len(a)
        kept = np.zeros(len(a), np.bool_)
        _kernels_graph.unite(self.root, self._second, a, b, kept)
        self._forests.append(np.stack([a[kept], b[kept]], axis=1).astype(np.int32))
        _kernels.raise_to(self.nearest, a, jaccard)
        _kernels.raise_to(self.nearest, b, jaccard)

    def settle(self) -> None:
        """Point every text at its root."""
        _kernels_graph.settle(self.root)

    def bridges(self) -> int:
        """Edges whose loss would part a cluster into two of at least two texts each: where a false match hurts."""
        ends = np.concatenate([*self._forests, np.empty((0, 2), np.int32)])
        ends = ends[np.argsort(self.root[ends[:, 0]], kind="stable")]
        root = self.root[ends[:, 0]]
        cuts = np.searchsorted(root, root[EDGES_AT_ONCE::EDGES_AT_ONCE])  # a cluster is not cut
        bounds = np.unique([0, *cuts, len(ends)]).tolist()
        return sum(_count_bridges(ends[start:stop]) for start, stop in itertools.pairwise(bounds))


def _count_bridges(ends: np.ndarray) -> int:
    nodes, places = np.unique(ends, return_inverse=True)
    places = places.reshape(-1, 2)
    both = np.concatenate([places, places[:, ::-1]])
    order = np.argsort(both[:, 0], kind="stable")
    first = np.searchsorted(both[order, 0], np.arange(len(nodes) + 1))
    return int(_kernels_graph.count_bridges(first, np.ascontiguousarray(both[order, 1]), order % len(ends)))


def write_edges(path: Path, texts: Nodes | Texts, blocks: Iterator[tuple[int, Edges]], graph: NearGraph) -> None:
    """Pass blocks of edges on to ``graph`` and to a Parquet file (PAIRS), ordered by a, then b.

    The file does not depend on how the edges were cut into blocks.
    """

    def taken() -> Iterator[Edges]:
        for looked_at, edges in blocks:
            graph.add(looked_at, edges)
            yield edges

    def batches() -> Iterator[pa.RecordBatch]:
        for a, b, jaccard in _recut(taken(), PAIRS_A_BATCH):
            yield pa.record_batch([texts.names_of(a), texts.names_of(b), pa.array(jaccard)], schema=PAIRS)

    write_part(path, PAIRS, batches())
    graph.settle()


def _recut(blocks: Iterator[Edges], n_rows: int) -> Iterator[Edges]:
    """The same rows in blocks of ``n_rows``, the last one shorter."""
    waiting: list[Edges] = []
    for block in itertools.chain(blocks, [None]):
        waiting += [block] if block else []
        if block and sum(len(one[0]) for one in waiting) < n_rows:
            continue
        a, b, jaccard = (np.concatenate(column) for column in zip(*waiting, strict=True)) if waiting else _NO_EDGES
        stop = len(a) // n_rows * n_rows if block else len(a)
        for start in range(0, stop, n_rows):
            some = slice(start, min(start + n_rows, stop))
            yield a[some], b[some], jaccard[some]
        waiting = [(a[stop:], b[stop:], jaccard[stop:])]
