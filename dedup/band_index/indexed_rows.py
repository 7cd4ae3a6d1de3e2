"""Documents as the band index sees them: hashes of texts, band keys and shingle sets, and no text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.tables import read_rows
from gristmill.dedup.band_index import _kernels_index
from gristmill.dedup.band_index.segments import Sets
from gristmill.dedup.clusters import _kernels
from gristmill.dedup.clusters.identities import read_identities
from gristmill.dedup.clusters.minhash import signature_matrix
from gristmill.dedup.clusters.verification import shingle_sets

ROWS_AT_ONCE = 1 << 12  # of signatures, a kilobyte each


@dataclass(frozen=True, slots=True)
class Measured:
    """Documents as the index sees them, row by row."""

    doc_ids: pa.ChunkedArray
    text_hashes: np.ndarray  # uint64[n, 2]
    wordy: np.ndarray  # bool[n]: has a shingle
    keys: np.ndarray  # uint64[bands, n]
    sets: Sets

    def variants(self) -> np.ndarray:
        """uint64[n, 3]: text_hash and digest of the shingle set of each row."""
        digests = np.empty(len(self.wordy), np.uint64)
        _kernels_index.set_digests(*self.sets, digests)
        return np.column_stack([self.text_hashes, digests])


def measure_rows(
    signatures: Sequence[Path],
    documents: Sequence[Path],
    chosen: np.ndarray | None,
    scratch: Path,
    bands: int,
    rows: int,
    shingle_words: int,
) -> Measured:
    """Read parts of ``minhash.signatures_part`` and the documents they were made of.

    Parameters
    ----------
    chosen : bool, one a row of all parts in order: the rows to measure; all when None

    Memory: 8 x bands bytes a chosen document, 52 bytes a row; the sets are mapped from ``scratch``.

    Raises
    ------
    SchemaError : the files are not the same rows in the same order
    """
    found = read_identities(documents, signatures)
    chosen = np.ones(len(found.doc_ids), np.bool_) if chosen is None else chosen
    keys, wordy = _band_keys(signatures, chosen, bands, rows)
    number = np.where(chosen, np.cumsum(chosen, dtype=np.int32) - np.int32(1), np.int32(-1))
    every = np.arange(int(chosen.sum()), dtype=np.int64)
    sets = shingle_sets(documents, number, len(every), every, shingle_words, scratch)
    values = sets.values.array()
    values.flags.writeable = False
    found_sets = Sets(sets.starts, sets.sizes.astype(np.int64), values)
    return Measured(found.doc_ids.filter(pa.array(chosen)), found.text_hashes[chosen], wordy, keys, found_sets)


def _band_keys(signatures: Sequence[Path], chosen: np.ndarray, bands: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """uint64[bands, n] of the chosen rows, and bool[n]: which of them have a shingle."""
    n, start, end = int(chosen.sum()), 0, 0
    keys, wordy = np.empty((bands, n), np.uint64), np.empty(n, np.bool_)
    for path in signatures:
        for batch in read_rows(path, ["shingles", "signature"], ROWS_AT_ONCE):
            some = chosen[start : start + batch.num_rows]
            stop = end + int(some.sum())
            block = np.empty((bands, stop - end), np.uint64)
            _kernels.band_keys(signature_matrix(batch)[some], rows, block)
            keys[:, end:stop], wordy[end:stop] = block, batch["shingles"].to_numpy()[some] > 0
            start, end = start + batch.num_rows, stop
    return keys, wordy


def as_binary(rows: np.ndarray) -> pa.FixedSizeBinaryArray:
    """Rows of ``uint64[n, k]`` as values that Arrow can look up."""
    data = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(8 * rows.shape[1]), len(rows), [None, data])


def find_rows(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """int64[n]: place of each row in ``known``, -1 where it is not there."""
    place = pc.index_in(as_binary(rows), value_set=as_binary(known))
    return pc.fill_null(place, -1).to_numpy().astype(np.int64)


def first_of(codes: np.ndarray, n_codes: int) -> np.ndarray:
    """int64[n_codes]: the first place of each code."""
    first = np.empty(n_codes, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last write, of the smallest place, stays
    return first
