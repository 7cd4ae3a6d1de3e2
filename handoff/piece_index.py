"""Where each document's pieces are: one domain's index from doc_id to rows, mapped into memory and binary searched.

A piece is a document's slice of a packed row; a document longer than a row has several. The index is an Arrow stream of
22 bytes a piece, sorted by doc_id, row and slice. Which steps draw a row is the plan's to answer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.handoff.failures import StoreError
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.rows import text_buffers

FOLDER = "pieces"  # in the folder of a run's plan
ID_BYTES = 16
_DOC_ID = pa.binary(ID_BYTES)
NOTHING = np.empty(0, np.int64)


class Pieces(NamedTuple):
    """Pieces in the order of the index: ``doc_id S16[n]`` (bytes), ``row uint32[n]``, ``slice uint16[n]``.

    ``slice`` counts the documents of the row from 0.
    """

    doc_id: np.ndarray
    row: np.ndarray
    slice: np.ndarray


def index_path(run: Path, domain: str) -> Path:
    """The index of a domain in a run directory."""
    return run / "plan" / FOLDER / f"{domain}.arrow"


def write_pieces(shards: Path, path: Path) -> int:
    """Index the rows of one domain; returns how many pieces they hold.

    Memory: 60 bytes a piece, and one shard's documents.

    Parameters
    ----------
    shards : folder of the domain's packed rows
    path : the file to write

    Raises
    ------
    StoreError : a shard is damaged, or a doc_id is not 32 hex characters
    """
    pieces = _gather(shards)
    write_index(path, *pieces)
    return len(pieces[0])


def write_index(path: Path, ids: np.ndarray, row: np.ndarray, place: np.ndarray) -> None:
    """Write the index of pieces that are given in order of row and slice.

    Parameters
    ----------
    ids : uint8[n, 16], doc_ids
    row, place : integers [n], each piece's row, and its place among the documents of the row
    """
    high, low = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2).T
    order = np.lexsort((low, high))  # stable: pieces of one document stay in order of row and slice
    columns = {
        "doc_id": pa.FixedSizeBinaryArray.from_buffers(_DOC_ID, len(ids), [None, pa.py_buffer(ids[order])]),
        "row": pa.array(row[order], pa.uint32()),
        "slice": pa.array(place[order], _slice_type(place)),
    }
    batch = pa.record_batch(columns)
    with pa.ipc.new_stream(path, batch.schema) as writer:
        writer.write_batch(batch)


def _slice_type(place: np.ndarray) -> pa.DataType:
    """Two bytes, unless a row holds more than 65,536 documents."""
    return pa.uint32() if len(place) and place.max() > np.iinfo(np.uint16).max else pa.uint16()


def _gather(shards: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """doc_id uint8[n, 16], row and slice int64[n] of every piece, in order of rows."""
    ids, rows, places, first = [np.empty((0, ID_BYTES), np.uint8)], [NOTHING], [NOTHING], 0
    for documents in document_lists(shards):
        counts = documents.value_lengths().to_numpy().astype(np.int64)
        ids.append(_binary(documents.flatten().field("doc_id")))
        rows.append(np.repeat(first + np.arange(len(counts)), counts))
        places.append(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
        first += len(counts)
    return np.concatenate(ids), np.concatenate(rows), np.concatenate(places)


def document_lists(shards: Path) -> Iterator[pa.ListArray]:
    """The column ``documents`` of every record batch, in order of rows."""
    for shard in ShardReader(shards).index["shards"]:
        with pa.memory_map(str(shards / shard["name"])) as source:
            yield from (batch.column("documents") for batch in pa.ipc.open_stream(source))


def _binary(doc_ids: pa.StringArray) -> np.ndarray:
    """The 16 bytes that 32 hex characters write, uint8[n, 16]."""
    lengths, chars = text_buffers(doc_ids)
    digits = np.where(chars < ord("a"), chars - ord("0"), chars - (ord("a") - 10))
    if (lengths != 2 * ID_BYTES).any() or (digits > 15).any():
        raise StoreError("a doc_id of the shards is not 32 hex characters; run the recipe again")
    return (digits[0::2] << 4 | digits[1::2]).reshape(-1, ID_BYTES)


class PieceIndex:
    """The index of one domain. Opening it reads nothing but its schema.

    Raises
    ------
    StoreError : the file is missing or is no index
    """

    def __init__(self, path: Path):
        try:
            batch = pa.ipc.open_stream(pa.memory_map(str(path))).read_next_batch()
            self._ids = np.frombuffer(batch.column("doc_id").buffers()[1], f"S{ID_BYTES}", batch.num_rows)
            self._row, self._slice = (batch.column(name).to_numpy() for name in ("row", "slice"))
        except (OSError, KeyError, ValueError, StopIteration, pa.ArrowException) as error:
            raise StoreError(f"cannot read the index of pieces {path}: {error}; run the recipe again") from None

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, prefix: str) -> Pieces:
        """Pieces of every document whose doc_id begins so: two binary searches.

        Parameters
        ----------
        prefix : 0 to 32 lower-case hex characters
        """
        low, high = (np.array(bytes.fromhex(prefix.ljust(2 * ID_BYTES, end)), self._ids.dtype) for end in "0f")
        found = slice(np.searchsorted(self._ids, low), np.searchsorted(self._ids, high, side="right"))
        return Pieces(self._ids[found], self._row[found], self._slice[found])


def doc_ids_of(pieces: Pieces) -> list[str]:
    """The doc_ids of pieces, each once, ascending, in hex."""
    return [doc_id.ljust(ID_BYTES, b"\0").hex() for doc_id in np.unique(pieces.doc_id).tolist()]
