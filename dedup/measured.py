"""A part as the band index sees it: hashes of texts, band keys and shingle sets, and no text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.tables import read_batches
from dedup import _kernels, _kernels_index
from dedup.identities import read_identities
from dedup.minhash import signature_matrix
from dedup.segments import Sets
from dedup.verify import shingle_sets


@dataclass(frozen=True, slots=True)
class Measured:
    """A part as the index sees it, row by row."""

    doc_ids: pa.ChunkedArray
    text_hashes: np.ndarray  # uint64[n, 2]
    wordy: np.ndarray  # bool[n]: has a shingle
    keys: np.ndarray  # uint64[bands, n]
    sets: Sets

    def variants(self, rows: np.ndarray) -> np.ndarray:
        """uint64[n, 3]: text_hash and digest of the shingle set of each of ``rows``."""
        digests = np.empty(len(self.wordy), np.uint64)
        _kernels_index.set_digests(*self.sets, digests)
        return np.column_stack([self.text_hashes, digests])[rows]


def measure_part(
    signatures: Path, documents: Path, scratch: Path, bands: int, rows: int, shingle_words: int
) -> Measured:
    """Read a part of ``minhash.signatures_part`` and the documents it was made of.

    Memory: 8 x bands bytes a document; the sets are mapped from ``scratch``.

    Raises
    ------
    SchemaError : the files are not the same rows in the same order
    """
    found = read_identities([documents], [signatures])
    n, start = len(found.doc_ids), 0
    keys, wordy = np.empty((bands, n), np.uint64), np.empty(n, np.bool_)
    for batch in read_batches(signatures, ["shingles", "signature"]):
        stop = start + batch.num_rows
        block = np.empty((bands, batch.num_rows), np.uint64)
        _kernels.band_keys(signature_matrix(batch), rows, block)
        keys[:, start:stop], wordy[start:stop] = block, batch["shingles"].to_numpy() > 0
        start = stop
    order = np.arange(n, dtype=np.int32)
    sets = shingle_sets([documents], order, n, order, shingle_words, scratch)
    values = sets.values.array()
    values.flags.writeable = False
    found_sets = Sets(sets.starts, sets.sizes.astype(np.int64), values)
    return Measured(found.doc_ids, found.text_hashes, wordy, keys, found_sets)


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
