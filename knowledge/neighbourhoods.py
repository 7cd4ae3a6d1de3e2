"""Neighbourhoods of one domain: the entities in its packed rows, and for each what the graph says of it.

Some entities of a document are answers, to be guessed from what the graph says of the others: a keyed share, and those
in targets where rows have targets. An answer has no neighbours in its document, and no entity of the document has a
neighbour that bears an answer's name or one that holds it (``answer_names``): copying a name would do then. How the
files are read stands in ``gristmill.handoff.neighbours``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from gristmill.corpus.errors import ConservationError
from gristmill.knowledge import _kernels_neighbours
from gristmill.knowledge.answer_names import Revealing, name_words, revealing_entities
from gristmill.knowledge.graph_table import Graph, offsets_of
from gristmill.knowledge.neighbour_files import Drawn, HandedOver, write_files
from gristmill.knowledge.row_mentions import DocumentMentions, RowMentions, mentions_in_rows
from gristmill.knowledge.stage import Neighbours, NeighboursFacts

LabelTokens = Callable[[pa.LargeStringArray], pa.ListArray]


@dataclass(frozen=True, slots=True)
class KnownGraph:
    """A graph, its names as words (``answer_names.entity_names``), and a label and type of each entity, in order."""

    graph: Graph
    names: pl.DataFrame
    labels: pl.DataFrame
    label_tokens: LabelTokens  # of labels as they stand inside a text


class Pairs(NamedTuple):
    """Entities of documents, each once, in order of document and entity."""

    document: np.ndarray  # int64 [n]
    entity: np.ndarray  # int64 [n], ordinal in the graph
    key: np.ndarray  # uint64 [n]: of seed, doc_id and id, so that no other document or entity changes it
    of_mention: np.ndarray  # int64 [n_mentions in rows]: the pair of each


class Asked(NamedTuple):
    """Answers of each document d: ``keys[offsets[d]:offsets[d + 1]]``, and what would reveal each key."""

    offsets: np.ndarray  # int64 [n_docs + 1]
    keys: np.ndarray  # int64
    revealing: Revealing


def write_neighbourhoods(
    mentions: DocumentMentions,
    shards: Path,
    known: KnownGraph,
    options: Neighbours,
    folder: Path,
    *,
    seed: int,
) -> NeighboursFacts:
    """Write a domain's neighbourhoods beside its rows.

    Memory: about 100 bytes a mention, 8 a neighbour drawn, and the graph.

    Parameters
    ----------
    mentions : of the domain's kept documents
    shards : folder of its rows
    folder : filled with the files of ``gristmill.handoff.neighbour_schema``

    Raises
    ------
    ConservationError : a mention is neither in a row nor counted
    """
    rows, left_out = mentions_in_rows(mentions, shards)
    if len(rows.row) + sum(left_out.values()) != len(mentions.start):
        raise ConservationError(f"{shards}: {len(mentions.start)} mentions, {len(rows.row)} in rows, {left_out}")
    pairs = _pairs(mentions, rows, known.graph, seed)
    answer = _answers(pairs, rows, options.answers)
    drawn, leaking, offered = _draw(pairs, answer, _asked(mentions, rows, pairs, answer, known), known.graph, options)
    handed_over = HandedOver(
        row=rows.row,
        start=rows.start,
        length=mentions.length[rows.mention],
        entity=pairs.entity[pairs.of_mention],
        answer=answer[pairs.of_mention],
        pair=pairs.of_mention,
        drawn=drawn,
    )
    write_files(handed_over, shards, known.graph, known.labels, known.label_tokens, folder)
    edges = len(drawn.entity)
    n_answers = int(handed_over.answer.sum())
    return NeighboursFacts(len(mentions.start), len(rows.row), n_answers, left_out, edges, leaking, offered - edges)


def _pairs(mentions: DocumentMentions, rows: RowMentions, graph: Graph, seed: int) -> Pairs:
    coded = mentions.entity.dictionary_encode()
    ordinals = pc.index_in(coded.dictionary, value_set=graph.ids).to_numpy().astype(np.int64)
    entity = ordinals[coded.indices.to_numpy()][rows.mention]
    flat = mentions.document[rows.mention] * graph.n_entities + entity
    distinct, of_mention = np.unique(flat, return_inverse=True)
    document, entity = np.divmod(distinct, max(graph.n_entities, 1))
    of_document, of_entity = hashed(mentions.doc_ids, f"{seed}\x1f"), hashed(graph.ids)
    return Pairs(document, entity, mixed(of_document[document] ^ of_entity[entity]), of_mention)


def _answers(pairs: Pairs, rows: RowMentions, share: float) -> np.ndarray:
    """Bool [n_pairs]: a keyed share, and those of which a mention is a target."""
    drawn = mixed(pairs.key) / 2.0**64 < share
    return drawn | (np.bincount(pairs.of_mention, weights=rows.is_target, minlength=len(drawn)) > 0)


def _asked(mentions: DocumentMentions, rows: RowMentions, pairs: Pairs, answer: np.ndarray, known: KnownGraph) -> Asked:
    """An answer is asked for by the names of its entity, and by what its document writes."""
    of_answer = np.flatnonzero(answer[pairs.of_mention])
    pair = pairs.of_mention[of_answer]
    written = pl.DataFrame({"label": mentions.label.take(pa.array(rows.mention[of_answer]))})
    frame = written.select(words=name_words(pl.col("label"))).with_columns(
        document=pairs.document[pair], entity=pairs.entity[pair]
    )
    entities = frame["entity"].unique().sort()
    words = frame["words"].unique().sort()
    keys = pl.DataFrame({"entity": entities}).with_row_index("key")
    by_words = pl.DataFrame({"words": words}).with_row_index("key", offset=len(entities))
    named = known.names.with_columns(pl.col("entity").cast(pl.Int64)).join(keys, on="entity").select("key", "words")
    n_keys = len(entities) + len(words)
    itself = keys.select(pl.col("key").cast(pl.Int64), pl.col("entity").cast(pl.Int32))
    revealing = revealing_entities(pl.concat([named, by_words.select("key", "words")]), known.names, itself, n_keys)
    of_document = pl.concat(
        [frame.join(one, on=name).select("document", "key") for name, one in (("entity", keys), ("words", by_words))]
    )
    of_document = of_document.unique().sort("document", "key")
    offsets = np.searchsorted(of_document["document"].to_numpy(), np.arange(len(mentions.doc_ids) + 1))
    return Asked(offsets.astype(np.int64), of_document["key"].to_numpy().astype(np.int64), revealing)


def _draw(pairs: Pairs, answer: np.ndarray, asked: Asked, graph: Graph, options: Neighbours) -> tuple[Drawn, int, int]:
    """Neighbours of every pair, none of an answer; triples refused, and those to choose from."""
    of_pair = np.flatnonzero(~answer)
    found = np.empty((len(of_pair), options.max_neighbours, 2), np.int32)
    n_found, counts = np.zeros(len(of_pair), np.int64), np.zeros(2, np.int64)
    order = np.argsort(graph.tails, kind="stable")
    tail_offsets = offsets_of(np.bincount(graph.tails, minlength=graph.n_entities))
    ways = [hashed(graph.relations, inverse) for inverse in ("", "inverse ")]
    _kernels_neighbours.draw_neighbours(
        pairs.document[of_pair],
        pairs.entity[of_pair],
        pairs.key[of_pair],
        (asked.offsets, asked.keys, *asked.revealing),
        (graph.head_offsets, graph.kinds, graph.tails),
        (tail_offsets, graph.kinds[order], graph.heads[order]),
        (hashed(graph.ids), np.stack(ways, axis=1).reshape(-1)),
        found,
        n_found,
        counts,
    )
    each = np.zeros(len(answer), np.int64)
    each[of_pair] = n_found
    flat = found[np.arange(options.max_neighbours) < n_found[:, None]]
    return Drawn(options.max_neighbours, offsets_of(each), flat[:, 0], flat[:, 1]), int(counts[0]), int(counts[1])


def hashed(names: pa.StringArray, before: str = "") -> np.ndarray:
    """uint64 [n]: xxh3-64 of each name. A loop: xxhash takes one text per call."""
    return np.array([xxhash.xxh3_64_intdigest(f"{before}{name}".encode()) for name in names.to_pylist()], np.uint64)


def mixed(keys: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64, uint64 [n]: other bits of the same keys."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
