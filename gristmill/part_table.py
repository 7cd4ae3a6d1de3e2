"""A table of a run as a notebook meets it: lazy, chosen by column, read a part at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gristmill.corpus.errors import SchemaError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl


class PartTable(ABC):
    """Rows of a run in parts, each a file or some row-aligned files; nothing is read before it is asked for.

    ``for part in table`` holds one part in memory. Libraries that take Arrow streams (polars, DuckDB, pandas, pyarrow)
    read the table itself.
    """

    def __init__(self, name: str, schema: pa.Schema):
        self.name = name
        self.schema = schema  # of the chosen columns; a signal's field says its unit and meaning

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the chosen columns."""
        return tuple(self.schema.names)

    @property
    @abstractmethod
    def paths(self) -> tuple[Path, ...]:
        """The files that hold the chosen columns, part by part; those of a remote store are fetched."""

    @abstractmethod
    def __len__(self) -> int:
        """Rows, from receipts and metadata."""

    @abstractmethod
    def parts(self) -> Iterator[pa.Table]:
        """One table for each part, in order; a part may be empty."""

    @abstractmethod
    def scan(self) -> "pl.LazyFrame":
        """A polars query over all parts; polars reads only the columns that it needs."""

    @abstractmethod
    def _with(self, schema: pa.Schema) -> "PartTable":
        """The same rows with fewer columns."""

    def select(self, columns: str | Iterable[str]) -> "PartTable":
        """The same rows with these columns, in this order.

        Raises
        ------
        UnknownNameError : no such column, with the nearest; SchemaError : none is named
        """
        names = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
        for name in names:
            if name not in self.schema.names:
                raise UnknownNameError(f"column of {self.name}", name, self.schema.names)
        if not names:
            raise SchemaError(f"no column of {self.name} is chosen; it has {', '.join(self.columns)}")
        return self._with(pa.schema([self.schema.field(name) for name in names]))

    def __iter__(self) -> Iterator[pa.Table]:
        return self.parts()

    def reader(self) -> pa.RecordBatchReader:
        """An Arrow stream that reads part after part."""
        batches = (batch for part in self.parts() for batch in part.to_batches())
        return pa.RecordBatchReader.from_batches(self.schema, batches)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.reader().__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """All rows in memory."""
        return pa.concat_tables([self.schema.empty_table(), *self.parts()])

    def to_polars(self) -> "pl.DataFrame":
        """All rows in memory."""
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def head(self, rows: int = 5) -> "pl.DataFrame":
        """The first rows."""
        return self.scan().head(rows).collect()

    def __repr__(self) -> str:
        return f"PartTable {self.name}: {len(self):,} rows; {', '.join(self.columns)}"

    def _repr_html_(self) -> str:
        lines = "".join(f"<tr><td>{_cells(field)}</td></tr>" for field in self.schema)
        return f"<b>{escape(self.name)}</b>, {len(self):,} rows<table>{lines}</table>"


def _cells(field: pa.Field) -> str:
    """Name, type, unit and meaning of a column."""
    meant = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return "</td><td>".join(map(escape, (field.name, str(field.type), meant.get("unit", ""), meant.get("text", ""))))
