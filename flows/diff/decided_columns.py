"""The stored columns of one run that a difference is made of, row by row of its documents. No text is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.span_tables import MASK
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.deciding import document_columns
from gristmill.flows.pipeline.edits import bytes_cut
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE

_LEDGER = ["doc_id", "verdict", "rule", "signal", "value", "bound", "other"]


@dataclass(frozen=True, slots=True)
class DecidedColumns:
    """What one run decided."""

    documents: pl.DataFrame  # doc_id, source, domain, lang_id, bytes, text_hash, verdict, other, cut, spans: a document
    failures: pl.DataFrame  # at (row in documents), rule, signal, value, bound: rules, and what people decided


def decided_columns(context: RunContext) -> DecidedColumns:
    """Read them.

    Raises
    ------
    StoreError : the run has not decided, or its ledger is not that of its documents
    """
    context.run.manifest("decide")
    documents = _documents(context)
    ledger = pl.read_parquet(context.file("decide", "ledger.parquet"), columns=_LEDGER)
    at = ledger["doc_id"].rle_id()  # rows of one document stand together, in the documents' order
    first = ledger.filter(at.diff().fill_null(1) != 0)
    if not first["doc_id"].equals(documents["doc_id"]):
        raise StoreError(f"{context.run.path}: the ledger is not that of its documents; see `gristmill verify`")
    failed = pl.col("rule").is_not_null() & (pl.col("verdict") != "merged")  # ``other`` says what a merged one lost to
    failures = ledger.with_columns(at=at).filter(failed).select("at", "rule", "signal", "value", "bound")
    return DecidedColumns(documents.hstack([first["verdict"], first["other"], *_cuts(context, documents)]), failures)


def _paths(context: RunContext, stage: str, name: str) -> list[Path]:
    return [resolve(context.store, ref) for ref in context.refs(stage, name)]


def _documents(context: RunContext) -> pl.DataFrame:
    documents = _paths(context, "documents", DOCUMENTS_FILE)
    language = _paths(context, "language", "language.parquet") if context.run.has("language") else []
    table = document_columns(documents, _paths(context, "signals", "signals.parquet"), language)
    hashes = pa.concat_tables([pq.read_table(path, columns=["text_hash"]) for path in documents])
    return pl.DataFrame(table.select(["doc_id", "source", "domain", "lang_id", "bytes", "part"])).hstack(
        pl.DataFrame(hashes)
    )


def _cuts(context: RunContext, documents: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Bytes that removals cut out of each document, and a number that is another where its spans are others."""
    cut, spans = np.zeros(len(documents), np.int64), np.zeros(len(documents), np.uint64)
    if context.run.has("edits"):
        kept = pq.read_table(context.file("edits", "kept.parquet"), columns=["part", "row", "spans"])
        at = np.searchsorted(documents["part"].to_numpy(), kept["part"].to_numpy()) + kept["row"].to_numpy()
        lists = kept["spans"].combine_chunks()
        cut[at], spans[at] = bytes_cut(lists), _span_sums(lists)
    return pl.Series("cut", cut), pl.Series("spans", spans)


def _span_sums(spans: pa.ListArray) -> np.ndarray:
    """uint64[n_docs]: a sum of hashes of places, and of what is cut and what is masked; 0 without spans."""
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    masks = pc.starts_with(flat.field("reason"), MASK)
    places = pl.DataFrame({"start": flat.field("start"), "end": flat.field("end"), "mask": masks})
    sums = np.zeros(len(spans), np.uint64)
    np.add.at(sums, parents, places.hash_rows(seed=0).to_numpy())
    return sums
