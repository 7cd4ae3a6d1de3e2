"""What clustering reads of every document beside its signature: doc_id, hash of the text, source and size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.errors import SchemaError
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.tables import together
from gristmill.corpus.text.columns import text_column

HASH_CHARS = 32
TOGETHER = 1 << 16  # documents, about 150 bytes each
_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


@dataclass(frozen=True, slots=True)
class Identities:
    """Documents in the order of their files."""

    doc_ids: pa.ChunkedArray
    text_hashes: np.ndarray  # uint64[n_documents, 2]
    accounts: Mapping[str, Account]  # of a stage that keeps every document


def read_identities(documents: Sequence[Path], signatures: Sequence[Path] | None) -> Identities:
    """Identities of all documents, in 52 bytes of memory a document; see ``identities_by_part``."""
    parts = [Identities(pa.chunked_array([], pa.string()), np.empty((0, 2), np.uint64), {})]
    parts += identities_by_part(documents, signatures)
    doc_ids = pa.chunked_array([chunk for part in parts for chunk in part.doc_ids.chunks], pa.string())
    hashes = np.concatenate([part.text_hashes for part in parts])
    return Identities(doc_ids, hashes, add_up(part.accounts for part in parts))


def identities_by_part(documents: Sequence[Path], signatures: Sequence[Path] | None) -> Iterator[Identities]:
    """Identities of one part after the other, of TOGETHER documents where parts are smaller; the hash as the signatures
    have it, when there are any.

    Raises
    ------
    SchemaError : documents and signatures are not the same rows in the same order, or text_hash is no 32 hex characters
    """
    if signatures is not None and len(documents) != len(signatures):
        raise SchemaError(f"{len(documents)} parts of documents but {len(signatures)} of signatures")
    parts = map(_with_sizes, documents) if signatures is None else map(_joined, documents, signatures)
    for some in together(zip(documents, parts, strict=True), lambda part: len(part[1]), TOGETHER):
        whole = pa.concat_tables([part for _, part in some])
        hashes = _hash_words(whole)
        if hashes is None:
            wrong = next(path for path, part in some if _hash_words(part) is None)
            raise SchemaError(
                f"{wrong}: a text_hash is not {HASH_CHARS} lower-case hex characters; ingest the source again"
            )
        yield Identities(whole["doc_id"], hashes, passed_by_source(whole["source"], whole["bytes"]))


def doc_ids_of(documents: Sequence[Path], rows: int) -> Iterator[pa.Array]:
    """doc_id of all documents in the order of their files, ``rows`` at a time whatever the cut into parts."""
    held = pa.chunked_array([], pa.string())
    for path in documents:
        held = pa.chunked_array([*held.chunks, *_read(path, ["doc_id"])["doc_id"].chunks], pa.string())
        while len(held) >= rows:
            yield held[:rows].combine_chunks()
            held = held[rows:]
    if len(held):
        yield held.combine_chunks()


def _with_sizes(path: Path) -> pa.Table:
    part = _read(path, ["doc_id", "text_hash", "source", "text"])
    return part.append_column("bytes", pc.binary_length(part["text"]).cast(pa.int64())).drop_columns("text")


def _joined(documents: Path, signatures: Path) -> pa.Table:
    part = _read(documents, ["doc_id", "source"])
    measured = _read(signatures, ["doc_id", "text_hash", "bytes"])
    if not part["doc_id"].equals(measured["doc_id"]):
        raise SchemaError(f"{signatures} is not row-aligned with {documents}; compute the signatures again")
    return measured.append_column("source", part["source"])


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a part; ``pq.read_table`` would plan a data set first, 8 ms a file."""
    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=columns, use_threads=False)


def _hash_words(part: pa.Table) -> np.ndarray | None:
    """The column text_hash as ``uint64[n, 2]``; None where one is no hash."""
    column = text_column(part, "text_hash")
    nibbles = _NIBBLE[column.data[: column.offsets[-1]]]
    if (np.diff(column.offsets) != HASH_CHARS).any() or (nibbles > 15).any():
        return None
    pairs = nibbles.reshape(-1, HASH_CHARS // 2, 2)
    return (pairs[:, :, 0] << 4 | pairs[:, :, 1]).view(np.uint64)
