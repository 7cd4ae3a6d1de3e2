"""``gristmill verify --replay``: one interval between two checkpoints again, and its first rows document by document.

The interval runs the trainer's own code, right or wrong, and must give the saved weights to the bit. So the rows of its
first step are also tried in a way that does not rest on that code: what is to be predicted comes from the shards, the
cross entropy is computed here, and each document runs alone, so that nothing of another can reach it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import TrainError
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.shard_rows import NONE, DomainRows, Slice
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.publish import train_config
from gristmill.handoff.plan import Plan

if TYPE_CHECKING:
    from gristmill.trainer.config import TrainConfig
    from gristmill.trainer.training.replay import StillModel

TOLERANCE = 1e-5  # nats per predicted token, relative above one nat: float32 sums in another order
OF_LOGGED = {"float32": TOLERANCE, "bfloat16": 2e-2}  # bfloat16 logits are rounded to 3 digits, here they are not


@dataclass(frozen=True, slots=True)
class Replay:
    """What ``verify`` is asked to run again: an interval by its number, or one that ``seed`` chooses."""

    interval: int | None = None
    seed: int | None = None


class Interval(NamedTuple):
    """From the checkpoint behind step ``first`` (0: the fresh model) to the next one, behind ``last``."""

    number: int
    first: int
    last: int


def check_replay(context: RunContext, wanted: Replay) -> Iterator[Check]:
    """Replay one interval of a run's training.

    Raises
    ------
    TrainError : the run has no training, or there is no such interval
    """
    stage = next((one for one in context.stages if one.name == "train"), None)
    if stage is None or not context.run.has("train"):
        raise TrainError(f"{context.run.path} has no training to replay; `gristmill train` it first")
    yield from replay_of(context.run.path, context.run.path / "train", train_config(context, stage), wanted)


def replay_of(run: Path, train: Path, config: "TrainConfig", wanted: Replay) -> Iterator[Check]:
    """The checks of one interval of a finished training in ``train``."""
    interval, chosen = _choose(train, wanted)
    try:
        log = pq.read_table(train / "consumption.parquet")
        yield _check_interval(run, train, config, interval, log, chosen)
        yield _check_documents(run, train, config, interval, log)
    except (OSError, ValueError, KeyError) as error:  # a file of train/ is damaged
        yield Check(f"replay interval {interval.number}", False, f"cannot be replayed: {error}")


def _choose(train: Path, wanted: Replay) -> tuple[Interval, str]:
    """The interval, and how it was chosen."""
    from gristmill.trainer.training.checkpoint import saved_steps

    steps = [0, *saved_steps(train / "checkpoints")]
    found = [Interval(at, *pair) for at, pair in enumerate(pairwise(steps))]
    listed = ", ".join(f"{one.number} (steps {one.first + 1} to {one.last})" for one in found)
    if wanted.interval is not None:
        if not 0 <= wanted.interval < len(found):
            raise TrainError(f"--interval {wanted.interval}: the checkpoints leave {listed}; see trainer.keep")
        return found[wanted.interval], f"of {len(found)}, as asked for"
    seed = random.randrange(1 << 32) if wanted.seed is None else wanted.seed
    behind = found[1:] or found  # the way from the fresh model to the first kept checkpoint may be most of a training
    return random.Random(seed).choice(behind), f"of {len(found)}, chosen by --seed {seed}"


def _check_interval(
    run: Path, train: Path, config: "TrainConfig", interval: Interval, log: pa.Table, chosen: str
) -> Check:
    from gristmill.trainer.training.checkpoint import folder_of, load
    from gristmill.trainer.training.replay import first_unequal_line, replay_interval, steps_of, unequal, wrong_updates

    number, first, last = interval
    name = f"replay interval {number}"
    saved = load(folder_of(train / "checkpoints", last))
    updates = wrong_updates(saved, config, last, steps_of(run, config))
    if saved.step != last or updates:
        counted = ", ".join(map(str, sorted(updates)))
        return Check(name, False, f"step {last}: its checkpoint is of step {saved.step}, with {counted} updates")
    again = replay_interval(run, train, config, first, last)
    line = first_unequal_line(log, again.log, (first, last))
    wrong = [*([line] if line else []), *(f"step {last}: {what}" for what in unequal(saved, again.end))]
    same = f"steps {first + 1} to {last} ({chosen}): {len(saved.model)} weights and all else equal to the bit"
    return Check(name, not wrong, f"({chosen}) {'; '.join(wrong[:3])}" if wrong else same)


class _Found(NamedTuple):
    """Two sums of nats of one row that should be equal, in what way they were found, and how far apart they may be."""

    ours: float
    other: float
    how: str
    tolerance: float

    def sentence(self, place: str, counted: int) -> str | None:
        """What is wrong, per predicted token; NaN is wrong as well."""
        if abs(self.ours - self.other) <= self.tolerance * max(counted, abs(self.other)):
            return None
        return f"{place}: {self.ours / counted:.6f} nats per token {self.how.format(self.other / counted)}"


def _check_documents(run: Path, train: Path, config: "TrainConfig", interval: Interval, log: pa.Table) -> Check:
    """The rows of the step behind ``interval.first``: packed, document by document, and as logged."""
    from gristmill.trainer.training.replay import StillModel

    model, step = StillModel(run, train, config, interval.first), interval.first + 1
    tried = list(_rows_of_step(run, model.cursor, config.batch_rows))
    logged = None if _is_random(config) else dict(zip(log["sample"].to_pylist(), log["nats"].to_pylist(), strict=True))
    of_batch = _nats_of_rows(model, run, tried, "float32")
    as_trained = _nats_of_rows(model, run, tried, model.precision) if logged is not None else of_batch
    wrong = []
    for at, (place, slices) in enumerate(tried):
        found = list(_alone(model, slices, of_batch[at]))
        if logged is not None:
            how, nats = "of verify's own and {:.6f} logged", logged.get(model.cursor + at, float("nan"))
            found.append(_Found(as_trained[at], nats, how, OF_LOGGED[model.precision]))
        counted = max(sum(one.counted for one in slices), 1)
        wrong += [f"step {step}: {text}" for one in found if (text := one.sentence(place, counted))]
    places = ", ".join(place for place, _ in tried)
    same = f"step {step}: {sum(len(slices) for _, slices in tried)} documents, packed and alone"
    same += f"{', and as logged' if logged is not None else ''}: {places}"
    return Check("replay document by document", not wrong, "; ".join(wrong[:3]) or same)


def _is_random(config: "TrainConfig") -> bool:
    """Whether a pass in training draws random numbers, so that its losses are found by no other pass."""
    return bool(config.model.dropout or config.model.expert_dropout)


def _alone(model: "StillModel", slices: list[Slice], of_batch: float) -> Iterator[_Found]:
    """A row's documents one by one, whole, and without their second halves."""
    alone = halves = cut = 0.0
    for one in slices:
        half = max(len(one.tokens) // 2, 1)
        hidden = model.hidden_of_document(one.tokens)
        alone += _nats(hidden, model.embedding, one.targets)
        halves += _nats(hidden[:half], model.embedding, one.targets)
        cut += _nats(model.hidden_of_document(one.tokens[:half]), model.embedding, one.targets)
    yield _Found(of_batch, alone, "in the batch and {:.6f} with each document alone", TOLERANCE)
    yield _Found(halves, cut, "in the first halves and {:.6f} where the rest is cut off", TOLERANCE)


def _rows_of_step(run: Path, cursor: int, batch_rows: int) -> Iterator[tuple[str, list[Slice]]]:
    """What people call each planned row behind ``cursor``, and its slices from the shards."""
    plan = Plan.load(run / "plan")
    rows = [DomainRows(run / "shards" / name) for name in plan.names]
    stop = min(cursor + batch_rows, plan.samples)
    located = plan.locate(cursor, stop)
    for sample, domain, epoch, row in zip(range(cursor, stop), *(c.tolist() for c in located), strict=True):
        yield f"row {row} of {plan.names[domain]} (epoch {epoch}, sample {sample})", rows[domain].slices(row)


def _nats_of_rows(model: "StillModel", run: Path, tried: list[tuple[str, list[Slice]]], precision: str) -> list[float]:
    """Nats of each row out of the batch that training packs, NaN where it is not of the planned rows' length."""
    hidden, found, at = model.hidden(model.next_batch(run), precision), [], 0
    for _, slices in tried:
        total = 0.0
        for one in slices:
            total += _nats(hidden[at : at + len(one.tokens)], model.embedding, one.targets)
            at += len(one.tokens)
        found.append(total)
    return found if at == len(hidden) else [float("nan")] * len(found)


def _nats(hidden: np.ndarray, embedding: np.ndarray, targets: np.ndarray) -> float:
    """Sum of the cross entropies of ``hidden [n, D]``, in float64; ``targets`` may have more than n entries."""
    targets = targets[: len(hidden)]
    counted = np.flatnonzero(targets != NONE)
    logits = hidden[counted].astype(np.float64) @ embedding.T
    peak = logits.max(1, keepdims=True, initial=-np.inf)
    total = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    return float((total - logits[np.arange(len(counted)), targets[counted]]).sum())
