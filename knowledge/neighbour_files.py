"""Writing a domain's neighbourhoods: ``rows.arrow`` row by row, and the entities and relations that it names."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.handoff.durable import file_sha256, read_json, write_json
from gristmill.handoff.neighbour_schema import (
    ENTITIES,
    ENTITY,
    ENTITY_SPAN,
    FORMAT,
    INDEX,
    NEIGHBOUR,
    RELATION,
    RELATIONS,
    ROW_SPANS,
    ROWS,
)
from gristmill.handoff.shards import INDEX as SHARDS_INDEX
from gristmill.knowledge.graph_table import Graph

BATCH_ROWS = 4096


class Drawn(NamedTuple):
    """Neighbours of pair p, in the order in which they were drawn: from ``offsets[p]`` to ``offsets[p + 1]``."""

    most: int  # of any pair
    offsets: np.ndarray  # int64 [n_pairs + 1]
    relation: np.ndarray  # int32: 2 * kind, + 1 where the neighbour is the head
    entity: np.ndarray  # int32


class HandedOver(NamedTuple):
    """Mentions in rows, in order of row and place; n each but for ``drawn``."""

    row: np.ndarray  # int64
    start: np.ndarray  # int64
    length: np.ndarray  # int64, tokens
    entity: np.ndarray  # int64, ordinal in the graph
    answer: np.ndarray  # bool
    pair: np.ndarray  # int64, of ``drawn``
    drawn: Drawn


def write_files(
    spans: HandedOver,
    shards: Path,
    graph: Graph,
    labels: pl.DataFrame,
    label_tokens: Callable[[pa.LargeStringArray], pa.ListArray],
    folder: Path,
) -> None:
    """Write the files of ``gristmill.handoff.neighbour_schema``; ``labels`` has label and type of each entity."""
    index = read_json(shards / SHARDS_INDEX)
    entities = np.unique(np.concatenate([spans.entity, spans.drawn.entity])).astype(np.int64)
    relations = np.unique(spans.drawn.relation).astype(np.int64)
    _write(folder / ROWS, ROW_SPANS, _batches(spans, entities, relations, index["rows"]))
    chosen = labels[entities]
    tokens = label_tokens(chosen["label"].to_arrow().cast(pa.large_string()))
    columns = [
        graph.ids.take(pa.array(entities)),
        *(chosen[name].to_arrow().cast(pa.string()) for name in ("label", "type")),
    ]
    _write(
        folder / ENTITIES,
        ENTITY,
        [pa.record_batch([*columns, tokens.cast(ENTITY.field("tokens").type)], schema=ENTITY)],
    )
    names = graph.relations.take(pa.array(relations // 2))
    _write(folder / RELATIONS, RELATION, [pa.record_batch([names, pa.array(relations % 2 == 1)], schema=RELATION)])
    files = [folder / name for name in (ROWS, ENTITIES, RELATIONS)]
    described = {
        "format": FORMAT,
        "rows": index["rows"],
        "batch_rows": BATCH_ROWS,
        "max_neighbours": spans.drawn.most,
        "shards": file_sha256(shards / SHARDS_INDEX),
        "bytes": {path.name: path.stat().st_size for path in files},
        "sha256": {path.name: file_sha256(path) for path in files},
    }
    write_json(folder / INDEX, described)


def _write(path: Path, schema: pa.Schema, batches: "Iterator[pa.RecordBatch] | list[pa.RecordBatch]") -> None:
    with pa.ipc.new_stream(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _batches(spans: HandedOver, entities: np.ndarray, relations: np.ndarray, n_rows: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, n_rows, BATCH_ROWS):
        rows = np.arange(first, min(first + BATCH_ROWS, n_rows) + 1)
        bounds = np.searchsorted(spans.row, rows)
        at = slice(bounds[0], bounds[-1])
        offsets, near = _neighbours(spans.drawn, spans.pair[at])
        relation = np.searchsorted(relations, spans.drawn.relation[near])
        entity = np.searchsorted(entities, spans.drawn.entity[near])
        values = pa.StructArray.from_arrays(
            [pa.array(relation, pa.int32()), pa.array(entity, pa.int32())], fields=list(NEIGHBOUR)
        )
        columns = [
            pa.array(spans.start[at], pa.int32()),
            pa.array(spans.length[at], pa.int32()),
            pa.array(np.searchsorted(entities, spans.entity[at]), pa.int32()),
            pa.array(spans.answer[at]),
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values),
        ]
        structs = pa.StructArray.from_arrays(columns, fields=list(ENTITY_SPAN))
        lists = pa.ListArray.from_arrays(pa.array(bounds - bounds[0], pa.int32()), structs)
        yield pa.record_batch([lists], schema=ROW_SPANS)


def _neighbours(drawn: Drawn, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64 [n + 1] of the neighbours of each mention, and which of those drawn they are."""
    counts = drawn.offsets[pair + 1] - drawn.offsets[pair]
    offsets = np.append(0, np.cumsum(counts))
    return offsets, np.repeat(drawn.offsets[pair] - offsets[:-1], counts) + np.arange(offsets[-1])
