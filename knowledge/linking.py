"""Mentions of a graph's entities in a text column: arrays in, arrays out, nothing written.

Names are found as whole words, leftmost, the longest first; Chinese and Japanese by characters. A name of several
words may differ from the text in ASCII case and white space, but a capital that begins a word of the name must be
one in the text (Black Sea, BLACK SEA, not black sea). A name of one word stands as written, or in capitals from four
bytes on. A run of katakana is one word.

Then one sense for a name in a document: the candidate of the highest probability (``linking_model``), ties by id. It
grows with the candidate's share of the triples of all that bear the name, and with its neighbours among what the
document names beyond doubt (names of one candidate, not doubtful, not written small there too); it falls where the
name is part of a longer one, a date, or a common word. A mention less likely than ``min_score`` is none.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.knowledge import _kernels, _kernels_graph
from gristmill.knowledge._kernels_gate import open_gate
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking_model import CONTEXT_WEIGHTS, MIN_SCORE

BYTES_A_MENTION = 64  # first guess of the room; the densest sample (a country's article) needs it at 80
MAX_GATE = 1 << 22  # 4 MB: a table that the cache does not hold costs more than it refuses


class Mentions(NamedTuple):
    """Mentions of a batch; document d has those from ``offsets[d]`` to ``offsets[d + 1]``."""

    offsets: np.ndarray  # int64[n_docs + 1]
    starts: np.ndarray  # int64[n] byte in the document
    ends: np.ndarray  # int64[n]
    names: np.ndarray  # int64[n] ordinal in graph.names
    entities: np.ndarray  # int32[n] ordinal in graph.ids
    scores: np.ndarray  # float32[n] probability that the entity is meant
    unlinked: int  # names whose likeliest entity scores below the bound

    @property
    def docs(self) -> np.ndarray:
        """int64[n]: the document of each mention."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


class Found(NamedTuple):
    """Names of a graph in a batch, before an entity is chosen."""

    offsets: np.ndarray  # int64[n_docs + 1]
    rows: np.ndarray  # int64[n, 3] start and end byte in the document, ordinal in graph.names
    is_small: np.ndarray  # bool[n] a name of one word that its document also writes in small letters
    capitals: np.ndarray  # float64[n_docs] share of words that begin with a capital


def find_mentions(texts: TextColumn, graph: Graph, min_score: float = MIN_SCORE) -> Mentions:
    """Every mention in ``texts``, in order. Cost: one pass over the bytes, releases the GIL.

    Parameters
    ----------
    min_score : names whose likeliest entity is less likely are left out, 0 to 1
    """
    found = find_names(texts, graph)
    entities, odds = choose_entities(texts, found, graph)
    scores = np.empty(len(odds), np.float32)
    _kernels_graph.fill_scores(odds, scores)
    linked = scores >= min_score
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(linked, dtype=np.int64)])[found.offsets]
    columns = (column[linked] for column in (*found.rows.T, entities, scores))
    return Mentions(kept, *columns, unlinked=int(len(linked) - linked.sum()))


def choose_entities(texts: TextColumn, found: Found, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest entity of each name that was found: int32[n] ordinals, float64[n] logarithms of their odds."""
    n = len(found.rows)
    entities, odds = np.empty(n, np.int32), np.empty(n)
    names = (graph.candidate_offsets, graph.candidates, graph.doubtful, graph.prior)
    near = (graph.near_offsets, graph.near)
    _kernels_graph.choose_entities(*texts, *found, *names, *near, CONTEXT_WEIGHTS, entities, odds)
    return entities, odds


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


def find_names(texts: TextColumn, graph: Graph) -> Found:
    """Every name of the graph in ``texts``: whole words, leftmost, the longest first."""
    index, names = graph.index or name_index(graph)
    offsets, capitals = np.zeros(texts.n_docs + 1, np.int64), np.zeros(texts.n_docs)
    room = len(texts.data) // BYTES_A_MENTION
    while True:
        found, is_small = np.empty((room, 3), np.int64), np.empty(room, np.bool_)
        needed = _kernels.find_names(*texts, index, offsets, found, is_small, capitals)
        if needed <= room:
            found[:needed, 2] = names[found[:needed, 2]]
            return Found(offsets, found[:needed], is_small[:needed], capitals)
        room = needed


class IndexedNames(NamedTuple):
    """Hash tables over the names of a graph, and int64[n] the name of each place in them."""

    tables: _kernels.NameIndex
    names: np.ndarray


@lru_cache(maxsize=1)
def name_index(graph: Graph) -> IndexedNames:
    """The index of a graph's names; 80,000 take 9 MB."""
    names = text_column(pa.table({"name": graph.names}), "name")
    keys, first_keys = np.zeros((2, names.n_docs), np.uint64)
    spans = np.zeros((names.n_docs, 5), np.int64)
    _kernels.name_keys(*names, keys, first_keys, spans)
    order = np.argsort(keys, kind="stable")[np.count_nonzero(keys == 0) :]
    keys, first_keys, spans = keys[order], first_keys[order], spans[order]
    size = 1 << int(2 * len(keys) + 1).bit_length()
    slots, firsts, lengths = np.zeros(size, np.int32), np.zeros(size, np.uint64), np.zeros(size, np.uint32)
    _kernels.fill_slots(keys, slots)
    _kernels.fill_firsts(first_keys, spans, firsts, lengths)
    return IndexedNames(
        _kernels.NameIndex(keys, spans, names.data, slots, firsts, lengths, *_gates(spans, names)), order
    )


def _gates(spans: np.ndarray, names: TextColumn) -> tuple[np.ndarray, np.ndarray]:
    """(gate, pairs): eight places and sixteen bits a name or more, so that one word in ten passes by chance."""
    places = 1 << int(8 * len(spans)).bit_length()
    gate, pairs = np.zeros(min(places, MAX_GATE), np.uint8), np.zeros(max(places // 32, 1), np.uint64)
    starts, ends = np.empty((2, word_capacity(names.offsets)), np.int64)
    open_gate(spans[:, _kernels.BEGIN], spans[:, _kernels.END], names.data, starts, ends, gate, pairs)
    return gate, pairs
