"""Which places of packed rows count as targets, and the rows in which none does."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.schema import ROW_TARGETS
from gristmill.tokenizer.domain_tokens import Targets
from gristmill.tokenizer.packings import Packing


class RowTargets(NamedTuple):
    """Stretches of targets in order of (row, start), int64 [n] each."""

    row: np.ndarray
    start: np.ndarray  # in the row
    length: np.ndarray

    def of(self, first: int, n_rows: int) -> pa.ListArray:
        """The lists of rows first to first + n_rows (``corpus.schema.ROW_TARGETS``)."""
        bounds = np.searchsorted(self.row, np.arange(first, first + n_rows + 1))
        at = slice(bounds[0], bounds[-1])
        columns = [pa.array(column[at].astype(np.int32)) for column in (self.start, self.length)]
        structs = pa.StructArray.from_arrays(columns, fields=list(ROW_TARGETS))
        return pa.ListArray.from_arrays(pa.array((bounds - bounds[0]).astype(np.int32)), structs)


def targets_in_rows(packing: Packing, targets: Targets) -> RowTargets:
    """The documents' targets where their pieces lie in rows.

    The first token of a piece is predicted from nothing, so it is no target.

    >>> packing = Packing(*(np.array(column) for column in ([0, 0], [0, 4], [4, 2], [0, 1], [0, 0])), 2)
    >>> found = targets_in_rows(packing, Targets(np.array([0, 1]), np.array([2]), np.array([4])))
    >>> found.row.tolist(), found.start.tolist(), found.length.tolist()
    ([0, 1], [2, 1], [2, 1])
    """
    count = np.diff(targets.offsets)[packing.document]
    piece = np.repeat(np.arange(len(count)), count)
    at = (
        np.repeat(targets.offsets[packing.document], count)
        + np.arange(len(piece))
        - np.repeat(np.cumsum(count) - count, count)
    )
    begin, stop = packing.offset[piece] + 1, packing.offset[piece] + packing.length[piece]
    low = np.maximum(targets.start[at], begin)
    high = np.minimum(targets.start[at] + targets.length[at], stop)
    kept = high > low
    start = packing.start[piece] + low - packing.offset[piece]
    return RowTargets(packing.row[piece][kept], start[kept], (high - low)[kept])


def rows_with_targets(packing: Packing, found: RowTargets) -> tuple[Packing, RowTargets]:
    """Only the rows that have a target, numbered anew."""
    numbers = np.full(packing.rows, -1, np.int64)
    rows = np.unique(found.row)
    numbers[rows] = np.arange(len(rows))
    kept = numbers[packing.row] >= 0
    columns = {name: getattr(packing, name)[kept] for name in Packing._fields[:5]}
    packed = Packing(**columns | {"row": numbers[columns["row"]]}, rows=len(rows))
    return packed, found._replace(row=numbers[found.row])
