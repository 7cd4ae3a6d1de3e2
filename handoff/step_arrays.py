"""A step as named numpy arrays, for frameworks that take a dictionary: torch, JAX, ``datasets``.

Nothing here imports one of them. ``StepArrays`` has the two methods by which grain and others save an iterator.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gristmill.handoff.batch import Batch
from gristmill.handoff.loader import Loader
from gristmill.handoff.remote_run import RunFolder

Arrays = dict[str, np.ndarray]


def step_arrays(batch: Batch, *, digests: bool = False) -> Arrays:
    """Everything that a step of training needs of a batch; B rows of L tokens.

    ``input_ids`` int64 [B, L]; ``labels``: the same where a token counts, else -100, for models that shift by
    themselves; ``targets``: the token to predict behind each, else -100; ``loss_mask`` bool [B, L]: where ``labels``
    count; ``position_ids`` int32 [B, L]: from 0 in each document; ``cu_seqlens`` int32 [n + 1]: where documents and
    gaps begin in all rows laid end to end; ``segment_ids`` int32 [B, L]: 1, 2, ... in each row, one for each of these;
    ``domain``, ``sample`` [B]; ``step`` and ``cursor`` int64 []; with ``digests`` also ``digest`` uint8 [B, 16].
    """
    layout = batch.layout()
    labels = batch.labels(layout)
    targets = np.full_like(labels, -100)
    targets[:, :-1] = labels[:, 1:]
    begins = layout.positions == 0
    return {
        "input_ids": batch.tokens,
        "labels": labels,
        "targets": targets,
        "loss_mask": layout.counted,
        "position_ids": layout.positions,
        "segment_ids": np.cumsum(begins, axis=1, dtype=np.int32),
        "cu_seqlens": layout.cu_seqlens,
        "domain": batch.domain,
        "sample": batch.sample,
        "step": np.array(batch.step),
        "cursor": np.array(batch.cursor),
        **({"digest": batch.digest.copy()} if digests else {}),
    }


class StepArrays:
    """An iterator of ``step_arrays`` that can be saved and set back, for JAX: ``jax.device_put(next(steps))``.

    Parameters and errors are those of ``gristmill.handoff.loader.Loader``. ``get_state`` and ``set_state`` are grain's:
    a state goes on after the step that was last handed out, with any ranks and ``batch_rows``.
    """

    def __init__(self, folder: RunFolder, *, batch_rows: int, rank: int = 0, world: int = 1, reuse: int = 0):
        self._loader = Loader(folder, batch_rows=batch_rows, rank=rank, world=world, reuse=reuse)
        self._batches = iter(self._loader)

    def __iter__(self) -> "StepArrays":
        return self

    def __next__(self) -> Arrays:
        return step_arrays(next(self._batches))

    def get_state(self) -> dict[str, Any]:
        """The loader's state: a cursor, a step and the plan's digest."""
        return self._loader.state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; PlanError when it is of another plan."""
        self._loader.resume(state)
        self._batches = iter(self._loader)


def rows_of_run(folder: RunFolder, batch_rows: int, rank: int = 0, world: int = 1, cursor: int = 0) -> Iterator[dict]:
    """One row after the other as plain values, for ``datasets.IterableDataset.from_generator(rows_of_run, ...)``.

    ``input_ids``, ``labels`` and ``position_ids`` int [L], ``domain`` and ``sample``; the order is that of the plan.
    """
    for batch in Loader(folder, batch_rows=batch_rows, rank=rank, world=world, cursor=cursor):
        arrays = step_arrays(batch)
        names = ("input_ids", "labels", "position_ids", "domain", "sample")
        for row in range(len(batch.tokens)):
            yield {name: arrays[name][row] for name in names}
