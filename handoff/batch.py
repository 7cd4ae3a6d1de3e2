"""A batch: the rows that one rank reads in one step, and what attention, positions and the loss need of them."""

from typing import NamedTuple

import numpy as np

from gristmill.handoff import _kernels_rows
from gristmill.handoff.reader import Slices
from gristmill.handoff.row_digest import row_digests, seen_in_rows

IGNORED = -100  # what torch's cross entropy leaves out by default


class Layout(NamedTuple):
    """Rows of L tokens as a training step reads them; what is no document, padding, counts nowhere."""

    counted: np.ndarray  # bool [B, L]: the token is to be predicted from the one before it, and its loss counts
    positions: np.ndarray  # int32 [B, L]: from 0 in every document slice, and in every gap
    cu_seqlens: np.ndarray  # int32 [n + 1]: where slices and gaps begin in all rows laid end to end, and the end


class Batch(NamedTuple):
    """One rank's rows of one step; B = 0 is possible in the last, short step."""

    step: int  # runs on by one, whatever ``batch_rows`` were before
    cursor: int  # samples consumed by all ranks once this step is done
    sample: np.ndarray  # int64 [B]
    tokens: np.ndarray  # int64 [B, row_tokens]
    domain: np.ndarray  # int16 [B], place in plan.names
    epoch: np.ndarray  # int32 [B]
    row: np.ndarray  # int64 [B]
    slices: Slices  # document boundaries, ``row`` counting from 0 in this batch
    mask: np.ndarray | None = None  # bool [B, row_tokens]: tokens that count where they are predicted; None = all

    @property
    def digest(self) -> np.ndarray:
        """A digest of each row as it is handed out, uint8 [B, 16]: see ``gristmill.handoff.row_digest``."""
        return row_digests(seen_in_rows(self.tokens, self.domain, self.epoch, self.slices, self.mask))

    def layout(self) -> Layout:
        """Loss mask, positions and sequence bounds; made when asked for.

        ``cu_seqlens`` is what attention over sequences of varying length takes for ``tokens.reshape(-1)``.
        """
        row, start, length = self.slices
        counted = np.ones(self.tokens.shape, bool) if self.mask is None else self.mask.copy()
        positions = np.empty(self.tokens.shape, np.int32)
        bounds = np.empty(2 * len(row) + len(counted) + 1, np.int32)
        filled = _kernels_rows.lay_out(row, start, length, counted, positions, bounds)
        return Layout(counted, positions, bounds[:filled])

    def labels(self, layout: Layout | None = None) -> np.ndarray:
        """The tokens themselves where they count, else ``IGNORED``: int64 [B, L], for a model that shifts by itself."""
        return np.where((layout or self.layout()).counted, self.tokens, IGNORED)

    def targets(self, layout: Layout | None = None) -> np.ndarray:
        """The token to predict behind each, ``IGNORED`` where none counts: int64 [B, L], the labels one to the left."""
        targets = np.full(self.tokens.shape, IGNORED)
        targets[:, :-1] = self.labels(layout)[:, 1:]
        return targets
