"""``gristmill samples --rejected``: records that became no document, with reason, place and first bytes."""

import heapq
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gristmill.corpus.errors import RecipeError, UnknownNameError
from gristmill.corpus.identity import document_id
from gristmill.corpus.tables import CHECKED
from gristmill.flows.inspect.sample_choice import SampleChoice
from gristmill.flows.pipeline.context import RunContext
from gristmill.sources.part import SKIPPED

_SEEDS = 1 << 64
_BESIDE = ("rule", "kept", "dropped", "merged", "cluster", "cut")  # what only documents have


def rejected_samples(context: RunContext, choice: SampleChoice, n: int, seed: int) -> dict[str, Any]:
    """Some of the rejected records of a run, or of one source.

    Returns
    -------
    documents (how many records there are), reasons (how many of each), samples: each with doc_id, source, locator,
    verdict, reason, detail, bytes and head. What a format passes over is none of them.

    Raises
    ------
    RecipeError : the choice asks for what a document alone has
    UnknownNameError : no source of this name
    """
    if wrong := [name for name in _BESIDE if getattr(choice, name)]:
        raise RecipeError(f"--rejected and --{wrong[0]}: a rejected record is no document; give --source beside it")
    sources = [source.name for source in context.recipe.sources]
    if choice.source is not None and choice.source not in sources:
        raise UnknownNameError("source", choice.source, sources)
    rejects = _rejects(context, choice.source)
    drawn = heapq.nsmallest(n, rejects.iter_rows(named=True), key=lambda row: _key(row["locator"], seed))
    counts = rejects["reason"].value_counts(sort=True).sort("count", "reason", descending=[True, False])
    return {"documents": len(rejects), "reasons": dict(counts.iter_rows()), "samples": [_sample(row) for row in drawn]}


def _rejects(context: RunContext, source: str | None) -> pl.DataFrame:
    parts = context.run.manifest("documents").parts
    tables = [pq.read_table(context.store.folder(part) / "rejects.parquet", **CHECKED) for part in parts]
    frame = pl.DataFrame(pa.concat_tables(tables)).filter(~pl.col("reason").is_in(sorted(SKIPPED)))
    return frame if source is None else frame.filter(pl.col("source") == source)


def _key(locator: str, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(locator.encode(), seed % _SEEDS)


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    head = (row.pop("head") or b"").decode("utf-8", "replace")
    return {"doc_id": document_id(row["source"], row["locator"]), "verdict": "rejected", **row, "head": head}
