"""Documents in order of doc_id and grouped by text, on disk: for corpora whose names would not go into memory.

A text is called by its *rank*: the place, in the order of doc_id, of its first document, the one that stands for it.
Ranks come from sorting ranges of doc_ids and groups from ranges of hashes, one in memory at a time, so that what is
found depends neither on the order of files or rows nor on the number of ranges.
In a search most texts have neither a copy nor a candidate. Those that have are renumbered as *nodes*, ascending; only
of them more is known than the text that a row has.
"""

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.dedup.clusters.exact import refuse_too_many, refuse_twins
from gristmill.dedup.clusters.identities import Identities
from gristmill.dedup.copies import PLACE_BITS, Spill, first_of_key
from gristmill.dedup.scratch import ScratchStrings, ScratchTable

RANGE_DOCUMENTS = 1 << 18  # sorted at once, about 200 bytes each: 50 MB
SAMPLE = 64  # of so many doc_ids one stays in memory: to cut ranges of equal length, and to find where without a map
ROWS_AT_ONCE = 1 << 18

ALONE = -1  # in place of a node: the row's text has neither a copy nor a candidate
COPY = -2  # minus the number of a text or node: the row is a further copy of it

_LOW = np.uint64(0xFFFFFFFF)
_NAMED = pa.schema([("doc_id", pa.string()), ("high", pa.uint64()), ("low", pa.uint64()), ("row", pa.int32())])
_IDS = pa.schema([("doc_id", pa.string())])


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every row and the text that it has. Memory: 4 bytes a document."""

    n_texts: int
    text_of_row: np.ndarray  # int32[n_documents]: the text that the row stands for, COPY - text for its further copies
    ids: ScratchTable  # all doc_ids, ascending

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.text_of_row)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Texts with a copy or a candidate, numbered in the order of the doc_id that stands for them."""

    n_documents: int
    n_texts: int
    row_nodes: np.ndarray  # int32[n_documents]: the node that the row stands for, COPY - node for its copies, or ALONE
    copies: np.ndarray  # int32[n_nodes]: documents that have the text
    names: ScratchStrings

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.copies)

    @property
    def n_alone(self) -> int:
        """Number of texts that are no node."""
        return self.n_texts - self.n_nodes

    def names_of(self, nodes: np.ndarray) -> pa.Array:
        """doc_id that stands for each of ``nodes``; names ascend as the numbers do."""
        return self.names.take(nodes)


def node_of(row_nodes: np.ndarray) -> np.ndarray:
    """Node of each row whether it stands for it or not, ALONE where there is none.

    >>> node_of(np.array([4, COPY - 4, ALONE])).tolist()
    [4, 4, -1]
    """
    return np.where(row_nodes <= COPY, COPY - row_nodes, row_nodes)


# ------------------------------------------------------------------------------------------------ all documents


def group_documents(parts: Iterable[Identities], scratch: Path) -> Grouping:
    """Group all documents by their text.

    Memory: 4 bytes a document, and one range. Disk in ``scratch``: 112 bytes a document of a 32-byte doc_id on the
    way, 36 in the result.

    Raises
    ------
    SchemaError : a doc_id occurs twice
    BudgetError : more documents than numbers
    """
    runs, samples = _write_runs(parts, scratch)
    n_documents = sum(run.num_rows for run in runs.batches())
    refuse_too_many(n_documents)
    n_ranges = n_documents // RANGE_DOCUMENTS + 1
    ids, records, rank = ScratchTable(scratch, _IDS), Spill(scratch, 3, n_ranges), 0
    for some in _ranges(runs, samples, n_ranges):
        refuse_twins(some["doc_id"])
        ids.append(some.select(["doc_id"]))
        records.add(*_records(some, rank, n_ranges))
        rank += some.num_rows
    text_of_row = np.empty(n_documents, np.int32)
    n_texts = sum(_find_texts(some, text_of_row) for some in records)
    return Grouping(n_texts, text_of_row, ids)


def _write_runs(parts: Iterable[Identities], scratch: Path) -> tuple[ScratchTable, list[list[str]]]:
    """Each part's documents ordered by doc_id, and every SAMPLE-th doc_id of each."""
    runs, samples, first = ScratchTable(scratch, _NAMED), [], 0
    for part in parts:
        rows = np.arange(first, first + len(part.doc_ids)).astype(np.int32)
        ids = pa.concat_arrays(part.doc_ids.chunks) if part.doc_ids.num_chunks else pa.array([], pa.string())
        hashes = np.ascontiguousarray(part.text_hashes.T)
        run = _by_id(pa.record_batch([ids, *hashes, rows], schema=_NAMED))
        runs.append(run)
        samples.append(run["doc_id"][::SAMPLE].to_pylist())
        first += len(rows)
    return runs, samples


