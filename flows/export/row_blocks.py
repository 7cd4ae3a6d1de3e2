"""Packed rows of a run as an export reads them: tokens, documents, which tokens count, in stored order or a plan's.

How the shards keep them stands in ``gristmill.handoff``; what is made of them, in the file of each target.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader, groups
from gristmill.handoff.row_digest import within
from gristmill.handoff.shards import INDEX

BLOCK_BYTES = 8 << 20  # of tokens, read at a time


class RowBlock(NamedTuple):
    """n rows, one after the other."""

    tokens: np.ndarray  # uint16 or uint32 [n, row_tokens]
    counted: np.ndarray  # bool [n, row_tokens]: a token counts where it is predicted; never padding or a first token
    documents: pa.ListArray  # n lists of ``gristmill.corpus.schema.ROW_DOCUMENT``
    domain: np.ndarray  # int16 [n], place among the names of the domains
    epoch: np.ndarray  # int32 [n], from 0
    row: np.ndarray  # int64 [n], number in the domain

    def slice(self, start: int, stop: int) -> "RowBlock":
        """Rows ``start`` to ``stop``."""
        return RowBlock(*(column[start:stop] for column in self))

    def slices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row in the block, first token in the row and length of every document slice, int64 [n_slices] each."""
        found = self.documents.flatten()
        start, length = (found.field(name).to_numpy().astype(np.int64) for name in ("start", "length"))
        return np.repeat(np.arange(len(self.row)), self.documents.value_lengths().to_numpy()), start, length


class DomainRows:
    """One domain's rows by number, every record batch checked when first touched.

    Raises
    ------
    StoreError : the folder has no index, or a shard is damaged (when it is first touched)
    """

    def __init__(self, folder: Path):
        self.reader = ShardReader(folder)
        self._files = [folder / entry["name"] for entry in self.reader.index["shards"]]
        self._batches: dict[int, list[pa.RecordBatch]] = {}  # by shard; they are mapped, not read

    def block(self, rows: np.ndarray, domain: int, epoch: np.ndarray) -> RowBlock:
        """These rows, int64 [n], as a block of a domain."""
        tokens = self.reader.tokens(rows)  # checks the record batches
        documents = self.documents(rows)
        numbers = np.full(len(rows), domain, np.int16)
        block = RowBlock(tokens, np.zeros(tokens.shape, bool), documents, numbers, epoch, rows)
        return block._replace(counted=counted_tokens(block, self.reader.mask(rows)))

    def documents(self, rows: np.ndarray) -> pa.ListArray:
        """The documents of rows, int64 [n]: lists of ``ROW_DOCUMENT``."""
        shard_rows, batch_rows = self.reader.index["shard_rows"], self.reader.index["batch_rows"]
        in_shard = rows % shard_rows
        touched = rows // shard_rows * -(-shard_rows // batch_rows) + in_shard // batch_rows
        found, places = [], []
        for _, place in groups(touched):
            first = place[0]
            batch = self._shard(int(rows[first] // shard_rows))[int(in_shard[first] // batch_rows)]
            found.append(batch.column("documents").take(pa.array(in_shard[place] % batch_rows)))
            places.append(place)
        return pa.concat_arrays(found).take(pa.array(np.argsort(np.concatenate(places))))

    def _shard(self, number: int) -> list[pa.RecordBatch]:
        if number not in self._batches:
            self._batches[number] = list(pa.ipc.open_stream(pa.memory_map(str(self._files[number]))))
        return self._batches[number]


def counted_tokens(block: RowBlock, mask: np.ndarray | None) -> np.ndarray:
    """Which tokens of a block count where they are predicted: those of documents but for the first of each slice.

    Parameters
    ----------
    mask : bool [n, row_tokens], the row's targets; None = all
    """
    row, start, length = block.slices()
    counted = np.zeros(block.tokens.shape, bool)
    place = within(length)
    counted[np.repeat(row, length), np.repeat(start, length) + place] = place > 0
    return counted if mask is None else counted & mask


def open_domains(shards: Path, names: Sequence[str]) -> dict[int, DomainRows]:
    """The domains that have rows, by their place in ``names``."""
    found = {place: DomainRows(shards / name) for place, name in enumerate(names) if (shards / name / INDEX).exists()}
    return {place: rows for place, rows in found.items() if rows.reader.rows}


def in_stored_order(domains: Mapping[int, DomainRows]) -> Iterator[RowBlock]:
    """Every row once, domain by domain."""
    for place, one in domains.items():
        step = block_rows(one.reader)
        for first in range(0, one.reader.rows, step):
            rows = np.arange(first, min(first + step, one.reader.rows))
            yield one.block(rows, place, np.zeros(len(rows), np.int32))


def in_plan_order(plan: Plan, domains: Mapping[int, DomainRows]) -> Iterator[RowBlock]:
    """Every sample of the plan, repeats included; ``domains`` by their place in ``plan.names``."""
    step = min(block_rows(one.reader) for one in domains.values())
    for start in range(0, plan.samples, step):
        located = plan.locate(start, min(start + step, plan.samples))
        blocks, places = [], []
        for number, place in groups(located.domain):
            blocks.append(domains[number].block(located.row[place], number, located.epoch[place]))
            places.append(place)
        yield _in_order(blocks, np.argsort(np.concatenate(places)))


def _in_order(blocks: list[RowBlock], order: np.ndarray) -> RowBlock:
    numbers = [
        np.concatenate(column)[order] for column in zip(*(block[:2] + block[3:] for block in blocks), strict=True)
    ]
    documents = pa.concat_arrays([block.documents for block in blocks]).take(pa.array(order))
    return RowBlock(numbers[0], numbers[1], documents, *numbers[2:])


def block_rows(reader: ShardReader) -> int:
    """Rows that are read at a time."""
    return max(1, BLOCK_BYTES // (reader.row_tokens * reader.dtype.itemsize))
