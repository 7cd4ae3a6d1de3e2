"""Texts of a run: of kept documents as the tokenizer reads them, spans cut and masked; of others as they were read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import KEPT
from gristmill.corpus.tables import read_batches
from gristmill.file_table import PartFiles
from gristmill.part_table import PartTable

if TYPE_CHECKING:
    import polars as pl

TEXT = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),  # of a kept document, the one that its shards bear
        pa.field("kept", pa.bool_()),  # null in a run that has not decided
        pa.field("text", pa.large_string(), False),
    ]
)
_SPANS = KEPT.field("spans").type
_NO_SPANS = pa.array([[]], _SPANS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents: kept or not (None: both), and of these doc_ids alone."""

    kept: bool | None = None
    ids: pa.Array | None = None

    def rows(self, doc_ids: pa.Array, kept: np.ndarray) -> np.ndarray:
        """bool[n_docs] of a batch."""
        wanted = np.ones(len(kept), bool) if self.kept is None else kept == self.kept
        if self.ids is not None:
            wanted &= pc.is_in(doc_ids, value_set=self.ids).to_numpy(zero_copy_only=False)
        return wanted


class TextTable(PartTable):
    """The documents' texts, rewritten as they are read: a row group in memory at a time."""

    def __init__(
        self, documents: Sequence[PartFiles], kept: Path | None, wanted: Wanted, rows: int, schema: pa.Schema = TEXT
    ):
        super().__init__("text", schema)
        self._documents, self._kept, self._wanted, self._rows = tuple(documents), kept, wanted, rows

    def _with(self, schema: pa.Schema) -> "TextTable":
        return TextTable(self._documents, self._kept, self._wanted, self._rows, schema)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The documents' files and the list of kept ones."""
        return (*(part.path(0) for part in self._documents), *([self._kept] if self._kept else []))

    def __len__(self) -> int:
        return self._rows

    def parts(self) -> Iterator[pa.Table]:
        """One table for each part of the documents, in order; empty where it holds none of those wanted."""
        for number in range(len(self._documents)):
            yield pa.Table.from_batches(self._batches(number), self.schema)

    def _batches(self, number: int) -> Iterator[pa.RecordBatch]:
        kept, first = self._kept_of(number), 0
        columns = ["doc_id", "source", "domain", *(["text"] if "text" in self.columns else [])]
        for batch in read_batches(self._documents[number].path(0), columns):
            yield self._rewritten(batch, kept, first)
            first += batch.num_rows

    def _kept_of(self, number: int) -> pa.Table:
        """Kept rows of a part, in its order."""
        if self._kept is None:
            return KEPT.empty_table()
        kept = pq.read_table(self._kept, filters=[("part", "=", number)])
        return kept.take(pc.sort_indices(kept, [("row", "ascending")])).combine_chunks()

    def _rewritten(self, batch: pa.RecordBatch, kept: pa.Table, first: int) -> pa.RecordBatch:
        """The wanted documents of a batch that begins at row ``first`` of its part."""
        rows = kept["row"].to_numpy()
        begin, end = np.searchsorted(rows, [first, first + batch.num_rows])
        place = np.full(batch.num_rows, -1)  # in ``kept``
        place[rows[begin:end] - first] = np.arange(begin, end)
        chosen = np.flatnonzero(self._wanted.rows(batch["doc_id"], place >= 0))
        batch, place = batch.take(pa.array(chosen)), place[chosen]
        values = {name: batch[name].cast(TEXT.field(name).type) for name in batch.schema.names}
        at = pa.array(place, mask=place < 0)
        _check_ids(values["doc_id"], kept["doc_id"].combine_chunks().take(at))
        values["domain"] = pc.coalesce(kept["domain"].combine_chunks().take(at), values["domain"])
        values["kept"] = pa.array(place >= 0, mask=np.full(len(place), self._kept is None))
        if "text" in values:
            values["text"] = _edited(values["text"], kept["spans"].combine_chunks(), place)
        return pa.record_batch([values[name] for name in self.columns], schema=self.schema)

    def scan(self) -> "pl.LazyFrame":
        """A polars query that rewrites texts a part at a time, and none where it needs no text."""
        import polars as pl
        from polars.io.plugins import register_io_source

        return register_io_source(self._frames, schema=pl.DataFrame(self.schema.empty_table()).schema)

    def _frames(self, columns: list[str] | None, predicate: Any, rows: int | None, _: int | None) -> Iterator[Any]:
        """What polars asks of a source: some columns of the first rows, those of them for which the predicate holds."""
        import polars as pl

        left = len(self) if rows is None else rows
        for part in (self if columns is None else self.select(columns or self.columns[:1])).parts():
            frame = pl.DataFrame(part).head(left)
            left -= frame.height
            yield frame if predicate is None else frame.filter(predicate)
            if left <= 0:
                return


def _check_ids(doc_ids: pa.Array, kept: pa.Array) -> None:
    if pc.any(pc.not_equal(doc_ids, kept.cast(doc_ids.type))).as_py():
        raise SchemaError("the kept rows name other documents than stand there; `gristmill verify` the run")


def _edited(texts: pa.Array, spans: pa.Array, place: np.ndarray) -> pa.Array:
    """Texts with the spans of kept documents cut and masked; ``place`` in ``spans``, -1 for one that is not kept."""
    from gristmill.tokenizer.cutting import cut_spans

    lists = pa.concat_arrays([spans.cast(_SPANS), _NO_SPANS])
    return cut_spans(texts, lists.take(pa.array(np.where(place < 0, len(spans), place))))
