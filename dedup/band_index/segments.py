"""Segments of the band index: immutable folders of documents, sorted band tables, shingle sets and verified edges.

A *variant* is a text as the index compares it: a text_hash with the set of its shingles. Documents of one text share
one, so that copies cost a row and no comparison. What is compared are 64-bit hashes; no text is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import BudgetError
from gristmill.corpus.files import fsync_path
from gristmill.corpus.tables import read_batches, read_part
from gristmill.dedup.band_index import _kernels_index

DOCUMENTS = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("variant", pa.int64(), False),  # number in the whole index
    ]
)
EDGES = pa.schema(
    [
        pa.field("a", pa.int64(), False),  # variants, a < b
        pa.field("b", pa.int64(), False),
        pa.field("jaccard", pa.float64(), False),
    ]
)
REFUSED = pa.schema([EDGES.field("a"), EDGES.field("b")])  # candidates that were no near duplicates, for the alarms
REFUSED_FILE = "refused.parquet"
QUERIES_AT_ONCE = 1 << 16  # 16 bytes each and band
PAIRS_AT_ONCE = 1 << 20
MAX_PAIRS = 1 << 32  # in one append or query; verifying them would take hours
RUNS_AT_ONCE = 1 << 16

Matches = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]


class Sets(NamedTuple):
    """Sorted distinct shingle hashes of each text: ``values[starts[d] : starts[d] + sizes[d]]``."""

    starts: np.ndarray  # int64
    sizes: np.ndarray  # int64
    values: np.ndarray  # uint64, read-only


def map_sets(sizes: np.ndarray, path: Path) -> Sets:
    """Sets that stand one after the other in a file."""
    values = np.memmap(path, np.uint64, "r") if path.stat().st_size else np.empty(0, np.uint64)
    values.flags.writeable = False
    return Sets(np.cumsum(sizes) - sizes, sizes, np.asarray(values))


@dataclass(frozen=True)
class Segment:
    """An open segment; its arrays are mapped, not loaded."""

    folder: Path
    first_variant: int  # number in the whole index
    n_variants: int

    @property
    def documents(self) -> pa.Table:
        """DOCUMENTS, ordered by doc_id."""
        return read_part(self.folder / "documents.parquet")

    @cached_property
    def variants(self) -> np.ndarray:
        """uint64[n_variants, 3]: text_hash in two words, digest of the shingle set."""
        return np.load(self.folder / "variants.npy")

    @property
    def edges(self) -> pa.Table:
        """EDGES found when the segment was appended: among its variants, and from earlier ones to them."""
        return read_part(self.folder / "edges.parquet")

    def refused(self) -> Iterator[np.ndarray]:
        """int64[2, n], block by block: pairs that shared a band and were refused by verification; as ``edges``."""
        for batch in read_batches(self.folder / REFUSED_FILE):
            yield np.stack([batch["a"].to_numpy(), batch["b"].to_numpy()])

    @cached_property
    def keys(self) -> np.ndarray:
        """Band keys of the variants that have a word, uint64[bands, n], each band ascending."""
        return np.load(self.folder / "keys.npy", mmap_mode="r")

    @cached_property
    def members(self) -> np.ndarray:
        """The variants that the keys belong to, int32[bands, n], counted from ``first_variant``."""
        return np.load(self.folder / "members.npy", mmap_mode="r")

    @cached_property
    def sets(self) -> Sets:
        """Shingle sets of the variants."""
        return map_sets(np.load(self.folder / "sizes.npy"), self.folder / "sets.u64")

    def band_keys(self) -> tuple[np.ndarray, np.ndarray]:
        """The variants that have a word, ascending, and their keys uint64[bands, n] in that order."""
        turn = np.argsort(self.members, axis=1)
        wordy = np.sort(self.members[0]).astype(np.int64) if self.members.size else np.empty(0, np.int64)
        return wordy, np.take_along_axis(np.asarray(self.keys), turn, axis=1)

    def matches(self, keys: np.ndarray, sets: Sets, nodes: np.ndarray, threshold: float) -> Matches:
        """Pairs that share a band, block by block: (place in ``nodes``, variant from ``first_variant`` on, jaccard).

        The pair is verified where jaccard >= threshold; 0 where the sizes alone prove it below.

        Parameters
        ----------
        keys : uint64[bands, n], the band keys of n texts
        sets, nodes : set ``nodes[i]`` of ``sets`` is that of text i
        """
        begin, n_pairs = 0, 0
        for begin in range(0, keys.shape[1], QUERIES_AT_ONCE):
            block = keys[:, begin : begin + QUERIES_AT_ONCE]
            for queries, found in self._candidates(block):
                n_pairs = _check_pairs(n_pairs + len(queries))
                yield begin + queries, found, self.jaccard(sets, nodes[begin + queries], found, threshold)

    def jaccard(self, sets: Sets, nodes: np.ndarray, found: np.ndarray, at_least: float = 0.0) -> np.ndarray:
        """double[n]: similarity of set ``nodes[i]`` of ``sets`` and that of variant ``found[i]`` of the segment.

        0 where the sizes alone prove it below ``at_least``.
        """
        out = np.empty(len(nodes))
        _kernels_index.jaccard_across(*sets, nodes, *self.sets, found, at_least, out)
        return out

    def _candidates(self, keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs (column of ``keys``, variant) that share a band, ordered by column."""
        lows, highs = _places(self.keys, keys, "left"), _places(self.keys, keys, "right")
        room = max(PAIRS_AT_ONCE, int((highs - lows).sum(axis=0).max(initial=0)))
        met = np.full(self.n_variants, -1, np.int32)
        queries, found = np.empty(room, np.int64), np.empty(room, np.int64)
        at = 0
        while at < keys.shape[1]:
            n, at = _kernels_index.fill_matches(lows, highs, self.members, at, met, queries, found)
            yield queries[:n].copy(), found[:n].copy()


