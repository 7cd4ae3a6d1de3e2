"""Candidate pairs by locality-sensitive hashing: two documents that share a band of their signatures.

Two engines give the same pairs: ``bands`` sorts tables of keys on disk (module ``bands``); ``datasketch`` asks
datasketch's own MinHashLSH, one Python object a document, as a check and for users who keep such an index.
Documents are called by number here, 0 to n - 1, in the order of doc_id; see ``grouping``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from gristmill.corpus.errors import UnknownNameError
from gristmill.dedup.clusters.bands import BandTables, Pairs

if TYPE_CHECKING:
    from datasketch import LeanMinHash

Engine = Literal["bands", "datasketch"]
ENGINES: tuple[Engine, ...] = ("bands", "datasketch")


class Candidates(Protocol):
    """Pairs to verify."""

    @property
    def nodes(self) -> np.ndarray:
        """Documents that occur in a pair, ascending, int64."""
        ...

    def pairs(self) -> Iterator[Pairs]:
        """Arrays a < b, each pair once, ordered by a, then b; a block holds all pairs of an a."""
        ...

    def renumbered(self, number: np.ndarray) -> "Candidates":
        """The same with every document d called ``number[d]``, which ascends."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """Pairs that are all known, ordered by a, then b."""

    a: np.ndarray
    b: np.ndarray

    @property
    def nodes(self) -> np.ndarray:
        """Documents that occur in a pair, ascending."""
        return np.unique(np.concatenate([self.a, self.b]))

    def pairs(self) -> Iterator[Pairs]:
        """All pairs as one block."""
        if len(self.a):
            yield self.a, self.b

    def renumbered(self, number: np.ndarray) -> "Listed":
        """The same with every document d called ``number[d]``."""
        return Listed(number[self.a].astype(np.int64), number[self.b].astype(np.int64))


NO_CANDIDATES = Listed(np.empty(0, np.int64), np.empty(0, np.int64))


class DatasketchIndex:
    """The same pairs from ``datasketch.MinHashLSH``, in about 65 CPU microseconds a document (ours: one)."""

    def __init__(self, bands: int, rows: int, hashes: int):
        from datasketch import MinHashLSH

        self._index = MinHashLSH(num_perm=hashes, params=(bands, rows))
        self._kept: dict[int, LeanMinHash] = {}

    def add(self, nodes: np.ndarray, signatures: np.ndarray) -> None:
        """Insert signatures; a Python loop, as datasketch takes one object at a time."""
        from datasketch import LeanMinHash

        for node, signature in zip(nodes.tolist(), signatures, strict=True):
            self._kept[node] = LeanMinHash(seed=0, hashvalues=signature, scheme="affine64")
            self._index.insert(node, self._kept[node], check_duplication=False)

    def candidates(self) -> Listed:
        """Query every document for the larger numbers among its answers."""
        found = [(a, b) for a, sketch in self._kept.items() for b in self._index.query(sketch)]
        pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
        a, b = pairs[pairs[:, 0] < pairs[:, 1]].T
        return Listed(np.ascontiguousarray(a), np.ascontiguousarray(b))


def new_index(
    engine: str, *, n_documents: int, bands: int, rows: int, hashes: int, scratch: Path | None = None
) -> BandTables | DatasketchIndex:
    """An empty index; ``engine`` is "bands" or "datasketch", ``scratch`` the folder for band tables.

    Raises
    ------
    UnknownNameError : another engine
    """
    if engine == "bands":
        return BandTables(n_documents, bands, rows, scratch)
    if engine == "datasketch":
        return DatasketchIndex(bands, rows, hashes)
    raise UnknownNameError("engine", engine, ENGINES)
