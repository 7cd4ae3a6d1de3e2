"""Tables that grow with the training and survive a crash without a gap or a repeat.

Rows wait in memory until a checkpoint seals them into a segment that bears the checkpoint's step. A run that goes on
from step s forgets the segments beyond s; the reader of the table joins the segments.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.parquet import read_schema

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import fsync_path
from gristmill.corpus.tables import read_part, write_part


class Log:
    """One table of ``schema`` in ``folder``, in segments ``<name>-<step>.parquet``."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self.schema = folder, name, schema
        self._pending: list[pa.RecordBatch] = []

    def append(self, columns: Mapping[str, list | np.ndarray | pa.Array]) -> None:
        """Add rows: ``columns`` are of one length, in any order."""
        self._pending.append(pa.record_batch([columns[name] for name in self.schema.names], schema=self.schema))

    def seal(self, step: int) -> None:
        """Write the waiting rows, which end with step ``step``, durably."""
        if self._pending:
            _write(self._folder / f"{self._name}-{step:09d}.parquet", self.schema, self._pending)
        self._pending = []

    def rewind(self, step: int) -> None:
        """Forget everything beyond ``step``: rows that no checkpoint covers.

        Raises
        ------
        TrainError : what stays was written by a version with other columns
        """
        self._pending = []
        for segment in self._segments():
            if int(segment.stem.rsplit("-", 1)[1]) > step:
                segment.unlink()
            elif read_schema(segment).names != self.schema.names:
                raise TrainError(
                    f"{segment} was written by another version of gristmill, with other columns. "
                    "Remove the train folder of the run to start anew"
                )

    def read(self) -> pa.Table:
        """All sealed rows, in order."""
        tables = [read_part(segment) for segment in self._segments()]
        return pa.concat_tables([self.schema.empty_table(), *tables]).combine_chunks()

    def join(self, path: Path) -> pa.Table:
        """Write all sealed rows to one file, durably, and return them. The bytes do not tell where segments ended."""
        table = self.read()
        _write(path, self.schema, table.to_batches())
        return table

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.parquet"))


def _write(path: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    write_part(aside, schema, batches)
    fsync_path(aside)
    aside.replace(path)
    fsync_path(path.parent)
