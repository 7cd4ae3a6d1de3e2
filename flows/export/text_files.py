"""Files of documents in three formats, each written aside and renamed when it is whole."""

import io
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol

import pyarrow as pa

from gristmill.corpus.files import file_sha256, fsync_path
from gristmill.corpus.tables import PartWriter
from gristmill.flows.export.target import ExportedFile

_LINES_AT_ONCE = 1024  # a row group as JSON would be a second and a third copy of its text


class TextFile(Protocol):
    """An open file of documents."""

    suffix: ClassVar[str]

    def __init__(self, path: Path, schema: pa.Schema): ...

    def write(self, table: pa.Table) -> None:
        """Add documents."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class JsonLines:
    """One JSON object on each line. A missing text is "": a loader that takes its types from the first lines, which may
    all lack it, refuses a text in the place of a null. A signal without a value is null.
    """

    suffix: ClassVar[str] = "jsonl"

    def __init__(self, path: Path, schema: pa.Schema):  # noqa: ARG002  every table has it
        self._file = path.open("wb")

    def write(self, table: pa.Table) -> None:
        """Add documents."""
        import polars as pl

        for batch in table.to_batches(max_chunksize=_LINES_AT_ONCE):
            lines = io.BytesIO()
            pl.DataFrame(batch).with_columns(pl.col(pl.String).fill_null("")).write_ndjson(lines)
            self._file.write(lines.getbuffer())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ParquetRows:
    """Parquet with row groups of about 32 MiB, zstd."""

    suffix: ClassVar[str] = "parquet"

    def __init__(self, path: Path, schema: pa.Schema):
        self._writer = PartWriter(path, schema)

    def write(self, table: pa.Table) -> None:
        """Add documents."""
        for batch in table.combine_chunks().to_batches():
            self._writer.write(batch)

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._writer.__exit__(None)


class ArrowRows:
    """An Arrow IPC file, without compression: readers map it into memory."""

    suffix: ClassVar[str] = "arrow"

    def __init__(self, path: Path, schema: pa.Schema):
        self._writer = pa.ipc.new_file(str(path), schema)

    def write(self, table: pa.Table) -> None:
        """Add documents."""
        self._writer.write_table(table.combine_chunks())

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class PartFiles:
    """The files of one part: one, or one for each value of a column. ``done`` lists them once all are whole."""

    def __init__(self, folder: Path, name: str, kind: type[TextFile], schema: pa.Schema):
        self.done: list[ExportedFile] = []
        self._folder, self._name, self._kind, self._schema = folder, f"{name}.{kind.suffix}", kind, schema
        self._open: dict[str, tuple[TextFile, Path]] = {}
        self._rows: dict[str, int] = {}

    def write(self, value: str, table: pa.Table) -> None:
        """Add documents to the file in the folder ``value``; "" is the folder of the export."""
        if value not in self._open:
            aside = self._folder / value / f".{self._name}.tmp"
            aside.parent.mkdir(parents=True, exist_ok=True)
            self._open[value] = (self._kind(aside, self._schema), aside)
        self._open[value][0].write(table)
        self._rows[value] = self._rows.get(value, 0) + table.num_rows

    def __enter__(self) -> "PartFiles":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for file, _aside in self._open.values():
            file.close()
        if kind is None:
            self.done = [self._commit(value, aside) for value, (_file, aside) in sorted(self._open.items())]

    def _commit(self, value: str, aside: Path) -> ExportedFile:
        fsync_path(aside)
        path = aside.rename(aside.with_name(self._name))
        fsync_path(path.parent)
        name = path.relative_to(self._folder).as_posix()
        return ExportedFile(name, self._rows[value], path.stat().st_size, file_sha256(path))