def _places(table: np.ndarray, keys: np.ndarray, side: str) -> np.ndarray:
    """Where each key stands in its sorted band, int64[bands, n]; probed in order of the keys: the disk is read once."""
    places = np.empty(keys.shape, np.int64)
    for band in range(len(keys)):
        order = np.argsort(keys[band])
        places[band, order] = np.searchsorted(table[band], keys[band, order], side)  # type: ignore[call-overload]
    return places


def _check_pairs(n_pairs: int) -> int:
    if n_pairs > MAX_PAIRS:
        raise BudgetError(
            f"the band index proposes more than {MAX_PAIRS:,} pairs: many documents share most of their words (a "
            "template, a licence). Filter them before, or set more dedup.near.rows or a higher dedup.near.threshold."
        )
    return n_pairs


def write_segment(
    folder: Path,
    documents: pa.Table,
    variants: np.ndarray,
    wordy: np.ndarray,
    keys: np.ndarray,
    sets: Sets,
    order: np.ndarray,
) -> None:
    """Fill ``folder`` with all of a segment but its edges.

    Parameters
    ----------
    documents, variants : as in ``Segment``
    wordy, keys : the variants that have a word, int64[n] ascending, and their band keys, uint64[bands, n]
    sets, order : variant v of the segment has set ``order[v]``
    """
    folder.mkdir(parents=True)
    pq.write_table(documents.cast(DOCUMENTS), folder / "documents.parquet", compression="zstd", compression_level=1)
    turn = np.argsort(keys, axis=1, kind="stable")
    np.save(folder / "variants.npy", variants)
    np.save(folder / "keys.npy", np.take_along_axis(keys, turn, axis=1))
    np.save(folder / "members.npy", wordy[turn].astype(np.int32))
    np.save(folder / "sizes.npy", sets.sizes[order])
    with (folder / "sets.u64").open("wb") as file:
        for begin in range(0, len(order), RUNS_AT_ONCE):
            runs = order[begin : begin + RUNS_AT_ONCE]
            values = np.empty(int(sets.sizes[runs].sum()), np.uint64)
            _kernels_index.gather_runs(*sets, runs, values)
            values.tofile(file)


def write_edges(folder: Path, blocks: Sequence[np.ndarray], jaccards: Sequence[np.ndarray]) -> None:
    """Write edges.parquet, ordered by a, then b; ``blocks int64[2, n]``, ``jaccards double[n]``."""
    a, b = np.concatenate([np.empty((2, 0), np.int64), *blocks], axis=1)
    jaccard = np.concatenate([np.empty(0), *jaccards])
    order = np.lexsort((b, a))
    table = pa.table([a[order], b[order], jaccard[order]], schema=EDGES)
    pq.write_table(table, folder / "edges.parquet", compression="zstd", compression_level=1)


def write_refused(folder: Path, blocks: Sequence[np.ndarray]) -> None:
    """Write refused.parquet, ordered by a, then b; ``blocks int64[2, n]``."""
    a, b = np.concatenate([np.empty((2, 0), np.int64), *blocks], axis=1)
    order = np.lexsort((b, a))
    table = pa.table([a[order], b[order]], schema=REFUSED)
    pq.write_table(table, folder / REFUSED_FILE, compression="zstd", compression_level=1)


def commit(aside: Path, final: Path) -> None:
    """Flush a filled folder and rename it into place."""
    for path in sorted(aside.iterdir()):
        fsync_path(path)
    aside.rename(final)
    fsync_path(final.parent)


def joined_sets(segments: Sequence[Segment], scratch: Path) -> Sets:
    """The sets of several segments as one collection, in a mapped scratch file."""
    with scratch.open("wb") as file:
        for segment in segments:
            segment.sets.values.tofile(file)
    return map_sets(np.concatenate([np.empty(0, np.int64), *(segment.sets.sizes for segment in segments)]), scratch)
