"""Entities that a batch mentions, with their neighbours in a graph, as the model reads them.

N tokens of the stream, M mentions that have neighbours, K neighbours of each, U entities that are neighbours of any, T
tokens of the longest name. ``gristmill.handoff.neighbours`` reads them from a run.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gristmill.handoff.row_digest import within

if TYPE_CHECKING:
    from gristmill.handoff.neighbours import EntitySpans

NONE = -1


class Names(NamedTuple):
    """Names of entities in tokens, one row each."""

    tokens: np.ndarray  # int64[entities, T], 0 behind the last
    lengths: np.ndarray  # int64[entities], 0 where an entity has no name

    @classmethod
    def of(cls, tokens: list[list[int]]) -> "Names":
        """From lists of tokens."""
        lengths = np.array([len(name) for name in tokens], np.int64)
        table = np.zeros((len(tokens), max(lengths, default=0)), np.int64)
        table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate(
            [np.array(name, np.int64) for name in tokens] or [np.empty(0, np.int64)]
        )
        return cls(table, lengths)


class Mentions(NamedTuple):
    """A mention is known where its last token is read, and from there to the end of its document."""

    at: Tensor  # int64[M], last token of each in the stream, ascending
    neighbours: Tensor  # int64[M, K], rows of ``names``; NONE behind the last
    relations: Tensor  # int64[M, K]
    names: Tensor  # int64[U, T]
    lengths: Tensor  # int64[U], tokens of each name
    latest: Tensor  # int64[N], the mention that was last known in the document; NONE where none was

    def to(self, device: str) -> "Mentions":
        """The same on ``device``."""
        return Mentions(*(value.to(device) for value in self))


def mentions_of(slices: np.ndarray, row_tokens: int, spans: "EntitySpans", names: Names) -> Mentions:
    """Where the entities of ``spans`` that have neighbours stand in the stream that ``slices int64[3, S]`` make."""
    row, start, length = slices
    place = np.full((int(max([*row, *spans.row], default=0)) + 1) * row_tokens, NONE)
    place[np.repeat(row * row_tokens + start, length) + within(length)] = np.arange(length.sum())
    at = place[spans.row * row_tokens + spans.start + spans.length - 1]
    seen = np.flatnonzero((at != NONE) & (spans.neighbours != NONE).any(1))
    seen = seen[np.argsort(at[seen], kind="stable")]
    used = np.unique(spans.neighbours[seen])
    used = used[used != NONE]
    local = np.where(spans.neighbours[seen] == NONE, NONE, np.searchsorted(used, spans.neighbours[seen]))
    arrays = (at[seen], local, spans.relations[seen], names.tokens[used], names.lengths[used])
    at, local, relations, tokens, lengths, latest = map(torch.from_numpy, (*arrays, _latest(at[seen], length)))
    return Mentions(at, local, relations, tokens, lengths, latest)


def _latest(at: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Of each token of documents of these lengths, the last of the mentions ``at`` that its document has so far."""
    found = np.full(length.sum(), NONE)
    found[at] = np.arange(len(at))
    found = np.maximum.accumulate(found)
    begin = np.repeat(np.cumsum(length) - length, length)
    inside = np.append(at, NONE)[found] >= begin
    return np.where(inside, found, NONE)
