"""Mentions of a graph's entities in a text column: arrays in, arrays out, nothing written.

The rule. Names are found as whole words, leftmost, the longest first; Chinese and Japanese by characters. A
name of several words may differ from the text in ASCII case and white space, but a capital that begins a word
of the name must be one in the text (Black Sea, BLACK SEA, not black sea). A name of one word must stand as
written: in READING the capitals say nothing. Then one sense per document: of several candidates those win that
the same document names beyond doubt under another name, or whose neighbour in the graph it so names; among
them the one of most triples; then the smaller id. A doubtful candidate (``names``) without such a witness is
out, and so is every candidate of a word that the same document also writes in small letters (Page, page).
A name left without candidates is no mention. A run of katakana is one word.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.knowledge import _kernels, _kernels_graph
from gristmill.knowledge.graph import Graph

BYTES_A_MENTION = 64  # first guess of the room; the densest sample (a country's article) needs it at 80


class Mentions(NamedTuple):
    """Mentions of a batch; document d has those from ``offsets[d]`` to ``offsets[d + 1]``."""

    offsets: np.ndarray  # int64[n_docs + 1]
    starts: np.ndarray  # int64[n] byte in the document
    ends: np.ndarray  # int64[n]
    names: np.ndarray  # int64[n] ordinal in graph.names
    entities: np.ndarray  # int32[n] ordinal in graph.ids
    scores: np.ndarray  # float32[n] share of the entity among its rivals, by degree; 1 without rivals
    unwitnessed: int  # doubtful names left out

    @property
    def docs(self) -> np.ndarray:
        """int64[n]: the document of each mention."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def find_mentions(texts: TextColumn, graph: Graph) -> Mentions:
    """Every mention in ``texts``, in order. Cost: one pass over the bytes, releases the GIL."""
    offsets, found, is_small = _find(texts, graph)
    starts, ends, names = found.T
    entities, scores = np.empty(len(names), np.int32), np.empty(len(names), np.float32)
    _kernels_graph.choose_entities(
        offsets,
        names,
        is_small,
        graph.candidate_offsets,
        graph.candidates,
        graph.doubtful,
        graph.degrees,
        graph.near_offsets,
        graph.near,
        entities,
        scores,
    )
    linked = entities >= 0
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(linked, dtype=np.int64)])[offsets]
    columns = (column[linked] for column in (starts, ends, names, entities, scores))
    return Mentions(kept, *columns, unwitnessed=int(len(names) - linked.sum()))


def join_documents(mentions: Mentions, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """(document, triple), int64 each: triples of the graph with both ends in the document, distinct, ascending."""
    docs, entities = distinct_entities(mentions, graph)
    room = max(len(docs), 1)
    while True:
        out_docs, triples = np.empty(room, np.int64), np.empty(room, np.int64)
        needed = _kernels_graph.join_triples(
            docs, entities, graph.n_entities, graph.head_offsets, graph.tails, out_docs, triples
        )
        if needed <= room:
            return out_docs[:needed], triples[:needed]
        room = needed


def distinct_entities(mentions: Mentions, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """(document, entity), int64 each: what every document names, once, ascending."""
    pairs = np.unique(mentions.docs * graph.n_entities + mentions.entities)
    docs, entities = np.divmod(pairs, graph.n_entities)
    return docs, entities


def _find(texts: TextColumn, graph: Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets by document, (start, end, name) of each mention, is the name also written small in its document."""
    index, names = name_index(graph)
    offsets = np.zeros(texts.n_docs + 1, np.int64)
    room = len(texts.data) // BYTES_A_MENTION
    while True:
        found, is_small = np.empty((room, 3), np.int64), np.empty(room, np.bool_)
        needed = _kernels.find_names(*texts, index, offsets, found, is_small)
        if needed <= room:
            found[:needed, 2] = names[found[:needed, 2]]
            return offsets, found[:needed], is_small[:needed]
        room = needed


@lru_cache(maxsize=1)
def name_index(graph: Graph) -> tuple[_kernels.NameIndex, np.ndarray]:
    """Hash tables over the names of a graph, and the name of each place in them; 80,000 names take 9 MB."""
    names = text_column(pa.table({"name": graph.names}), "name")
    keys, first_keys = np.zeros((2, names.n_docs), np.uint64)
    spans = np.zeros((names.n_docs, 5), np.int64)
    _kernels.name_keys(*names, keys, first_keys, spans)
    order = np.argsort(keys, kind="stable")[np.count_nonzero(keys == 0) :]
    keys, first_keys, spans = keys[order], first_keys[order], spans[order]
    size = 1 << int(2 * len(keys) + 1).bit_length()
    slots, firsts, lengths = np.zeros(size, np.int32), np.zeros(size, np.uint64), np.zeros(size, np.uint32)
    gate = np.zeros(1 << _kernels.GATE_BITS, np.bool_)
    _kernels.fill_slots(keys, slots)
    _kernels.fill_firsts(first_keys, spans, firsts, lengths)
    _kernels.open_gate(spans, names.data, gate)
    return _kernels.NameIndex(keys, spans, names.data, slots, firsts, lengths, gate), order
