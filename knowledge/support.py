"""Does a document state what the graph says, and what it names together that the graph does not?

A triple has support where its two entities are mentioned with a window of bytes between them at most, as often as that
happens. Two entities named together so twice or more, which no triple joins, are a pair that is new to the graph.
"""

from typing import NamedTuple

import numpy as np

from gristmill.knowledge import _kernels_graph
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import Mentions

NEW_FROM = 2  # once together is chance: a list of guests, a table of contents


class ClosePairs(NamedTuple):
    """Pairs of entities that stand together, each once for a document, ascending."""

    docs: np.ndarray  # int64[n]
    low: np.ndarray  # int64[n] ordinal of the smaller entity
    high: np.ndarray  # int64[n]
    times: np.ndarray  # int64[n] pairs of mentions


def close_pairs(mentions: Mentions, window: int) -> ClosePairs:
    """What stands together in each document, at most ``window`` bytes between."""
    room = max(4 * len(mentions.entities), 1)
    while True:
        pairs = np.empty((room, 3), np.int64)
        columns = (mentions.offsets, mentions.starts, mentions.ends, mentions.entities)
        needed = _kernels_graph.close_pairs(*columns, window, pairs)
        if needed <= room:
            break
        room = needed
    distinct, times = np.unique(pairs[:needed], axis=0, return_counts=True)
    return ClosePairs(distinct[:, 0], distinct[:, 1], distinct[:, 2], times)


def support_of(docs: np.ndarray, triples: np.ndarray, pairs: ClosePairs, graph: Graph) -> np.ndarray:
    """int64[n]: how often the ends of each joined triple stand together; 0 for a triple of one entity.

    Parameters
    ----------
    docs, triples : of ``linking.join_documents``
    """
    heads, tails = graph.heads[triples].astype(np.int64), graph.tails[triples].astype(np.int64)
    known, numbers = np.unique(pairs.low * graph.n_entities + pairs.high, return_inverse=True)
    wanted, named = _places(known, np.minimum(heads, tails) * graph.n_entities + np.maximum(heads, tails))
    at, there = _places(pairs.docs * len(known) + numbers, docs * len(known) + wanted)
    there &= named
    support = np.zeros(len(triples), np.int64)
    support[there] = pairs.times[at[there]]
    return support


def new_pairs(pairs: ClosePairs, graph: Graph, n_docs: int) -> np.ndarray:
    """int64[n_docs]: pairs named together twice or more, which no triple of the graph joins."""
    keys = pairs.low * graph.n_entities + pairs.high
    return np.bincount(pairs.docs[(pairs.times >= NEW_FROM) & ~np.isin(keys, graph.joined)], minlength=n_docs)


def _places(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted number stands among ascending known ones, and whether it is there."""
    at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    return at, known[at] == wanted if len(known) else np.zeros(len(wanted), bool)
