"""One shard file, mapped into memory: where in the file each record batch keeps its numbers.

Arrow's stream format stores the buffers of a record batch as they are, so the whole file reads as one flat
array of token ids with gaps, and a row is an offset into it.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.handoff.failures import StoreError
from gristmill.handoff.row_schema import rows_schema
from gristmill.handoff.rows import digests, plain
from gristmill.handoff.shards import buckets_in, has_targets


class Lists(NamedTuple):
    """A list column: where each batch's list offsets, slice starts and slice lengths begin, int64 [n_batches] each."""

    at: np.ndarray
    start: np.ndarray
    length: np.ndarray


class MappedShard:
    """A shard of an index: ``address`` is where the file begins in memory, ``numbers`` the whole file as int32.

    ``tokens_at`` (int64 [n_batches]) says how many ids into the file a batch's ids begin; ``documents`` and ``targets``
    (None where rows have none) say where in ``numbers`` their slices stand.
    """

    def __init__(self, folder: Path, index: dict[str, Any], number: int):
        shard = index["shards"][number]
        self._path, self._index = folder / shard["name"], shard["batches"]
        dtype = np.dtype(index["token_type"])
        masked, options = has_targets(index), {"bucket": bool(buckets_in(index))}
        schema = rows_schema(index["row_tokens"], pa.from_numpy_dtype(dtype), targets=masked, **options)
        self._file, self.batches = self._open(schema)
        self.address = np.int64(self._file.address)
        self.numbers = np.frombuffer(self._file, np.int32, self._file.size // 4)
        self.tokens_at = self._places([batch.column("tokens").values for batch in self.batches], dtype.itemsize)
        self.documents = self._lists("documents")
        self.targets = self._lists("targets") if masked else None
        self._unchecked = np.ones(len(self.batches), bool)

    def _open(self, schema: pa.Schema) -> tuple[pa.Buffer, list[pa.RecordBatch]]:
        try:
            file = pa.memory_map(str(self._path)).read_buffer()
            batches = list(pa.ipc.open_stream(file))
            for batch in batches:
                batch.validate()  # lengths against buffers: kernels trust them
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"cannot read the shard {self._path}: {error}; run the recipe again") from None
        rows = [entry["rows"] for entry in self._index]
        if [batch.num_rows for batch in batches] != rows or any(batch.schema != schema for batch in batches):
            raise StoreError(f"{self._path}: its record batches are not those of index.json; run the recipe again")
        return file, batches

    def _lists(self, name: str) -> Lists:
        columns = [batch.column(name) for batch in self.batches]
        at = self._places([column.offsets for column in columns], 4)
        start, length = (self._places([c.values.field(field) for c in columns], 4) for field in ("start", "length"))
        return Lists(at, start, length)

    def _places(self, columns: list[pa.Array], itemsize: int) -> np.ndarray:
        buffers = [column.buffers()[1] for column in columns]
        return np.array([(b.address - self._file.address) // itemsize if b else 0 for b in buffers], np.int64)

    def check(self, batches: np.ndarray) -> None:
        """Compare each batch's digests with the index when it is touched for the first time.

        Raises
        ------
        StoreError : bytes have changed since the shard was written; names shard, batch and rows
        """
        fresh = batches[self._unchecked[batches]]
        for batch in np.unique(fresh) if len(fresh) else ():
            if not self.intact(batch):
                first = sum(entry["rows"] for entry in self._index[:batch])
                raise StoreError(
                    f"{self._path}: record batch {batch} (rows {first} to {first + self._index[batch]['rows'] - 1} of "
                    "the shard) is not what was written; restore the file from a copy or run the recipe again"
                )
            self._unchecked[batch] = False

    def intact(self, batch: int) -> bool:
        """True when tokens and documents of a record batch have the digests of the index."""
        found = self.batches[batch]
        try:
            lists = [name for name in ("documents", "targets") if name in found.schema.names]
            if not all(plain(found.column(name)) for name in lists):
                found.validate(full=True)  # list offsets may point nowhere; plain ones are as their digest says
            return {"rows": found.num_rows, **digests(found)} == self._index[batch]
        except (pa.ArrowException, ValueError, IndexError):
            return False
