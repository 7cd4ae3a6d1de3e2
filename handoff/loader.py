"""The loader: batches of a plan, for any number of ranks. All it would lose in a crash is one integer.

Rank r of W takes samples t * G + r, t * G + r + W, ... of step t with G = ``batch_rows``: which ranks there are
changes who reads a sample, never which samples a step has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gristmill.handoff.durable import file_sha256
from gristmill.handoff.failures import PlanError
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader, Slices, groups
from gristmill.handoff.row_digest import row_digests, seen_in_rows
from gristmill.handoff.shards import INDEX

AHEAD_TOKENS = 1 << 22  # 8 or 16 MiB read ahead: calls are paid once for many batches, 4 times faster than 2^18


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


class Loader:
    """Iterate over the batches of a run's ``plan/`` and ``shards/<domain>/``, from ``cursor`` to the end.

    Parameters
    ----------
    folder : a run directory
    batch_rows : rows of a step over all ranks; the last step is short, so that every planned sample is read once
    rank, world : this reader and how many there are
    cursor : samples already consumed

    Raises
    ------
    PlanError : the plan is damaged or is not the plan of these shards
    StoreError : a shard is damaged
    """

    def __init__(self, folder: Path, *, batch_rows: int, rank: int = 0, world: int = 1, cursor: int = 0):
        if not 0 <= rank < world or batch_rows < 1:
            raise PlanError(f"rank {rank} of {world} cannot read steps of {batch_rows} rows (trainer.batch_rows)")
        self.plan = Plan.load(folder / "plan")
        self._batch_rows, self._rank, self._world = batch_rows, rank, world
        self.resume({"cursor": cursor, "plan": self.plan.digest})
        self._readers = open_readers(folder, self.plan)
        self._dtype = np.result_type(*(reader.dtype for reader in self._readers))

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
        self.cursor, self.step = cursor, int(state.get("step", -(-cursor // self._batch_rows)))  # steps handed out

    def __iter__(self) -> Iterator[Batch]:
        steps_ahead = max(1, AHEAD_TOKENS // (self._batch_rows * self.plan.row_tokens))
        while self.cursor < self.plan.samples:
            stop = min(self.cursor + steps_ahead * self._batch_rows, self.plan.samples)
            for batch in self._split(self._read(self.cursor, stop), self.cursor, stop):
                batch = batch._replace(step=self.step)
                self.cursor, self.step = batch.cursor, self.step + 1
                yield batch

    def _read(self, start: int, stop: int) -> Batch:
        """The rows of several steps that are this rank's, as one batch."""
        offset = np.arange(stop - start)
        mine = np.flatnonzero(offset % self._batch_rows % self._world == self._rank)
        domain, epoch, row = (values[mine] for values in self.plan.locate(start, stop))
        tokens = np.empty((len(mine), self.plan.row_tokens), self._dtype)  # widened when a batch leaves
        found = []
        for number, place in groups(domain):
            slices = self._readers[number].read_into(row[place], place, tokens)
            found.append(slices._replace(row=place[slices.row]))
        return Batch(0, stop, start + mine, tokens, domain, epoch, row, _merge(found), self._mask(domain, row))

    def _mask(self, domain: np.ndarray, row: np.ndarray) -> np.ndarray | None:
        if not any(reader.has_targets for reader in self._readers):
            return None
        mask = np.ones((len(row), self.plan.row_tokens), bool)
        for number, place in groups(domain):
            counted = self._readers[number].mask(row[place])
            if counted is not None:
                mask[place] = counted
        return mask

    def _split(self, many: Batch, start: int, stop: int) -> Iterator[Batch]:
        begins = np.append(np.arange(start, stop, self._batch_rows), stop)
        rows = np.searchsorted(many.sample, begins).tolist()
        cuts = np.searchsorted(many.slices.row, rows).tolist()
        for i, end in enumerate(begins[1:].tolist()):
            mine, cut = slice(rows[i], rows[i + 1]), slice(cuts[i], cuts[i + 1])
            slices = Slices(many.slices.row[cut] - rows[i], many.slices.start[cut], many.slices.length[cut])
            sample, tokens, domain, epoch, row = (column[mine] for column in many[2:7])
            mask = None if many.mask is None else many.mask[mine]
            yield Batch(0, end, sample, tokens.astype(np.int64), domain, epoch, row, slices, mask)


def open_readers(folder: Path, plan: Plan) -> list[ShardReader]:
    """A reader for each domain of the plan; PlanError when a domain's shards are not those it was made for."""
    for domain in plan.domains:
        index = folder / "shards" / domain.name / INDEX
        if not index.exists() or file_sha256(index) != domain.index:
            raise PlanError(f"{index} is missing or is not what the plan was made for; run the recipe again")
    return [ShardReader(folder / "shards" / name) for name in plan.names]


def _merge(found: list[Slices]) -> Slices:
    """Slices of several domains in order of their rows."""
    if not found:
        return Slices(*np.empty((3, 0), np.int64))
    row, start, length = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(row, kind="stable")
    return Slices(row[order], start[order], length[order])
