"""Reading neighbourhoods: which entities stand in a row, where, and what the graph says of them.

The files stand in a run under ``neighbours/shards/DOMAIN`` and ``neighbours/heldout/DOMAIN``, row by row beside the
rows of ``shards/DOMAIN`` and ``heldout/DOMAIN``. A trainer asks by domain and row, as a batch of the loader names them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.handoff.durable import file_sha256, read_json
from gristmill.handoff.failures import StoreError
from gristmill.handoff.neighbour_schema import ENTITIES, FORMAT, INDEX, RELATIONS, ROWS
from gristmill.handoff.reader import groups

FOLDER = "neighbours"
NONE = -1  # pads the neighbours of an entity that has fewer than others


class EntitySpans(NamedTuple):
    """Entities in n asked rows, in order of these rows and of their tokens; k is the most neighbours of any."""

    row: np.ndarray  # int64 [n_spans]: place among the rows that were asked for
    start: np.ndarray  # int64 [n_spans]: first token in the row
    length: np.ndarray  # int64 [n_spans]: tokens, 1 or more; the last belongs to the name, the first may begin before
    entity: np.ndarray  # int64 [n_spans]: row of ``entities``
    answer: np.ndarray  # bool [n_spans]: to be guessed; it has no neighbours
    neighbours: np.ndarray  # int64 [n_spans, k]: rows of ``entities``, ``NONE`` behind the last
    relations: np.ndarray  # int64 [n_spans, k]: rows of ``relations``, likewise

    def take(self, at: np.ndarray) -> "EntitySpans":
        """The spans at these places, integers or bool [n_spans]."""
        return EntitySpans(*(column[at] for column in self))


class DomainNeighbours:
    """One domain's neighbourhoods, mapped into memory.

    Parameters
    ----------
    folder : ``RUN/neighbours/shards/DOMAIN`` or ``RUN/neighbours/heldout/DOMAIN``

    Raises
    ------
    StoreError : a file is missing, has another size than when it was written, or is of another format
    """

    def __init__(self, folder: Path):
        self._folder = folder
        try:
            self.index: dict[str, Any] = read_json(folder / INDEX)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot read {folder / INDEX}: {error}; run the recipe again") from None
        if self.index.get("format") != FORMAT:
            raise StoreError(f"{folder / INDEX} is of format {self.index.get('format')!r}, this reader knows {FORMAT}")
        for name, size in self.index["bytes"].items():
            path = folder / name
            if not path.exists() or path.stat().st_size != size:
                raise StoreError(f"{path} is missing or not of {size} bytes; restore it or run the recipe again")
        self.rows: int = self.index["rows"]
        self.width: int = self.index["max_neighbours"]
        self.entities, self.relations = (_open(folder / name).read_all() for name in (ENTITIES, RELATIONS))
        self._batches = [batch.column("spans") for batch in _open(folder / ROWS)]

    def read(self, rows: np.ndarray) -> EntitySpans:
        """Entities of rows, int64 [n], in the order asked for; a row may be asked for more than once.

        Raises
        ------
        StoreError : a row that the domain does not have
        """
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise StoreError(f"rows {rows.min()} to {rows.max()} asked of {self._folder}, which has {self.rows}")
        batch, inside = np.divmod(rows, self.index["batch_rows"])
        found = [_spans(self._batches[n], inside[at], at, self.width) for n, at in groups(batch)]
        return _joined(found, self.width)

    @property
    def n_spans(self) -> int:
        """Entities in all rows together."""
        return sum(len(column.flatten()) for column in self._batches)

    def verify(self) -> list[str]:
        """Compare every file with its sha256; returns what is wrong, nothing when all is well."""
        wrong = (name for name, sha256 in self.index["sha256"].items() if file_sha256(self._folder / name) != sha256)
        return [f"{self._folder / name} is not what its index says" for name in wrong]


class RunNeighbours:
    """The neighbourhoods of all domains of a run, with one numbering of entities and of relations.

    Parameters
    ----------
    folder : a run directory
    names : domains, in the order in which a batch numbers them (``plan.names``)
    rows : ``shards``, or ``heldout``

    ``entities`` and ``relations`` are tables as ``neighbour_schema`` says; spans name rows of these. With a loader::

        graph = RunNeighbours(run, loader.plan.names)
        for batch in loader:
            spans = graph.read(batch.domain, batch.row)   # spans.row counts in the batch
    """

    def __init__(self, folder: Path, names: Sequence[str], rows: str = "shards"):
        self._domains = [DomainNeighbours(folder / FOLDER / rows / name) for name in names]
        self.width = max((one.width for one in self._domains), default=0)
        self.entities, self._entity = _united([one.entities for one in self._domains], ["id"])
        self.relations, self._relation = _united([one.relations for one in self._domains], ["name", "inverse"])

    def read(self, domain: np.ndarray, row: np.ndarray) -> EntitySpans:
        """Entities of rows; ``domain`` and ``row`` are integers [n], as those of a batch."""
        found = []
        for number, at in groups(np.asarray(domain, np.int64)):
            spans = self._domains[number].read(np.asarray(row)[at])
            entity, relation = (np.append(table[number], NONE) for table in (self._entity, self._relation))
            numbered = (entity[spans.entity], spans.answer, entity[spans.neighbours], relation[spans.relations])
            found.append(EntitySpans(at[spans.row], spans.start, spans.length, *numbered))
        return _joined(found, self.width)


def _open(path: Path) -> pa.RecordBatchStreamReader:
    try:
        return pa.ipc.open_stream(pa.memory_map(str(path)))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot read {path}: {error}; run the recipe again") from None


def _spans(column: pa.ListArray, rows: np.ndarray, place: np.ndarray, width: int) -> EntitySpans:
    """The spans of some rows of one record batch; ``place`` of these rows among all that were asked for."""
    lists = column.take(pa.array(rows))
    spans = lists.flatten()
    start, length, entity = (spans.field(name).to_numpy().astype(np.int64) for name in ("start", "length", "entity"))
    answer = spans.field("answer").to_numpy(zero_copy_only=False)
    near = spans.field("neighbours")
    counts, flat = pc.list_value_length(near).to_numpy().astype(np.int64), near.flatten()
    cell = np.repeat(np.arange(len(spans)) * width - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    tables = np.full((2, len(spans) * width), NONE, np.int64)
    for table, name in zip(tables, ("entity", "relation"), strict=True):
        table[cell] = flat.field(name).to_numpy()
    row = np.repeat(place, lists.value_lengths().to_numpy())
    return EntitySpans(row, start, length, entity, answer, *(table.reshape(-1, width) for table in tables))


def _joined(found: Sequence[EntitySpans], width: int) -> EntitySpans:
    if not found:
        empty = np.empty(0, np.int64)
        none = np.empty((0, width), np.int64)
        return EntitySpans(empty, empty, empty, empty, np.empty(0, bool), none, none)
    whole = EntitySpans(
        *(np.concatenate([_widened(one, width) for one in column]) for column in zip(*found, strict=True))
    )
    return whole.take(np.argsort(whole.row, kind="stable"))


def _widened(column: np.ndarray, width: int) -> np.ndarray:
    if column.ndim == 1 or column.shape[1] == width:
        return column
    return np.pad(column, ((0, 0), (0, width - column.shape[1])), constant_values=NONE)


def _united(tables: Sequence[pa.Table], key: Sequence[str]) -> tuple[pa.Table, list[np.ndarray]]:
    """Rows of all tables, each key once and ascending; and, of each table, the number of each row there."""
    keys = [list(zip(*(table[name].to_pylist() for name in key), strict=True)) for table in tables]
    order = {one: number for number, one in enumerate(sorted(set().union(*keys)))}
    whole = pa.concat_tables(tables) if tables else pa.table({})
    first = np.full(len(order), -1, np.int64)
    numbers = [np.array([order[one] for one in some], np.int64) for some in keys]
    flat = np.concatenate(numbers) if numbers else np.empty(0, np.int64)
    first[flat[::-1]] = np.arange(len(flat))[::-1]
    return whole.take(pa.array(first)).combine_chunks() if len(order) else whole, numbers
