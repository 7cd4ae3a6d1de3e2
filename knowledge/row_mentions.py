"""Mentions of documents as places in packed rows: a document may lie in several rows, and a mention between two."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.whole_columns import index_in
from gristmill.handoff.reader import ShardReader

_PLACE_BITS = 32  # a document has at most 2^25 bytes, and so tokens; 40 left room for 8.4 million rows


class DocumentMentions(NamedTuple):
    """Mentions of n_docs documents, in order of document and place."""

    doc_ids: pa.StringArray  # [n_docs]
    document: np.ndarray  # int64 [n]
    start: np.ndarray  # int64 [n]: first token in the document
    length: np.ndarray  # int64 [n], tokens
    entity: pa.StringArray  # [n], ids of the graph
    label: pa.StringArray  # [n], the name that was found


class RowMentions(NamedTuple):
    """Mentions that stand whole in one row, in order of row and place."""

    mention: np.ndarray  # int64 [n], of the documents' mentions
    row: np.ndarray  # int64 [n]
    start: np.ndarray  # int64 [n]: first token in the row
    is_target: np.ndarray  # bool [n]: rows have targets, and a token of the mention is one


class Pieces(NamedTuple):
    """Slices of documents in rows, int64 [n_pieces], in order of document and offset; an empty one comes first."""

    key: np.ndarray  # document and offset
    row: np.ndarray
    start: np.ndarray
    length: np.ndarray


class Stretches(NamedTuple):
    """Targets of all rows, int64 [n_stretches], in order: row and first place, row and place behind the last."""

    start: np.ndarray
    end: np.ndarray


def mentions_in_rows(mentions: DocumentMentions, shards: Path) -> tuple[RowMentions, dict[str, int]]:
    """Every mention at its place in the rows, and how many have none, by reason.

    ``between_rows``: a document longer than a row was cut inside the mention. ``no_row``: its document, or that piece
    of it, was not packed, since nothing in the row counts. Memory: 32 bytes a piece.

    Parameters
    ----------
    shards : folder of the domain's packed rows
    """
    pieces, targets = _read(shards, mentions.doc_ids)
    key = key_of(mentions.document, mentions.start)
    at = np.searchsorted(pieces.key, key, side="right") - 1
    offset, length = key - pieces.key[at], pieces.length[at]
    inside = offset < length
    whole = inside & (offset + mentions.length <= length)
    chosen = np.flatnonzero(whole)
    row, start = pieces.row[at[chosen]], (pieces.start[at] + offset)[chosen]
    order = np.lexsort((start, row))
    row, start, chosen = row[order], start[order], chosen[order]
    left_out = {"between_rows": int((inside & ~whole).sum()), "no_row": int((~inside).sum())}
    return RowMentions(chosen, row, start, _touch(targets, row, start, mentions.length[chosen])), left_out


def _read(shards: Path, doc_ids: pa.StringArray) -> tuple[Pieces, Stretches]:
    columns, targets, first = [], [], 0
    for batch in _batches(shards):
        rows = first + np.arange(batch.num_rows)
        slices = batch.column("documents").flatten()
        row = np.repeat(rows, batch.column("documents").value_lengths().to_numpy())
        document = index_in(slices.field("doc_id"), doc_ids).fill_null(-1).to_numpy()
        start, length, offset = (slices.field(name).to_numpy() for name in ("start", "length", "offset"))
        columns.append(np.stack([key_of(document, offset), row, start, length])[:, document >= 0])
        if "targets" in batch.schema.names:
            targets.append(_stretches(batch.column("targets"), rows))
        first += batch.num_rows
    before_all = np.array([[-1], [0], [0], [0]])
    whole = np.concatenate([before_all, *columns], axis=1)
    found = Stretches(*np.concatenate([np.empty((2, 0), np.int64), *targets], axis=1))
    return Pieces(*whole[:, np.argsort(whole[0])]), found


def key_of(number: np.ndarray, place: np.ndarray) -> np.ndarray:
    """int64 [n]: places in documents or rows, in order of their numbers (below 2^31) and then of the place."""
    return (number.astype(np.int64) << _PLACE_BITS) + place


def _batches(shards: Path) -> Iterator[pa.RecordBatch]:
    for shard in ShardReader(shards).index["shards"]:
        with pa.memory_map(str(shards / shard["name"])) as source:
            yield from pa.ipc.open_stream(source)


def _stretches(targets: pa.ListArray, rows: np.ndarray) -> np.ndarray:
    flat, row = targets.flatten(), np.repeat(rows, targets.value_lengths().to_numpy())
    start, length = (flat.field(name).to_numpy().astype(np.int64) for name in ("start", "length"))
    return np.stack([key_of(row, start), key_of(row, start + length)])


def _touch(targets: Stretches, row: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Bool [n]: a token of [start, start + length) lies in one of the row's stretches."""
    key = key_of(row, start)
    return np.searchsorted(targets.start, key + length, side="left") > np.searchsorted(targets.end, key, side="right")
