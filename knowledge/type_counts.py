"""Types of the entities that documents name: a histogram for each, its main type, and coverage by type."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.corpus.schema import ENTITY_TYPE, ENTITY_TYPES
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import Mentions

AT_LEAST = (1, 3, 10)  # different entities; what a card says of coverage


class TypeCounts(NamedTuple):
    """Histograms of a batch; document d has the rows from ``offsets[d]`` to ``offsets[d + 1]``."""

    offsets: np.ndarray  # int64[n_docs + 1]
    rows: pl.DataFrame  # doc, type, mentions, entities: of each document, most mentions first, ties by name

    @property
    def n_docs(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1


def type_counts(mentions: Mentions, graph: Graph) -> TypeCounts:
    """Mentions and different entities by type; entities without a type count nowhere."""
    types = graph.types.take(pa.array(mentions.entities))
    columns = {"doc": mentions.docs, "entity": mentions.entities, "type": types.to_pylist()}
    flat = pl.DataFrame(columns, schema={"doc": pl.Int64, "entity": pl.Int32, "type": pl.String})
    counted = flat.filter(pl.col("type") != "").group_by("doc", "type")
    rows = counted.agg(mentions=pl.len().cast(pl.Int32), entities=pl.col("entity").n_unique().cast(pl.Int32))
    rows = rows.sort("doc", "mentions", "type", descending=[False, True, False])
    n_docs = len(mentions.offsets) - 1
    return TypeCounts(np.searchsorted(rows["doc"].to_numpy(), np.arange(n_docs + 1)), rows)


def main_types(counts: TypeCounts) -> pa.Array:
    """string[n_docs]: the type of most mentions, empty where no entity of a type is named."""
    first = counts.rows.unique("doc", keep="first", maintain_order=True)
    types = np.full(counts.n_docs, "", object)
    types[first["doc"].to_numpy()] = first["type"].to_list()
    return pa.array(types.tolist(), pa.string())


def type_rows(doc_ids: pa.Array, counts: TypeCounts) -> pa.RecordBatch:
    """The histograms as ``ENTITY_TYPES``."""
    columns = [counts.rows[field.name].to_arrow().cast(field.type) for field in ENTITY_TYPE]
    values = pa.StructArray.from_arrays(columns, fields=list(ENTITY_TYPE))
    lists = pa.ListArray.from_arrays(pa.array(counts.offsets, pa.int32()), values)
    return pa.record_batch([doc_ids, lists], schema=ENTITY_TYPES)


def documents_by_type(counts: TypeCounts) -> Mapping[str, Mapping[str, int]]:
    """{type: {"1": documents with one entity of it or more, "3": ..., "10": ...}}"""
    enough = [(pl.col("entities") >= least).sum().alias(str(least)) for least in AT_LEAST]
    rows = counts.rows.group_by("type").agg(enough).sort("type").to_dicts()
    return {row.pop("type"): row for row in rows}
