"""Rows of shards and their digests, for verify alone: pyarrow, numpy and xxhash, and nothing of the way to the trainer.

Loader, reader and trainer can be wrong in any way and this is not: an import contract holds that none of them, nor the
digests that they compute, is imported here, not even through others. The layout stands in
docs/decisions/0030-row-digest.md; it is written down a second time below, row by row and slice by slice.
"""

import struct
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

NONE = 0xFFFF_FFFF


class Slice(NamedTuple):
    """One document's part of a row: its place, its tokens, and what is to be predicted behind each of them."""

    start: int
    tokens: np.ndarray  # uint32[n]
    positions: np.ndarray  # uint32[n]
    targets: np.ndarray  # uint32[n], NONE where nothing counts
    reach: np.ndarray  # uint32[n], how many tokens back attention sees

    @property
    def counted(self) -> int:
        """Predicted tokens that count."""
        return int((self.targets != NONE).sum())


class DomainRows:
    """The rows of one folder of shards, in the order in which they were written."""

    def __init__(self, folder: Path):
        self._folder = folder

    @cached_property
    def _batches(self) -> list[pa.RecordBatch]:
        paths = sorted(self._folder.glob("data-*.arrow"))
        return [batch for path in paths for batch in pa.ipc.open_stream(pa.memory_map(str(path)))]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([batch.num_rows for batch in self._batches])

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self._ends[-1])

    def slices(self, row: int) -> list[Slice]:
        """The document slices of a row, each read for itself: positions from 0, attention back to its first token."""
        at = int(np.searchsorted(self._ends, row, side="right"))
        batch = self._batches[at].slice(row - int(self._ends[at]) + self._batches[at].num_rows, 1)
        tokens = batch.column("tokens").flatten().to_numpy().astype(np.uint32)
        documents = batch.column("documents").flatten()
        counts = _counts(batch, len(tokens))
        places = zip(documents.field("start").to_pylist(), documents.field("length").to_pylist(), strict=True)
        return [_slice(tokens, counts, start, start + length) for start, length in places]

    def documents(self, begin: str = "") -> tuple[np.ndarray, pa.ChunkedArray]:
        """Row, int64[n], and doc_id of every document slice whose doc_id begins so, in order."""
        rows, ids, first = [np.empty(0, np.int64)], list[pa.Array](), 0
        for batch in self._batches:
            column = batch.column("documents")
            found = column.flatten().field("doc_id")
            chosen = pc.starts_with(found, begin)
            at = np.repeat(np.arange(first, first + batch.num_rows), column.value_lengths().to_numpy())
            rows.append(at[chosen.to_numpy(zero_copy_only=False)])
            ids.append(found.filter(chosen))
            first += batch.num_rows
        return np.concatenate(rows), pa.chunked_array(ids, pa.string())


def _counts(batch: pa.RecordBatch, row_tokens: int) -> np.ndarray:
    """bool[row_tokens]: whether a token counts where it is predicted."""
    if "targets" not in batch.schema.names:
        return np.ones(row_tokens, bool)
    counts = np.zeros(row_tokens, bool)
    for place in batch.column("targets")[0].as_py():
        counts[place["start"] : place["start"] + place["length"]] = True
    return counts


def _slice(tokens: np.ndarray, counts: np.ndarray, start: int, stop: int) -> Slice:
    place = np.arange(stop - start, dtype=np.uint32)
    targets = np.full(stop - start, NONE, np.uint32)
    targets[:-1] = np.where(counts[start + 1 : stop], tokens[start + 1 : stop], NONE)
    return Slice(start, tokens[start:stop], place, targets, place)


def digest_of(domain: int, epoch: int, slices: list[Slice]) -> bytes:
    """The digest of a row, 16 bytes."""
    digest = xxhash.xxh3_128(b"gr2" + struct.pack("<HI", domain if slices else 0xFFFF, epoch))
    for one in slices:
        digest.update(struct.pack("<II", one.start, len(one.tokens)))
        digest.update(np.concatenate((one.tokens, one.positions, one.targets, one.reach)).astype("<u4").tobytes())
    return digest.digest()
