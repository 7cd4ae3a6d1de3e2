"""Packed rows become one stream of document tokens: padding ends here, and so does every mask.

B rows, L row_tokens, S document slices, N their tokens, P positions with a target that counts, G documents of a group,
T its longest.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gristmill.handoff.loader import Batch
from gristmill.handoff.row_digest import within
from gristmill.trainer.model.entity_mentions import Mentions

SHORTEST_LOG2 = 4  # documents of up to 16 tokens share a group


class Packed(NamedTuple):
    """A batch as the model reads it."""

    tokens: Tensor  # int64[N]
    positions: Tensor  # int64[N], each document counts from 0
    groups: tuple[Tensor, ...]  # int64[G, T] each: tokens of documents of similar length, the last one repeated
    back: Tensor  # int64[N]: where each token stands in the groups laid end to end
    inputs: Tensor  # int64[P]: tokens whose next token belongs to the same document slice and counts
    targets: Tensor  # int64[P]: that next token
    domain: Tensor  # int64[N], of the row
    slices: Tensor  # int64[3, S]: row in the batch, first token in the row, length of each document slice
    epoch: Tensor  # int64[B], of the row
    mentions: Mentions | None = None  # entities of a graph, where the model is to know them

    def to(self, device: str) -> "Packed":
        """The same batch on ``device``."""
        groups = tuple(group.to(device) for group in self.groups)
        rest = {name: one.to(device) for name, one in self._asdict().items() if name != "groups" and one is not None}
        return Packed(groups=groups, **rest)


def pack_batch(batch: Batch) -> Packed:
    """What the loader hands out, as the model reads it."""
    packed = pack(batch.tokens, batch.domain, *batch.slices, batch.mask)
    return packed._replace(epoch=torch.from_numpy(batch.epoch.astype(np.int64)))


def pack(
    tokens: np.ndarray,
    domain: np.ndarray,
    row: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    mask: np.ndarray | None = None,
) -> Packed:
    """Cut document slices out of rows. The epoch of every row is 0: see ``pack_batch``.

    Parameters
    ----------
    tokens : integers [B, L]; domain : integers [B]
    row, start, length : integers, one for each slice: it covers tokens[row, start : start + length]
    mask : bool [B, L], whether a token counts where it is predicted; None = all do

    Returns
    -------
    Packed; tokens in no slice are padding and appear nowhere

    >>> batch = pack(np.array([[5, 6, 7, 0]]), np.array([2]), np.array([0]), np.array([0]), np.array([3]))
    >>> batch.tokens.tolist(), batch.inputs.tolist(), batch.targets.tolist(), batch.domain.tolist()
    ([5, 6, 7], [0, 1], [6, 7], [2, 2, 2])
    """
    row, start, length = (np.asarray(a, np.int64)[np.asarray(length) > 0] for a in (row, start, length))
    begin = np.cumsum(length) - length  # first token of each slice in the stream
    positions = within(length)
    flat = np.repeat(row * tokens.shape[1] + start, length) + positions
    stream = tokens.reshape(-1)[flat].astype(np.int64)
    inputs = np.flatnonzero(positions < np.repeat(length - 1, length))
    if mask is not None:
        inputs = inputs[mask.reshape(-1)[flat[inputs + 1]]]
    groups, back = _groups(begin, length, positions)
    domain_of = np.repeat(np.asarray(domain, np.int64)[row], length)
    slices, epoch = np.stack((row, start, length)), np.zeros(len(tokens), np.int64)
    arrays = (stream, positions, back, inputs, stream[inputs + 1], domain_of, slices, epoch)
    stream, positions, back, inputs, targets, domain_of, slices, epoch = map(torch.from_numpy, arrays)
    return Packed(stream, positions, groups, back, inputs, targets, domain_of, slices, epoch)


def _groups(begin: np.ndarray, length: np.ndarray, positions: np.ndarray) -> tuple[tuple[Tensor, ...], np.ndarray]:
    """Documents by length class (powers of two): at most log2(L) attention calls, however many documents."""
    size_class = np.maximum(np.ceil(np.log2(np.maximum(length, 1))), SHORTEST_LOG2).astype(np.int64)
    place = np.zeros(len(length), np.int64)  # of each document's first token in the groups laid end to end
    groups, laid = [], 0
    for wanted in np.unique(size_class):
        chosen = np.flatnonzero(size_class == wanted)
        longest = int(length[chosen].max())
        offsets = np.minimum(np.arange(longest), length[chosen, None] - 1)
        groups.append(torch.from_numpy(begin[chosen, None] + offsets))
        place[chosen] = laid + np.arange(len(chosen)) * longest
        laid += len(chosen) * longest
    return tuple(groups), np.repeat(place, length) + positions
