"""Rows for torch: datasets that a ``DataLoader`` hands out in the plan's order, however many workers and ranks it has.

The one file outside trainer that imports torch. An item is a whole step's rows of this rank, already a batch: give
``batch_size=None`` to the loader. Batches of rows and their digests come from ``gristmill.handoff.loader``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from gristmill.handoff.batch import Batch
from gristmill.handoff.failures import PlanError
from gristmill.handoff.loader import Loader
from gristmill.handoff.remote_run import RunFolder
from gristmill.handoff.step_arrays import step_arrays

Item = dict[str, torch.Tensor]


def item_of(batch: Batch, *, digests: bool = False) -> Item:
    """A batch as tensors, which share its memory: the columns of ``step_arrays``."""
    return {name: torch.from_numpy(values) for name, values in step_arrays(batch, digests=digests).items()}


class PlannedBatches(IterableDataset):
    """The steps of a run, in order, of one rank: ``DataLoader(PlannedBatches(run, batch_rows=64), batch_size=None)``.

    With n workers, worker w reads every n-th step from the w-th, which is the order in which ``DataLoader`` asks them.
    torchdata's ``StatefulDataLoader`` saves and restores it through ``state_dict``. With a plain ``DataLoader`` keep
    ``state_after(item)`` in the checkpoint and give it to ``load_state_dict`` before the loader begins: then batch
    size, ranks and workers may all be others than before. Every iteration begins there, or at the plan's beginning.
    Persistent workers keep the copy that they began with: ``load_state_dict`` behind that is a PlanError of theirs.

    Parameters
    ----------
    folder : a run directory, or one in an object store (``gristmill.handoff.remote_run``)
    batch_rows : rows of a step over all ranks
    rank, world : this process among those that train together; those of ``torch.distributed`` when left out
    digests : whether items hold ``digest``, uint8 [B, 16]: some 30 us a row

    Raises
    ------
    PlanError, StoreError : as ``Loader``
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        batch_rows: int,
        rank: int | None = None,
        world: int | None = None,
        digests: bool = False,
    ):
        rank, world = _place(rank, world)
        self._loader = Loader(folder, batch_rows=batch_rows, rank=rank, world=world)
        self._digests = digests
        self._steps = self._loader.steps_left
        self._start = self._state = {**self._loader.state, "taken": 0, "workers": 1}
        self._loads = torch.zeros(1, dtype=torch.int64).share_memory_()  # of this process, which workers see as well
        self._loads_here = 0  # of this copy

    def __len__(self) -> int:
        """Steps from where an iteration begins to the end, over all workers."""
        return max(0, self._steps - self._start["taken"] * self._start["workers"])

    def __iter__(self) -> Iterator[Item]:
        info = get_worker_info()
        if int(self._loads) != self._loads_here:
            raise PlanError("a state was loaded behind the start of these persistent workers; make a new DataLoader")
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        start, before = self._start, self._start["taken"]
        if before and workers != start["workers"]:
            raise PlanError(
                f"the state is of one of {start['workers']} workers, here are {workers}; keep state_after(item) instead"
            )
        self._state = {**start, "workers": workers}
        self._loader.resume(start)
        for taken, batch in enumerate(self._loader.every(workers, worker + before * workers), before + 1):
            self._state = {**start, "taken": taken, "workers": workers}
            if workers == 1:
                self._state |= {**self._loader.state, "taken": 0}
            yield item_of(batch, digests=self._digests)

    def state_dict(self) -> dict[str, Any]:
        """The state of this copy: where all workers began, and how many steps this one has handed out since."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin at a ``state_dict``, a ``state_after`` or a ``Loader.state``; PlanError when it is of another plan."""
        self._loader.resume(state)
        if get_worker_info() is None:  # StatefulDataLoader gives each worker its own
            self._loads += 1
            self._loads_here = int(self._loads)
        self._steps = self._loader.steps_left
        self._start = self._state = {"taken": 0, "workers": 1, **self._loader.state, **state}

    def state_after(self, item: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """What a checkpoint must hold to go on after this item, with any workers, ranks and ``batch_rows``."""
        return {"cursor": int(item["cursor"]), "step": int(item["step"]) + 1, "plan": self._loader.plan.digest}


class PlannedSteps(Dataset):
    """The same steps by number, for loops that want a map: item i is step i of this rank, whichever worker reads it.

    ``DataLoader(PlannedSteps(run, batch_rows=64), batch_size=None)``; without ``shuffle``: the plan has the order.
    Parameters and errors are those of ``PlannedBatches``; ``cursor`` is where step 0 begins.
    """

    def __init__(
        self, folder: RunFolder, *, batch_rows: int, rank: int | None = None, world: int | None = None, cursor: int = 0
    ):
        rank, world = _place(rank, world)
        self._loader = Loader(folder, batch_rows=batch_rows, rank=rank, world=world, cursor=cursor)

    def __len__(self) -> int:
        return self._loader.steps_left

    def __getitem__(self, step: int) -> Item:
        if not -len(self) <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        return item_of(self._loader.at(step % len(self)))


def _place(rank: int | None, world: int | None) -> tuple[int, int]:
    """Rank and world as given, else of the process group, else alone."""
    grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
    own, all_ranks = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if grouped else (0, 1)
    return own if rank is None else rank, all_ranks if world is None else world
