"""Candidate pairs by locality-sensitive hashing: two documents that share a band of their signatures.

Two engines give the same pairs: ``bands`` sorts a table of keys a band; ``datasketch`` asks datasketch's own
MinHashLSH, one Python object a document, as a check and for users who keep such an index.
Documents are called by number here, 0 to n - 1; ``clusters`` numbers them by doc_id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from corpus.errors import BudgetError, UnknownNameError
from dedup import _kernels

if TYPE_CHECKING:
    from datasketch import LeanMinHash

Engine = Literal["bands", "datasketch"]
ENGINES: tuple[Engine, ...] = ("bands", "datasketch")
PAIRS_AT_ONCE = 1 << 20  # 16 MiB of pairs
MAX_PAIRS = 1 << 32  # in one band: about 93,000 documents in one bucket; verifying them would take hours

Pairs = tuple[np.ndarray, np.ndarray]


class Candidates(Protocol):
    """Pairs to verify."""

    @property
    def nodes(self) -> np.ndarray:
        """Documents that occur in a pair, ascending, int64."""
        ...

    def pairs(self) -> Iterator[Pairs]:
        """Arrays a < b, each pair once, ordered by a, then b; a block holds all pairs of an a."""
        ...


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of two or more documents of all bands, one after the other; members of a bucket ascend.

    ``members int32[n_places]``, ``stops int64[n_places]`` the end of the bucket that each place lies in.
    Memory grows with the documents that collide, pairs are made as they are asked for.
    """

    n_documents: int
    members: np.ndarray
    stops: np.ndarray

    @property
    def nodes(self) -> np.ndarray:
        """Documents that occur in a pair, ascending."""
        return np.unique(self.members).astype(np.int64)

    def pairs(self) -> Iterator[Pairs]:
        """Arrays a < b, each pair once, ordered by a, then b."""
        turn = np.argsort(self.members, kind="stable")
        room = max(PAIRS_AT_ONCE, _kernels.longest_tail(self.members, self.stops, turn))
        met = np.full(self.n_documents, -1, np.int64)
        a, b = np.empty(room, np.int64), np.empty(room, np.int64)
        at = 0
        while at < len(turn):
            n, at = _kernels.fill_pairs(self.members, self.stops, turn, at, met, a, b)
            order = np.lexsort((b[:n], a[:n]))
            if n:
                yield a[order], b[order]


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


NO_CANDIDATES = Listed(np.empty(0, np.int64), np.empty(0, np.int64))


class BandIndex:
    """Band keys of signatures as they come, then the buckets. Holds 8 x bands bytes a document."""

    def __init__(self, n_documents: int, bands: int, rows: int):
        self._keys = np.empty((bands, n_documents), np.uint64)
        self._present = np.zeros(n_documents, np.bool_)
        self._rows = rows

    def add(self, nodes: np.ndarray, signatures: np.ndarray) -> None:
        """Index ``signatures uint64[n, hashes]`` of the documents ``nodes int64[n]``."""
        keys = np.empty((len(self._keys), len(nodes)), np.uint64)
        _kernels.band_keys(signatures, self._rows, keys)
        self._keys[:, nodes] = keys
        self._present[nodes] = True

    def candidates(self) -> Buckets:
        """The buckets, one band after the other."""
        present = np.flatnonzero(self._present).astype(np.int32)
        members, stops, end = [], [], 0
        for keys in self._keys:
            found, found_stops = _buckets_of_band(keys[present], present)
            members.append(found)
            stops.append(found_stops + end)
            end += len(found)
        return Buckets(len(self._present), np.concatenate(members), np.concatenate(stops))


def _buckets_of_band(keys: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys)
    keys = keys[order]
    repeats = np.zeros(len(keys) + 1, np.bool_)  # place i has the key of place i - 1
    repeats[1:-1] = keys[1:] == keys[:-1]
    shared = repeats[1:] | repeats[:-1]
    bucket = np.cumsum(~repeats[:-1][shared])  # from 1
    members = nodes[order[shared]]
    members = members[np.lexsort((members, bucket))]  # a stable sort of all keys would cost four times as much
    sizes = np.bincount(bucket)
    stops = np.repeat(np.cumsum(sizes), sizes)
    n_pairs = int((stops - np.arange(len(stops)) - 1).sum())
    if n_pairs > MAX_PAIRS:
        raise BudgetError(
            f"one band of the LSH index holds {n_pairs:,} pairs, more than {MAX_PAIRS:,} that can be verified: "
            "many documents share most of their words (a template, a licence). Filter them before, or set more "
            "dedup.near.rows or a higher dedup.near.threshold."
        )
    return members, stops


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


def new_index(engine: str, *, n_documents: int, bands: int, rows: int, hashes: int) -> BandIndex | DatasketchIndex:
    """An empty index; ``engine`` is "bands" or "datasketch".

    Raises
    ------
    UnknownNameError : another engine
    """
    if engine == "bands":
        return BandIndex(n_documents, bands, rows)
    if engine == "datasketch":
        return DatasketchIndex(bands, rows, hashes)
    raise UnknownNameError("engine", engine, ENGINES)
