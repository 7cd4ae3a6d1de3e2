"""Exact duplicates: documents whose text is equal under a named reading, found by its 128-bit hash.

At 10^12 documents the chance of any false match is about 10^-15, so texts are not compared again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.errors import SchemaError, UnknownNameError
from corpus.tables import read_part

IDENTITIES = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("text_hash", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("bytes", pa.int64(), False),
    ]
)
NORMALISATIONS = {
    "raw": "byte for byte, as ingested (NFC)",
    "casefold": "after Unicode case folding, with every run of white space as one space and none at the ends",
}


@dataclass(frozen=True, slots=True)
class Texts:
    """Documents ordered by doc_id and their distinct texts, numbered in the order of their smallest doc_id.

    All later work calls a text by that number: the smaller number has the smaller doc_id, so no result
    depends on the order of files or rows.
    """

    doc_ids: pa.ChunkedArray  # ascending
    rank_of_row: np.ndarray  # int64[n_documents]: place in doc_ids of each row of the files
    text_of_rank: np.ndarray  # int64[n_documents]: number of the document's text
    first_rank: np.ndarray  # int64[n_texts]: rank of the text's first document, the one that stands for it

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.rank_of_row)

    @property
    def n_texts(self) -> int:
        """Number of distinct texts."""
        return len(self.first_rank)

    @property
    def copies(self) -> np.ndarray:
        """int64[n_texts]: documents that have the text."""
        return np.bincount(self.text_of_rank, minlength=self.n_texts)

    @property
    def names(self) -> pa.ChunkedArray:
        """doc_id that stands for each text, ascending."""
        return self.doc_ids.take(pa.array(self.first_rank))

    @property
    def text_of_row(self) -> np.ndarray:
        """int64[n_documents]: the text that a row of the files stands for, -1 for its further copies."""
        text = self.text_of_rank[self.rank_of_row]
        return np.where(self.first_rank[text] == self.rank_of_row, text, -1)


def text_keys(batch: pa.RecordBatch, reading: str = "raw") -> pa.Array:
    r"""32 hex characters a document, equal for texts that are equal under ``reading``.

    ``raw`` takes the documents' own text_hash; ``casefold`` is a Python loop (xxh3-128 of each folded text).

    Raises
    ------
    UnknownNameError : a reading outside NORMALISATIONS

    >>> batch = pa.record_batch({"text": ["To be,\n or", "TO BE, OR "]})
    >>> len(set(text_keys(batch, "casefold").to_pylist()))
    1
    """
    if reading not in NORMALISATIONS:
        raise UnknownNameError("normalisation", reading, NORMALISATIONS)
    if reading == "raw":
        return batch["text_hash"]
    folded = (" ".join(text.casefold().split()) for text in batch["text"].to_pylist())
    return pa.array([xxhash.xxh3_128_hexdigest(text.encode()) for text in folded], pa.string())


def group_texts(identities: pa.Table) -> Texts:
    """Group the rows of a table with doc_id and text_hash by their text.

    Raises
    ------
    SchemaError : a doc_id occurs twice
    """
    order = pc.sort_indices(identities["doc_id"])
    doc_ids = identities["doc_id"].take(order)
    _refuse_twins(doc_ids)
    rank_of_row = np.empty(len(order), np.int64)
    ranks = np.arange(len(order))
    rank_of_row[order.to_numpy()] = ranks
    hashes = pa.chunked_array(identities["text_hash"].take(order)).combine_chunks().dictionary_encode()
    text_of_rank = hashes.indices.to_numpy().astype(np.int64)  # a dictionary lists values as they first appear
    first_rank = np.empty(len(hashes.dictionary), np.int64)
    first_rank[text_of_rank[::-1]] = ranks[::-1]  # the last write, of the smallest rank, stays
    return Texts(doc_ids, rank_of_row, text_of_rank, first_rank)


def _refuse_twins(doc_ids: pa.ChunkedArray) -> None:
    if len(doc_ids) < 2:
        return
    twins = pc.equal(doc_ids[1:], doc_ids[:-1])
    at = pc.index(twins, True).as_py()
    if at >= 0:
        raise SchemaError(
            f"doc_id {doc_ids[at].as_py()} occurs more than once. Every document has one row in one part: "
            "give each of [[sources]] its own name and paths that do not overlap."
        )


def read_identities(documents: Sequence[Path], signatures: Sequence[Path] | None) -> pa.Table:
    """doc_id, text_hash, source and bytes of all documents; text_hash as the signatures have it, when there are any.

    Raises
    ------
    SchemaError : documents and signatures are not the same rows in the same order
    """
    if signatures is None:
        return pa.concat_tables([IDENTITIES.empty_table(), *(_with_sizes(path) for path in documents)])
    if len(documents) != len(signatures):
        raise SchemaError(f"{len(documents)} parts of documents but {len(signatures)} of signatures")
    joined = (_joined(*paths) for paths in zip(documents, signatures, strict=True))
    return pa.concat_tables([IDENTITIES.empty_table(), *joined])


def _identities(*columns: pa.ChunkedArray) -> pa.Table:
    return pa.table(list(columns), schema=IDENTITIES)


def _with_sizes(path: Path) -> pa.Table:
    part = read_part(path, ["doc_id", "text_hash", "source", "text"])
    n_bytes = pc.binary_length(part["text"]).cast(pa.int64())
    return _identities(part["doc_id"], part["text_hash"], part["source"], n_bytes)


def _joined(documents: Path, signatures: Path) -> pa.Table:
    part = read_part(documents, ["doc_id", "source"])
    measured = read_part(signatures, ["doc_id", "text_hash", "bytes"])
    if not part["doc_id"].equals(measured["doc_id"]):
        raise SchemaError(f"{signatures} is not row-aligned with {documents}; compute the signatures again")
    return _identities(measured["doc_id"], measured["text_hash"], part["source"], measured["bytes"])
