"""Exact duplicates: documents whose text is equal under a named reading, found by its 128-bit hash.

At 10^12 documents the chance of any false match is about 10^-15, so texts are not compared again.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from gristmill.corpus.errors import BudgetError, SchemaError, UnknownNameError

MOST_DOCUMENTS = 2**31 - 1  # documents are numbered in 32 bits
NORMALISATIONS = {
    "raw": "byte for byte, as ingested (NFC)",
    "casefold": "after Unicode case folding, with every run of white space as one space and none at the ends",
}


@dataclass(frozen=True, slots=True)
class Texts:
    """Documents ordered by doc_id and their distinct texts, numbered in the order of their smallest doc_id.

    All in memory, as the band index holds them; ``grouping`` does the same for a corpus of any size.
    All later work calls a text by that number: the smaller number has the smaller doc_id, so no result
    depends on the order of files or rows.
    """

    doc_ids: pa.LargeStringArray  # ascending
    rank_of_row: np.ndarray  # int32[n_documents]: place in doc_ids of each row of the files
    text_of_rank: np.ndarray  # int32[n_documents]: number of the document's text
    first_rank: np.ndarray  # int32[n_texts]: rank of the text's first document, the one that stands for it

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.rank_of_row)

    @property
    def n_texts(self) -> int:
        """Number of distinct texts."""
        return len(self.first_rank)

    @property
    def n_alone(self) -> int:
        """Texts without a number: none, here all have one."""
        return 0

    @property
    def copies(self) -> np.ndarray:
        """int32[n_texts]: documents that have the text."""
        return np.bincount(self.text_of_rank, minlength=self.n_texts).astype(np.int32)

    @property
    def text_of_row(self) -> np.ndarray:
        """int32[n_documents]: the text that a row of the files stands for, -1 for its further copies."""
        text = self.text_of_rank[self.rank_of_row]
        return np.where(self.first_rank[text] == self.rank_of_row, text, np.int32(-1))

    def names_of(self, texts: np.ndarray) -> pa.Array:
        """doc_id that stands for each of ``texts``; names ascend as the numbers do."""
        return self.ids_of(self.first_rank[texts])

    def ids_of(self, ranks: np.ndarray) -> pa.Array:
        """doc_id of each of ``ranks``."""
        return self.doc_ids.take(pa.array(ranks)).cast(pa.string())


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


def group_texts(doc_ids: pa.ChunkedArray, text_hashes: np.ndarray) -> Texts:
    """Group documents by their text: ``text_hashes uint64[n_documents, 2]``.

    Memory: 150 bytes a document on the way, 52 in the result.

    Raises
    ------
    SchemaError : a doc_id occurs twice
    BudgetError : more documents than numbers
    """
    refuse_too_many(len(doc_ids))
    order = pc.sort_indices(doc_ids)
    ascending = doc_ids.cast(pa.large_string()).take(order).combine_chunks()
    refuse_twins(ascending)
    rank_of_row = np.empty(len(order), np.int32)
    rank_of_row[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    first = _first_alike(text_hashes[order.to_numpy()])
    stands = first == np.arange(len(first))
    number = np.cumsum(stands, dtype=np.int32) - np.int32(1)
    return Texts(ascending, rank_of_row, number[first], np.flatnonzero(stands).astype(np.int32))


def _first_alike(hashes: np.ndarray) -> np.ndarray:
    """int32[n]: place of the first row that is equal to each row of ``hashes uint64[n, 2]``."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))  # stable: equal rows keep their order
    new = np.ones(len(order), np.bool_)
    new[1:] = (hashes[order[1:]] != hashes[order[:-1]]).any(axis=1)
    first = np.empty(len(order), np.int32)
    first[order] = order[new][np.cumsum(new) - 1]
    return first


def refuse_too_many(n_documents: int) -> None:
    """Raise BudgetError when so many documents cannot be numbered."""
    if n_documents > MOST_DOCUMENTS:
        raise BudgetError(f"{n_documents:,} documents in one search for duplicates; at most {MOST_DOCUMENTS:,} go in")


def refuse_twins(doc_ids: pa.Array) -> None:
    """Raise SchemaError when two neighbours of ``doc_ids``, which ascend, are the same."""
    if len(doc_ids) < 2:
        return
    twins = pc.equal(doc_ids[1:], doc_ids[:-1])
    at = pc.index(twins, True).as_py()
    if at >= 0:
        raise SchemaError(
            f"doc_id {doc_ids[at].as_py()} occurs more than once. Every document has one row in one part: "
            "give each of [[sources]] its own name and paths that do not overlap."
        )
