"""A window of samples: everything about one reader's rows of several steps but the tokens, which stay where they are.

Looking a window up is what may be done ahead and beside: the plan's rows, the digests of what they touch, their slices
and masks. Copying tokens is left to the moment at which a batch leaves.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gristmill.handoff import _kernels_rows
from gristmill.handoff.batch import Batch
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader, Slices, groups


class Share(NamedTuple):
    """Which samples one reader takes: its rank's of a step of ``batch_rows``, and of every ``every``-th step alone."""

    batch_rows: int
    rank: int
    world: int
    every: int = 1


class Window(NamedTuple):
    """The rows of one reader, n of them, of the steps that begin at ``begins`` (samples) and end at ``ends``."""

    begins: np.ndarray
    ends: np.ndarray
    sample: np.ndarray
    domain: np.ndarray
    epoch: np.ndarray
    row: np.ndarray
    address: np.ndarray  # uint64 [n], of the first token in mapped memory
    width: np.ndarray  # uint8 [n], bytes of an id
    slices: Slices  # ``row`` counting from 0 in the window
    mask: np.ndarray | None

    def batches(self, step: int, every: int, buffer: "Buffers") -> Iterator[Batch]:
        """The steps of the window, the first one as number ``step``; tokens are copied as each is asked for."""
        rows = np.append(np.searchsorted(self.sample, self.begins), len(self.sample))
        cuts = np.searchsorted(self.slices.row, rows)
        inside = self.slices.row - np.repeat(rows[:-1], np.diff(cuts))
        steps = zip(
            rows.tolist(), rows[1:].tolist(), cuts.tolist(), cuts[1:].tolist(), self.ends.tolist(), strict=False
        )
        for number, (first, last, cut, end, stop) in enumerate(steps):
            tokens = buffer.take(last - first)
            _kernels_rows.copy_rows(self.address, self.width, first, tokens)
            yield Batch(
                step + number * every,
                stop,
                self.sample[first:last],
                tokens,
                self.domain[first:last],
                self.epoch[first:last],
                self.row[first:last],
                Slices(inside[cut:end], self.slices.start[cut:end], self.slices.length[cut:end]),
                None if self.mask is None else self.mask[first:last],
            )


class Buffers:
    """Where batches get the memory of their tokens: new for each, or ``reuse`` pieces in turn."""

    def __init__(self, rows: int, row_tokens: int, reuse: int):
        self._row_tokens, self._at = row_tokens, 0
        self._ring = [np.empty((rows, row_tokens), np.int64) for _ in range(reuse)]

    def take(self, rows: int) -> np.ndarray:
        """int64 [rows, row_tokens], of no content that is meant."""
        if not self._ring:
            return np.empty((rows, self._row_tokens), np.int64)
        self._at = (self._at + 1) % len(self._ring)
        return self._ring[self._at][:rows]


def look_up(plan: Plan, readers: Sequence[ShardReader], share: Share, start: int, stop: int) -> Window:
    """The window of ``share`` from sample ``start``, where a step begins, to ``stop``.

    Raises
    ------
    StoreError : a shard that holds one of the rows is missing or damaged
    """
    offset = np.arange(stop - start)
    step, place = np.divmod(offset, share.batch_rows)
    mine = np.flatnonzero((step % share.every == 0) & (place % share.world == share.rank))
    domain, epoch, row = (values[mine] for values in plan.locate(start, stop))
    address, width, found = np.empty(len(mine), np.uint64), np.empty(len(mine), np.uint8), []
    for number, at in groups(domain):
        rows = readers[number].find(row[at])
        address[at], width[at] = rows.address, readers[number].dtype.itemsize
        found.append(rows.slices._replace(row=at[rows.slices.row]))
    begins = np.arange(start, stop, share.batch_rows * share.every)
    ends = np.minimum(begins + share.batch_rows, stop)
    mask = _mask(readers, domain, row)
    return Window(begins, ends, start + mine, domain, epoch, row, address, width, _merged(found), mask)


def _mask(readers: Sequence[ShardReader], domain: np.ndarray, row: np.ndarray) -> np.ndarray | None:
    if not any(reader.has_targets for reader in readers):
        return None
    mask = np.ones((len(row), readers[0].row_tokens), bool)
    for number, place in groups(domain):
        counted = readers[number].mask(row[place])
        if counted is not None:
            mask[place] = counted
    return mask


def _merged(found: list[Slices]) -> Slices:
    """Slices of several domains in order of their rows."""
    if not found:
        return Slices(*np.empty((3, 0), np.int64))
    row, start, length = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(row, kind="stable")
    return Slices(row[order], start[order], length[order])
