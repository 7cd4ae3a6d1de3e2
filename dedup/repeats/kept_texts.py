"""The kept documents of all parts: numbered in canonical order, read again row group by row group.

A document's *rank* is its place in the order of doc_id, whatever file it stands in: what comes first in a corpus is
decided by rank, so that no result depends on part sizes or on the order of files. Its *row* is its place among the
kept rows of all files in the order they are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import KEPT, expect_columns
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.corpus.whole_columns import coded, whole

_NUMBERED = pa.schema([KEPT.field(name) for name in ("doc_id", "source", "row")])


class TextBatch(NamedTuple):
    """Some kept documents of one row group; all arrays have one place per document."""

    rows: np.ndarray  # int64, ascending
    ranks: np.ndarray  # int64
    text: TextColumn


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """Holds about 70 bytes a kept document, no text."""

    documents: Sequence[Path]
    places: Sequence[np.ndarray]  # a part: int64, the positions of its kept rows, ascending
    doc_ids: pa.Array  # ascending; doc_ids[rank]
    ranks: np.ndarray  # int64[n_kept], by row
    sources: np.ndarray  # int32[n_kept], by rank; place in source_names
    source_names: list[str]  # ascending

    @property
    def n_kept(self) -> int:
        """Number of kept documents."""
        return len(self.ranks)

    @property
    def text_bytes(self) -> int:
        """Bytes of text in the parts, kept or not, as Parquet's metadata estimates them."""
        return sum(map(_text_bytes, self.documents))

    def batches(self, wanted: np.ndarray | None = None) -> Iterator[TextBatch]:
        """The kept texts in the order of rows; only those with ``wanted bool[n_kept]`` when given.

        Row groups without such a document are not read.

        Raises
        ------
        SchemaError : another document stands in a row than ``kept`` says
        """
        first = 0
        for path, places in zip(self.documents, self.places, strict=True):
            rows = np.arange(first, first + len(places))
            first += len(places)
            if wanted is not None:
                places, rows = places[wanted[rows]], rows[wanted[rows]]
            yield from self._batches_of_part(path, places, rows)

    def _batches_of_part(self, path: Path, places: np.ndarray, rows: np.ndarray) -> Iterator[TextBatch]:
        with pq.ParquetFile(path, memory_map=True) as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                lo, hi = np.searchsorted(places, [start, stop])
                if hi > lo:
                    table = file.read_row_group(group, columns=["doc_id", "text"], use_threads=False)
                    table = table if hi - lo == stop - start else table.take(pa.array(places[lo:hi] - start))
                    ranks = self.ranks[rows[lo:hi]]
                    _expect_ids(path, table["doc_id"], self.doc_ids.take(pa.array(ranks)))
                    yield TextBatch(rows[lo:hi], ranks, text_column(table))
                start = stop


def read_kept(documents: Sequence[Path], kept: Sequence[pa.Table]) -> KeptTexts:
    """Number the kept documents.

    Parameters
    ----------
    documents : part files of ``gristmill.corpus.schema.DOCUMENTS``
    kept : for each of them the rows of ``gristmill.corpus.schema.KEPT`` that belong to it, in any order

    Raises
    ------
    SchemaError : the two do not belong together, or a document is kept twice
    """
    if len(documents) != len(kept):
        raise SchemaError(f"{len(documents)} parts of documents but {len(kept)} tables of kept rows")
    ordered = [_by_row(path, table) for path, table in zip(documents, kept, strict=True)]
    all_kept = pa.concat_tables([_NUMBERED.empty_table(), *ordered])
    order = pc.sort_indices(all_kept["doc_id"])
    doc_ids = whole(all_kept["doc_id"]).take(order)
    _refuse_twins(doc_ids)
    ranks = np.empty(len(order), np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    sources = coded(all_kept["source"])
    names = sorted(sources.dictionary.to_pylist())
    code = np.array([names.index(name) for name in sources.dictionary.to_pylist()], np.int32)
    places = [table["row"].to_numpy() for table in ordered]
    return KeptTexts(documents, places, doc_ids, ranks, code[sources.indices.to_numpy()[order.to_numpy()]], names)


def _by_row(path: Path, kept: pa.Table) -> pa.Table:
    expect_columns(kept.schema, tuple(_NUMBERED.names), "the kept table")
    kept = kept.select(_NUMBERED.names).cast(_NUMBERED)
    kept = kept.take(pc.sort_indices(kept, [("row", "ascending")])).combine_chunks()
    n_rows = pq.read_metadata(path).num_rows
    if len(kept) and not 0 <= kept["row"][0].as_py() <= kept["row"][-1].as_py() < n_rows:
        raise SchemaError(f"kept names row {kept['row'][-1]} of {path}, which has {n_rows} rows")
    return kept


def _refuse_twins(doc_ids: pa.Array) -> None:
    if len(doc_ids) > 1:
        at = pc.index(pc.equal(doc_ids[1:], doc_ids[:-1]), True).as_py()
        if at >= 0:
            raise SchemaError(f"doc_id {doc_ids[at]} is kept more than once; every document has one row in one part")


def _expect_ids(path: Path, found: pa.ChunkedArray, expected: pa.Array) -> None:
    if pc.any(pc.not_equal(found.cast(pa.string()), expected.cast(pa.string()))).as_py():
        raise SchemaError(f"kept does not belong to {path}: its rows name other documents")


def _text_bytes(path: Path) -> int:
    metadata = pq.read_metadata(path)
    column = metadata.schema.to_arrow_schema().get_field_index("text")
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    return sum(group.column(column).total_uncompressed_size for group in groups)
