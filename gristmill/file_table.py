"""Tables of a run that lie in Parquet files of the store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.tables import read_part
from gristmill.part_table import PartTable

if TYPE_CHECKING:
    import polars as pl

Fetch = Callable[[], Path]  # where a file lies, once it is fetched from a remote store


@dataclass(frozen=True, slots=True)
class PartFiles:
    """Files with the same rows, whose columns stand side by side; ``rows`` where a receipt says how many."""

    files: tuple[Fetch, ...]
    rows: int | None = None

    def path(self, place: int) -> Path:
        """One of the files; StoreError when it is gone."""
        path = self.files[place]()
        if not path.exists():
            raise StoreError(f"{path} is gone from the store; open the run again, or run its recipe again")
        return path


class FileTable(PartTable):
    """Row-aligned Parquet files, part by part."""

    def __init__(self, name: str, parts: Sequence[PartFiles], schema: pa.Schema, places: dict[str, int]):
        super().__init__(name, schema)
        self._parts, self._places = tuple(parts), places

    @classmethod
    def of(cls, name: str, parts: Sequence[PartFiles]) -> "FileTable":
        """All columns of all files; of a column that several have, as ``doc_id``, the first file's."""
        places: dict[str, int] = {}
        fields: list[pa.Field] = []
        for place in range(len(parts[0].files) if parts else 0):
            for field in pq.read_schema(parts[0].path(place)):
                if field.name not in places:
                    places[field.name] = place
                    fields.append(field)
        return cls(name, parts, pa.schema(fields), places)

    def _with(self, schema: pa.Schema) -> "FileTable":
        return FileTable(self.name, self._parts, schema, self._places)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that hold the chosen columns, part by part; those of a remote store are fetched."""
        return tuple(part.path(place) for part in self._parts for place in self._chosen())

    def _chosen(self) -> dict[int, list[str]]:
        """The chosen columns of each file that has some."""
        chosen: dict[int, list[str]] = {}
        for name in self.columns:
            chosen.setdefault(self._places[name], []).append(name)
        return chosen

    def __len__(self) -> int:
        return sum(pq.read_metadata(part.path(0)).num_rows if part.rows is None else part.rows for part in self._parts)

    def parts(self) -> Iterator[pa.Table]:
        """One table for each part, in order."""
        chosen = self._chosen()
        for part in self._parts:
            tables = {place: read_part(part.path(place), names) for place, names in chosen.items()}
            columns = [tables[self._places[name]][name] for name in self.columns]
            yield pa.table(columns, schema=self.schema)

    def scan(self) -> "pl.LazyFrame":
        """A polars query over all parts; polars reads only the columns that it needs."""
        import polars as pl

        if not self._parts:
            return pl.DataFrame(self.schema.empty_table()).lazy()
        frames = [
            pl.scan_parquet([part.path(place) for part in self._parts]).select(names)
            for place, names in self._chosen().items()
        ]
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="horizontal").select(self.columns)
