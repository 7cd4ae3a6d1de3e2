"""Band tables: the buckets of documents that share a band of their signatures, found one range of keys at a time.

A document has one key a band, and those that agree in it share a bucket. The keys go to a file as signatures come, cut
by band and by their highest bits; a cut is then sorted in memory on its own, so that memory is bounded whatever the
number of documents. Ranges ascend as their keys do: their number changes nothing that is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gristmill.corpus.errors import BudgetError
from gristmill.dedup.clusters import _kernels
from gristmill.dedup.scratch import ScratchArray

ENTRY = np.dtype([("key", "<u8"), ("node", "<i4")])
ENTRY_BYTES = 64  # of memory while a range is sorted, for each of its entries: read, split, order, sorted keys, masks
RANGE_BYTES = 64 << 20
PAIRS_AT_ONCE = 1 << 20  # 16 MiB of pairs
PLACES_AT_ONCE = 1 << 20  # of buckets, while pairs are made
MAX_PAIRS = 1 << 32  # in one band: about 93,000 documents in one bucket; verifying them would take hours

Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of two or more documents of all bands, one after the other, on disk; members of a bucket ascend.

    ``members int32[n_places]``, ``stops int64[n_places]`` the end of the bucket that each place lies in.
    Pairs are made as they are asked for, in memory of 4 bytes a document (``renumbered``: a node) beside 64 MiB.
    """

    n_documents: int
    members: ScratchArray
    stops: ScratchArray

    @property
    def nodes(self) -> np.ndarray:
        """Documents that occur in a pair, ascending."""
        occurs = np.zeros(self.n_documents, np.bool_)
        for _, members in self._slices():
            occurs[members] = True
        return np.flatnonzero(occurs)

    def pairs(self) -> Iterator[Pairs]:
        """Arrays a < b, each pair once, ordered by a, then b."""
        members, stops = self.members.array(), self.stops.array()
        met = np.full(self.n_documents, -1, np.int32)
        for turn in self._turns():
            room, at = max(PAIRS_AT_ONCE, _kernels.longest_tail(members, stops, turn)), 0
            a, b = np.empty(room, np.int64), np.empty(room, np.int64)
            while at < len(turn):
                n, at = _kernels.fill_pairs(members, stops, turn, at, met, a, b)
                order = np.lexsort((b[:n], a[:n]))
                if n:
                    yield a[order], b[order]
            self.members.release()
            self.stops.release()

    def renumbered(self, number: np.ndarray) -> "Buckets":
        """The same with every document d called ``number[d]``, which ascends."""
        members = self.members.empty_like()
        for _, some in self._slices():
            members.append(number[some])
        return Buckets(int(number.max(initial=-1)) + 1, members, self.stops)

    def _slices(self) -> Iterator[tuple[int, np.ndarray]]:
        members = self.members.array()
        for start in range(0, len(members), PLACES_AT_ONCE):
            yield start, members[start : start + PLACES_AT_ONCE]
            self.members.release()

    def _turns(self) -> Iterator[np.ndarray]:
        """Places ordered by their document, for one range of documents after the other."""
        for first, stop in self._ranges() if len(self.members) else ():
            found = [start + np.flatnonzero((some >= first) & (some < stop)) for start, some in self._slices()]
            places = np.concatenate(found)
            yield places[np.argsort(self.members.array()[places], kind="stable")]

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Ranges of documents that have about PLACES_AT_ONCE places each."""
        shift = max(self.n_documents.bit_length() - 16, 0)
        counts = np.zeros((self.n_documents >> shift) + 1, np.int64)
        for _, members in self._slices():
            counts += np.bincount(members >> shift, minlength=len(counts))
        turn = (np.cumsum(counts) - counts) // PLACES_AT_ONCE  # that each 65,536th of the documents falls into
        firsts = np.flatnonzero(np.diff(turn, prepend=-1)) << shift
        for first, stop in zip(firsts, [*firsts[1:], self.n_documents], strict=True):
            yield int(first), int(stop)


class BandTables:
    """Band keys of signatures as they come, then the buckets.

    Disk: 12 x bands bytes a document. Memory: ``range_bytes``, unless more documents than that share one key.
    """

    def __init__(
        self, n_documents: int, bands: int, rows: int, scratch: Path | None = None, range_bytes: int = RANGE_BYTES
    ):
        self._n_documents, self._bands, self._rows, self._scratch = n_documents, bands, rows, scratch
        self._range_bits = max(n_documents * ENTRY_BYTES // range_bytes, 0).bit_length()
        self._entries = ScratchArray(scratch, ENTRY)
        self._bounds: list[np.ndarray] = []  # of every cut in each batch of entries

    def add(self, nodes: np.ndarray, signatures: np.ndarray) -> None:
        """Index ``signatures uint64[n, hashes]`` of the documents ``nodes int[n]``."""
        keys = np.empty((self._bands, len(nodes)), np.uint64)
        _kernels.band_keys(signatures, self._rows, keys)
        cuts = self._cuts(keys)
        order = np.argsort(cuts, kind="stable")
        entries = np.empty(keys.size, ENTRY)
        entries["key"], entries["node"] = keys.reshape(-1)[order], nodes[order % max(len(nodes), 1)]
        ends = np.searchsorted(cuts[order], np.arange((self._bands << self._range_bits) + 1))
        self._bounds.append(len(self._entries) + ends)
        self._entries.append(entries)

    def _cuts(self, keys: np.ndarray) -> np.ndarray:
        """Number of the cut that each key falls into: band, then highest bits."""
        band = np.arange(self._bands, dtype=np.uint32)[:, None] << np.uint32(self._range_bits)
        high = keys >> np.uint64(64 - self._range_bits) if self._range_bits else np.zeros_like(keys)
        return (band + high.astype(np.uint32)).reshape(-1)

    def candidates(self) -> Buckets:
        """The buckets, one band after the other.

        Raises
        ------
        BudgetError : one band holds more pairs than can be verified
        """
        members, stops = ScratchArray(self._scratch, np.int32), ScratchArray(self._scratch, np.int64)
        for band in range(self._bands):
            n_pairs = 0
            for cut in range(band << self._range_bits, (band + 1) << self._range_bits):
                found, ends = _buckets(self._read(cut))
                n_pairs += int((ends - np.arange(len(ends)) - 1).sum())
                _refuse_too_many(n_pairs)
                stops.append(ends + len(members))
                members.append(found)
        return Buckets(self._n_documents, members, stops)

    def _read(self, cut: int) -> np.ndarray:
        entries = self._entries.array()
        found = [entries[bounds[cut] : bounds[cut + 1]] for bounds in self._bounds]
        entries = np.concatenate([*found, np.empty(0, ENTRY)])
        self._entries.release()
        return entries


def _buckets(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Members of each bucket of two or more, and the end of the bucket that each lies in."""
    keys, nodes = np.ascontiguousarray(entries["key"]), np.ascontiguousarray(entries["node"])
    order = np.argsort(keys)
    keys = keys[order]
    repeats = np.zeros(len(keys) + 1, np.bool_)  # place i has the key of place i - 1
    repeats[1:-1] = keys[1:] == keys[:-1]
    shared = repeats[1:] | repeats[:-1]
    bucket = np.cumsum(~repeats[:-1][shared])  # from 1
    members = nodes[order[shared]]
    members = members[np.lexsort((members, bucket))]  # a stable sort of all keys would cost four times as much
    sizes = np.bincount(bucket)
    return members, np.repeat(np.cumsum(sizes), sizes)


def _refuse_too_many(n_pairs: int) -> None:
    if n_pairs > MAX_PAIRS:
        raise BudgetError(
            f"one band of the LSH index holds {n_pairs:,} pairs, more than {MAX_PAIRS:,} that can be verified: "
            "many documents share most of their words (a template, a licence). Filter them before, or set more "
            "dedup.near.rows or a higher dedup.near.threshold."
        )