def _ranges(runs: ScratchTable, samples: Sequence[list[str]], n_ranges: int) -> Iterator[pa.RecordBatch]:
    """Ranges of about the same length, ascending, each ordered by doc_id."""
    batches, ordered = runs.batches(), sorted(itertools.chain(*samples))
    starts = [0] * len(batches)
    for i in range(1, n_ranges + 1):
        bound = ordered[len(ordered) * i // n_ranges] if i < n_ranges else None
        stops = [_place(run, known, bound) for run, known in zip(batches, samples, strict=True)]
        slices = [batch[start:stop] for batch, start, stop in zip(batches, starts, stops, strict=True)]
        yield _by_id(pa.concat_batches([pa.RecordBatch.from_pylist([], _NAMED), *slices]))
        starts = stops
        runs.release()


def _place(run: pa.RecordBatch, known: list[str], bound: str | None) -> int:
    """Rows of a run before ``bound``; ``known`` are every SAMPLE-th of its doc_ids."""
    if bound is None:
        return run.num_rows
    stop = bisect.bisect_left(known, bound) * SAMPLE
    start = max(stop - SAMPLE, 0)
    ids = run["doc_id"][start : min(stop, run.num_rows)].to_pylist()
    return start + bisect.bisect_left(ids, bound)


def _by_id(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.take(pc.sort_indices(batch["doc_id"]))


def _records(batch: pa.RecordBatch, first_rank: int, n_ranges: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rank << 32 | row, hash, hash) of each document, its place, and its range of hashes."""
    ranks = np.arange(first_rank, first_rank + batch.num_rows).astype(np.uint64)
    high = batch["high"].to_numpy()
    records = np.column_stack([ranks << PLACE_BITS | batch["row"].to_numpy().astype(np.uint64), high, batch["low"]])
    return records, np.arange(len(records)), (high >> PLACE_BITS) * np.uint64(n_ranges) >> PLACE_BITS


def _find_texts(records: np.ndarray, text_of_row: np.ndarray) -> int:
    """Fill in the texts of the rows of one range of hashes; their number."""
    first = first_of_key(records, 2)
    stands = first == np.arange(len(first))
    text = (records[first, 0] >> PLACE_BITS).astype(np.int32)
    text_of_row[(records[:, 0] & _LOW).astype(np.int64)] = np.where(stands, text, COPY - text)
    return int(stands.sum())


# ------------------------------------------------------------------------------------------------ texts with company


def number_nodes(grouping: Grouping, candidates: np.ndarray, scratch: Path) -> tuple[Nodes, np.ndarray]:
    """Number the texts that have copies or are among ``candidates``.

    Takes ``grouping.text_of_row`` over: it is ``row_nodes`` of the result afterwards.

    Returns
    -------
    the nodes, and int32[n_documents], the node of a text, ALONE where it is none
    """
    is_node = np.zeros(grouping.n_documents, np.bool_)
    is_node[candidates] = True
    for text in _blocks(grouping.text_of_row):
        is_node[COPY - text[text <= COPY]] = True
    number = np.cumsum(is_node, dtype=np.int32)
    number -= np.int32(1)
    number[~is_node] = ALONE
    copies = np.ones(int(is_node.sum()), np.int32)
    for text in _blocks(grouping.text_of_row):
        nodes, further = number[node_of(text)], text <= COPY
        np.add.at(copies, nodes[further], 1)
        text[:] = np.where(further, COPY - nodes, nodes)
    names = _names(grouping.ids, is_node, scratch)
    return Nodes(grouping.n_documents, grouping.n_texts, grouping.text_of_row, copies, names), number


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Views of ROWS_AT_ONCE values."""
    return (values[at : at + ROWS_AT_ONCE] for at in range(0, len(values), ROWS_AT_ONCE))


def _names(ids: ScratchTable, chosen: np.ndarray, scratch: Path) -> ScratchStrings:
    names, batches = ScratchStrings(scratch), ids.batches()
    bounds = itertools.accumulate((batch.num_rows for batch in batches), initial=0)
    for batch, start in zip(batches, bounds, strict=False):
        names.append(batch["doc_id"].filter(pa.array(chosen[start : start + batch.num_rows])))
        ids.release()
    return names
