"""What a corpus says about a graph, for the data card: types, entities, shares of documents that name any."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from gristmill.corpus.tables import read_batches
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_table import Graph

AT_LEAST = (1, 3, 10)


def coverage(mentions: Sequence[Path], graph: Path, *, top: int = 20) -> dict[str, Any]:
    """Count mentions.parquet files, batch by batch.

    Parameters
    ----------
    mentions : files that ``link_part`` wrote
    graph : the graph they were linked to
    top : how many types and entities to name

    Returns
    -------
    dict, plain JSON: documents, mentions, entities (distinct), entities_in_graph, documents_with {"1", "3", "10":
    share of documents with so many distinct entities}, top_types [{type, mentions, entities}], top_entities
    [{entity, label, mentions, documents}]; ties in order of name
    """
    counted = [_count(batch) for path in mentions for batch in read_batches(path)]
    documents = sum(n for n, _, _ in counted)
    entities = _add_up([frame for _, frame, _ in counted])
    loaded = load_graph(graph)
    typed = entities.join(_types(loaded), on="entity", how="left")
    return {
        "documents": documents,
        "mentions": int(entities["mentions"].sum()),
        "entities": entities.height,
        "entities_in_graph": loaded.n_entities,
        "documents_with": {str(n): sum(c[n] for _, _, c in counted) / max(documents, 1) for n in AT_LEAST},
        "top_types": _top_types(typed, top),
        "top_entities": _ranked(entities, "entity", top).to_dicts(),
    }


def _count(batch: pa.RecordBatch) -> tuple[int, pl.DataFrame, dict[int, int]]:
    """(documents, counts by entity and label, documents with at least n distinct entities) of one batch.

    The documents of an entity stand in each of its labels' rows.
    """
    rows = pl.DataFrame(batch).select("mentions").with_row_index("row")
    flat = rows.explode("mentions").drop_nulls("mentions").unnest("mentions")
    by_label = flat.group_by("entity", "label").agg(mentions=pl.len())
    by_entity = by_label.join(flat.group_by("entity").agg(documents=pl.col("row").n_unique()), on="entity")
    distinct = flat.group_by("row").agg(n=pl.col("entity").n_unique())["n"]
    return rows.height, by_entity, {n: int((distinct >= n).sum()) for n in AT_LEAST}


def _add_up(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    empty = {"entity": pl.String, "label": pl.String, "mentions": pl.Int64, "documents": pl.Int64}
    parts = [frame.cast(pl.Schema(empty)).with_columns(batch=pl.lit(i)) for i, frame in enumerate(frames)]
    stacked = pl.concat([pl.DataFrame(schema={**empty, "batch": pl.Int32}), *parts])
    labels = stacked.group_by("entity", "label").agg(pl.col("mentions").sum())
    best = labels.sort("mentions", "label", descending=[True, False]).group_by("entity", maintain_order=True)
    documents = stacked.unique(["entity", "batch"]).group_by("entity").agg(pl.col("documents").sum())
    return best.agg(pl.col("label").first(), pl.col("mentions").sum()).join(documents, on="entity")


def _types(graph: Graph) -> pl.DataFrame:
    return pl.DataFrame({"entity": graph.ids.to_pylist(), "type": graph.types.to_pylist()})


def _top_types(typed: pl.DataFrame, top: int) -> list[dict[str, Any]]:
    counted = typed.group_by("type").agg(pl.col("mentions").sum(), entities=pl.len())
    return _ranked(counted, "type", top).to_dicts()


def _ranked(counted: pl.DataFrame, name: str, top: int) -> pl.DataFrame:
    return counted.sort("mentions", name, descending=[True, False]).head(top)
