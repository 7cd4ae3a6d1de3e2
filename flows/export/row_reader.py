"""Chosen rows of a Parquet file in one pass, so that row-aligned tables are read side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import StoreError
from gristmill.corpus.tables import read_batches


class RowReader:
    """Goes through a file once, one row group in memory."""

    def __init__(self, path: Path, columns: Sequence[str]):
        self._path = path
        self._batches = read_batches(path, list(columns))
        self._first = 0  # row of the file that the batch begins with
        self._batch: pa.RecordBatch | None = None

    def take(self, rows: np.ndarray) -> pa.Table:
        """The rows at these places.

        Parameters
        ----------
        rows : int64[n], n > 0, ascending, beyond those of the call before

        Raises
        ------
        StoreError : the file has fewer rows
        """
        pieces, done = [], 0
        while done < len(rows):
            batch = self._batch_of(int(rows[done]))
            stop = int(np.searchsorted(rows, self._first + batch.num_rows))
            pieces.append(batch.take(pa.array(rows[done:stop] - self._first)))
            done = stop
        return pa.Table.from_batches(pieces)

    def _batch_of(self, row: int) -> pa.RecordBatch:
        while self._batch is None or row >= self._first + self._batch.num_rows:
            self._first += 0 if self._batch is None else self._batch.num_rows
            self._batch = next(self._batches, None)
            if self._batch is None:
                raise StoreError(
                    f"{self._path} has {self._first} rows and none at {row}; delete its folder and run the recipe again"
                )
        return self._batch
