"""Entities that a description names: they count as neighbours of the entity described when a sense is chosen.

"county seat of Denton County, Texas" ties Denton to Texas, which no triple of the graph may say. The triples that are
joined to documents stay the graph's own.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.corpus.text.columns import text_column
from gristmill.knowledge.graph_table import Graph, neighbours
from gristmill.knowledge.linking import find_names


def with_described_neighbours(graph: Graph, entities: pl.DataFrame) -> Graph:
    """The graph with what its descriptions name among the neighbours.

    Parameters
    ----------
    entities : entity (ordinal), description
    """
    described = entities.select("entity", "description").filter(pl.col("description") != "")
    found = find_names(text_column(pa.table({"text": described["description"].to_arrow().cast(pa.string())})), graph)
    names = found.rows[:, 2]
    first = graph.candidate_offsets[names]
    certain = (graph.candidate_offsets[names + 1] - first == 1) & ~graph.doubtful[first]
    rows = np.repeat(np.arange(len(described)), np.diff(found.offsets))[certain]
    heads = np.concatenate([graph.heads, described["entity"].to_numpy()[rows].astype(np.int32)])
    tails = np.concatenate([graph.tails, graph.candidates[first[certain]]])
    offsets, near = neighbours(heads, tails, graph.n_entities)
    return replace(graph, near_offsets=offsets, near=near)
