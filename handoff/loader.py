"""The loader: batches of a plan, for any number of ranks. All it would lose in a crash is one integer.

Rank r of W takes samples t * G + r, t * G + r + W, ... of step t with G = ``batch_rows``: which ranks there are
changes who reads a sample, never which samples a step has. Rows are looked up and their record batches digested ahead
of the cursor, in a thread; tokens are widened as a batch leaves.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from gristmill.handoff.batch import Batch as Batch
from gristmill.handoff.durable import file_sha256
from gristmill.handoff.failures import PlanError
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.remote_run import RunFolder, local_copy
from gristmill.handoff.shards import INDEX
from gristmill.handoff.window import Buffers, Share, Window, look_up

# looked up at once: 16,384 rows of 1,024 tokens; with 2^22 a pass costs 1.15 times as much, since rows that are
# neighbours in a file are read apart
AHEAD_TOKENS = 1 << 24
AHEAD_SAMPLES = 1 << 20  # those of all ranks and workers are located, some 50 bytes each


class Loader:
    """Iterate over the batches of a run's ``plan/`` and ``shards/<domain>/``, from ``cursor`` to the end.

    Parameters
    ----------
    folder : a run directory, or one in an object store (``gristmill.handoff.remote_run``)
    batch_rows : rows of a step over all ranks; the last step is short, so that every planned sample is read once
    rank, world : this reader and how many there are
    cursor : samples already consumed
    reuse : 0: a batch stays as it is for ever; k: its tokens stand in memory that the k-th batch after it overwrites,
        which saves new memory for each

    Raises
    ------
    PlanError : the plan is damaged or is not the plan of these shards
    StoreError : a shard is missing or cut, or, once its rows are to be read, its bytes are not what was written
    """

    def __init__(
        self, folder: RunFolder, *, batch_rows: int, rank: int = 0, world: int = 1, cursor: int = 0, reuse: int = 0
    ):
        if not 0 <= rank < world or batch_rows < 1:
            raise PlanError(f"rank {rank} of {world} cannot read steps of {batch_rows} rows (trainer.batch_rows)")
        if reuse < 0:
            raise PlanError(f"reuse = {reuse}: memory is reused after 1 batch or more, or never (0)")
        self.plan = Plan.load(local_copy(folder)[0] / "plan")
        self._share, self._reuse = Share(batch_rows, rank, world), reuse
        self.resume({"cursor": cursor, "plan": self.plan.digest})
        self._readers = open_readers(folder, self.plan)

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on after the batch that was last handed out."""
        return {"cursor": self.cursor, "step": self.step, "plan": self.plan.digest}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``, of any world size and any ``batch_rows``; PlanError when it is of another plan.

        Steps are counted on from the state's; a state without them counts as many as this ``batch_rows`` would take.
        """
        plan, cursor = str(state.get("plan")), state.get("cursor", -1)
        if plan != self.plan.digest:
            raise PlanError(
                f"the checkpoint belongs to plan {plan[:12]}..., this run has {self.plan.digest[:12]}...; "
                "train in a new folder, or bring back the recipe of the checkpoint"
            )
        if not 0 <= cursor <= self.plan.samples:
            raise PlanError(f"cursor {cursor} is not in the plan, which has {self.plan.samples} samples")
        taken = -(-cursor // self._share.batch_rows)
        self.cursor, self.step = cursor, int(state.get("step", taken))  # steps handed out

    @property
    def steps_left(self) -> int:
        """Steps from the cursor to the end of the plan, over all workers."""
        return -(-(self.plan.samples - self.cursor) // self._share.batch_rows)

    def at(self, step: int) -> Batch:
        """The batch ``step`` steps behind the cursor, which stays where it is."""
        start = self.cursor + step * self._share.batch_rows
        window = look_up(
            self.plan, self._readers, self._share, start, min(start + self._share.batch_rows, self.plan.samples)
        )
        return next(window.batches(self.step + step, 1, Buffers(0, self.plan.row_tokens, 0)))

    def __iter__(self) -> Iterator[Batch]:
        return self.every(1)

    def every(self, steps: int, first: int = 0) -> Iterator[Batch]:
        """The batches of every ``steps``-th step alone, beginning ``first`` steps after the cursor.

        So one of several workers reads its part of what they hand out in turn.
        """
        share = self._share._replace(every=steps)
        step, start = self.step + first, self.cursor + first * share.batch_rows
        buffers = Buffers(-(-share.batch_rows // share.world), self.plan.row_tokens, self._reuse)
        for window in self._windows(share, start):
            for batch in window.batches(step, steps, buffers):
                self.cursor, self.step = batch.cursor, batch.step + 1
                yield batch
            step += len(window.begins) * steps

    def _windows(self, share: Share, start: int) -> Iterator[Window]:
        """Each window is looked up while the one before it is read; the first are short, so that reading begins."""
        with ThreadPoolExecutor(1, "gristmill-ahead") as thread:
            ahead = None
            for bounds in pairwise(_bounds(share, start, self.plan)):
                following = thread.submit(look_up, self.plan, self._readers, share, *bounds)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()


def _bounds(share: Share, start: int, plan: Plan) -> Iterator[int]:
    """Where windows begin and end: of one step, two, four, up to ``AHEAD_TOKENS`` of this reader's."""
    own = AHEAD_TOKENS * share.world // (share.batch_rows * plan.row_tokens)
    most, steps = max(1, min(own, AHEAD_SAMPLES // (share.batch_rows * share.every))), 1
    while start < plan.samples:
        yield start
        start, steps = start + steps * share.every * share.batch_rows, min(2 * steps, most)
    yield plan.samples


def open_readers(run: RunFolder, plan: Plan) -> list[ShardReader]:
    """A reader for each domain of the plan.

    Raises
    ------
    PlanError : a domain's shards are not those it was made for
    StoreError : a shard file is missing or is not as long as it was written
    """
    folder, remote = local_copy(run)
    for domain in plan.domains:
        index = folder / "shards" / domain.name / INDEX
        if not index.exists() or file_sha256(index) != domain.index:
            raise PlanError(f"{index} is missing or is not what the plan was made for; run the recipe again")
    readers = [ShardReader(folder / "shards" / name, remote) for name in plan.names]
    for reader in readers:
        reader.check_sizes()
    return readers
