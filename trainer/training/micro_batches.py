"""The rows of a step in parts, for what does not fit at once."""

from itertools import pairwise

import numpy as np

from gristmill.handoff.loader import Batch
from gristmill.handoff.reader import Slices


def parts_of(batch: Batch, parts: int) -> list[Batch]:
    """The batch as ``parts`` batches of about as many rows, in their order; fewer where there are fewer rows.

    A batch without rows, which another rank's rows may leave in the last step, is one part.
    """
    if parts == 1:
        return [batch]
    bounds = np.linspace(0, len(batch.row), min(parts, max(len(batch.row), 1)) + 1).astype(int).tolist()
    return [_rows(batch, *pair) for pair in pairwise(bounds)]


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    columns = {name: getattr(batch, name)[start:stop] for name in ("sample", "tokens", "domain", "epoch", "row")}
    inside = (batch.slices.row >= start) & (batch.slices.row < stop)
    row, first, length = (column[inside] for column in batch.slices)
    mask = None if batch.mask is None else batch.mask[start:stop]
    return batch._replace(**columns, slices=Slices(row - start, first, length), mask=mask)
