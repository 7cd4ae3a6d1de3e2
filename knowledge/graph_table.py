"""The graph in memory: integer columns. How it is read from files stands in ``graph``."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A loaded graph. ``near[near_offsets[e]:near_offsets[e + 1]]`` are the neighbours of e, ascending."""

    ids: pa.StringArray  # [n_entities] ascending
    types: pa.StringArray  # [n_entities]
    names: pa.LargeStringArray  # [n_names] ascending: labels and aliases to look for
    listed: np.ndarray  # bool[n_names] a label or alias of the graph, not a name that ``names`` adds
    candidate_offsets: np.ndarray  # int64[n_names + 1]
    candidates: np.ndarray  # int32[...] entities of each name, ascending
    doubtful: np.ndarray  # bool[...] candidates that are no witness for others
    prior: np.ndarray  # float32[...] logarithm of the odds of each candidate before a document is read
    relations: pa.StringArray  # [n_relations] ascending
    heads: np.ndarray  # int32[n_triples], sorted by head, relation, tail; no triple twice
    kinds: np.ndarray  # int32[n_triples] ordinal of the relation
    tails: np.ndarray  # int32[n_triples]
    head_offsets: np.ndarray  # int64[n_entities + 1]: the triples of each head
    near_offsets: np.ndarray  # int64[n_entities + 1]
    near: np.ndarray  # int32[...] neighbours either way, distinct
    degrees: np.ndarray  # int64[n_entities]: triples that the entity takes part in
    joined: np.ndarray  # int64[...] smaller * n_entities + larger entity of every pair that a triple joins, ascending
    dangling: int  # triples left out because an end is no entity
    index: Any = None  # ``linking.IndexedNames`` of a graph that is mapped, see ``mapped_graph``; else made when needed

    @property
    def n_entities(self) -> int:
        """Number of entities."""
        return len(self.ids)

    @property
    def n_triples(self) -> int:
        """Number of distinct triples whose ends are entities."""
        return len(self.heads)

    def neighbours(self, entity: int) -> np.ndarray:
        """int32[...]: entities that share a triple with ``entity``, ascending."""
        return self.near[self.near_offsets[entity] : self.near_offsets[entity + 1]]


def neighbours(heads: np.ndarray, tails: np.ndarray, n_entities: int) -> tuple[np.ndarray, np.ndarray]:
    """Undirected neighbours as offsets and one ascending list an entity; no entity is its own neighbour."""
    pairs = np.unique(np.concatenate([heads * np.int64(n_entities) + tails, tails * np.int64(n_entities) + heads]))
    left, right = np.divmod(pairs, max(n_entities, 1))
    left, right = left[left != right], right[left != right]
    return offsets_of(np.bincount(left, minlength=n_entities)), right.astype(np.int32)


def offsets_of(counts: np.ndarray) -> np.ndarray:
    """int64[n + 1]: where the items of each of ``counts`` begin."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
