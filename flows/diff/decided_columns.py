"""The stored columns of one run that a difference is made of, row by row of its documents. No text is read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.span_tables import MASK
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.edits import bytes_cut
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE

_DECIDED = ["source", "domain", "bytes", "verdict", "other"]
_FAILED = ["rule", "signal", "value", "bound"]


@dataclass(frozen=True, slots=True)
class DecidedColumns:
    """What one run decided."""

    # doc_id, source, domain, lang_id, bytes, text_hash, part, verdict, other, cut, spans: a document
    documents: pl.DataFrame
    failures: pl.DataFrame  # at (row in documents), rule, signal, value, bound: rules, and what people decided
    parts: tuple[str, ...]  # sha256 of the documents of every part


def decided_columns(context: RunContext, shared: Collection[str] = ()) -> DecidedColumns:
    """Read them.

    Parameters
    ----------
    shared : of ``parts_of``, those that the other run has as well: text_hash is not read and null there

    Raises
    ------
    StoreError : the run has not decided, or its ledger is not that of its documents
    """
    context.run.manifest("decide")
    parts = parts_of(context)
    documents = _documents(context, [part in shared for part in parts])
    ledger = pl.read_parquet(context.file("decide", "ledger.parquet"), columns=["doc_id", *_DECIDED, *_FAILED])
    at = ledger["doc_id"].rle_id()  # rows of one document stand together, in the documents' order
    first = ledger.lazy().filter(at.diff().fill_null(1) != 0).select("doc_id", *_DECIDED).collect()
    if not first["doc_id"].equals(documents["doc_id"]):
        raise StoreError(f"{context.run.path}: the ledger is not that of its documents; see `gristmill verify`")
    failed = pl.col("rule").is_not_null() & (pl.col("verdict") != "merged")  # ``other`` says what a merged one lost to
    failures = ledger.lazy().with_columns(at=at).filter(failed).select("at", *_FAILED).collect()
    columns = pl.concat([documents, first.select(_DECIDED), _cuts(context, documents)], how="horizontal")
    return DecidedColumns(columns, failures, parts)


def parts_of(context: RunContext) -> tuple[str, ...]:
    """sha256 of the documents of every part, in order."""
    files = (file for part in context.run.manifest("documents").parts for file in part.files)
    return tuple(file.sha256 for file in files if file.name == DOCUMENTS_FILE)


def _paths(context: RunContext, stage: str, name: str) -> list[Path]:
    return [resolve(context.store, ref) for ref in context.refs(stage, name)]


def _documents(context: RunContext, shared: Sequence[bool]) -> pl.DataFrame:
    """doc_id, text_hash, lang_id and part; all else that is asked of a document stands in the ledger."""
    names = ["doc_id", *([] if context.run.has("language") else ["lang"])]
    paths = _paths(context, "documents", DOCUMENTS_FILE)
    parts = [
        read_part(path, names if there else [*names, "text_hash"]) for path, there in zip(paths, shared, strict=True)
    ]
    table = pa.concat_tables(parts, promote_options="default")
    hashes = table["text_hash"] if "text_hash" in table.schema.names else pa.nulls(len(table), pa.string())
    lang_id, _ = primary_subtags(_tags(context, table))
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    columns = {"doc_id": table["doc_id"], "text_hash": hashes, "lang_id": lang_id, "part": numbers}
    return pl.DataFrame(pa.table(columns))


def _tags(context: RunContext, documents: pa.Table) -> pa.ChunkedArray:
    if not context.run.has("language"):
        return documents["lang"]
    found = _paths(context, "language", "language.parquet")
    return pa.concat_tables([read_part(path, ["lang_id"]) for path in found])["lang_id"]


def _cuts(context: RunContext, documents: pl.DataFrame) -> pl.DataFrame:
    """Bytes that removals cut out of each document, and a number that is another where its spans are others."""
    cut, spans = np.zeros(len(documents), np.int64), np.zeros(len(documents), np.uint64)
    if context.run.has("edits"):
        kept = pq.read_table(context.file("edits", "kept.parquet"), columns=["part", "row", "spans"])
        at = np.searchsorted(documents["part"].to_numpy(), kept["part"].to_numpy()) + kept["row"].to_numpy()
        lists = kept["spans"]
        cut[at], spans[at] = bytes_cut(lists), np.concatenate([spans[:0], *map(_span_sums, lists.chunks)])
    return pl.DataFrame({"cut": cut, "spans": spans})


def _span_sums(spans: pa.ListArray) -> np.ndarray:
    """uint64[n_docs]: a sum of hashes of places, and of what is cut and what is masked; 0 without spans."""
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    masks = pc.starts_with(flat.field("reason"), MASK)
    places = pl.DataFrame({"start": flat.field("start"), "end": flat.field("end"), "mask": masks})
    sums = np.zeros(len(spans), np.uint64)
    np.add.at(sums, parents, places.hash_rows(seed=0).to_numpy())
    return sums
