"""A piece of a finished training once more: from one checkpoint to the next, and single documents through its weights.

Nothing is written into the run. What is compared with what, verify decides.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.packed import Packed, pack, pack_batch
from gristmill.trainer.model.precision import matmuls, resolve_precision
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.loop import run_until
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.setting_changes import FILE as CHANGES
from gristmill.trainer.training.timeline import moment_at, updates_of


class Replayed(NamedTuple):
    """What an interval gave this time: the checkpoint at its end, and the lines of its consumption log."""

    end: checkpoint.Checkpoint
    log: pa.Table


def replay_interval(run: Path, train: Path, config: TrainConfig, first: int, last: int) -> Replayed:
    """Train from the checkpoint behind step ``first`` (0: fresh weights) up to step ``last``, in a folder aside."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        if first:
            kept = checkpoint.folder_of(train / "checkpoints", first)
            shutil.copytree(kept, checkpoint.folder_of(out / "checkpoints", first))
        if (train / CHANGES).exists():
            shutil.copyfile(train / CHANGES, out / CHANGES)
        training = Training(run, out, replace(config, checkpoint_steps=last, keep=0))
        run_until(training, last)
        return Replayed(
            checkpoint.load(checkpoint.folder_of(out / "checkpoints", last)), training.tables.consumption.read()
        )


def unequal(saved: checkpoint.Checkpoint, again: checkpoint.Checkpoint) -> Iterator[str]:
    """Names of tensors that are not equal to the bit, and how many of their numbers."""
    for kept, made in ((saved.model, again.model), (saved.training, again.training)):
        for name in sorted({*kept, *made}):
            if name not in kept or name not in made:
                yield f"{name} is in one of them alone"
            elif not torch.equal(kept[name], made[name]):
                yield f"{name} differs in {int((kept[name] != made[name]).sum())} of {made[name].numel()} numbers"


def first_unequal_line(log: pa.Table, again: pa.Table, steps: tuple[int, int]) -> str | None:
    """Step and sample of the first row of ``steps`` whose digest or loss the log has otherwise."""
    inside = pc.and_(pc.greater(log["step"], steps[0]), pc.less_equal(log["step"], steps[1]))
    mine = log.filter(inside)
    if mine.num_rows != again.num_rows:
        return f"the log has {mine.num_rows} rows, {again.num_rows} were consumed"
    for line, other in zip(mine.to_pylist(), again.to_pylist(), strict=True):
        if line != other:
            names = [name for name in line if line[name] != other[name]]
            return f"step {line['step']}, sample {line['sample']}: another {' and '.join(names)} than is logged"
    return None


def wrong_updates(saved: checkpoint.Checkpoint, config: TrainConfig, step: int, steps: int) -> set[int]:
    """How often the optimizer says that it has moved its weights, where that is not as often as it should have.

    In the first ``step`` steps of a training of ``steps``; weights that a stage freezes are moved less often.
    """
    prefix = "optimizer.step."
    counted = {name.removeprefix(prefix): int(n) for name, n in saved.training.items() if name.startswith(prefix)}
    weights = [name for name in saved.model if not name.endswith("router.bias")]
    found = {name: counted.get(name, 0) for name in weights}
    return {count for name, count in found.items() if count != updates_of(name, config, step, steps)}


def steps_of(run: Path, config: TrainConfig) -> int:
    """Steps of a training on the plan of ``run``."""
    return -(-Plan.load(run / "plan").samples // config.batch_rows)


class StillModel:
    """The weights behind a step (0: fresh ones) without dropout; they learn nothing."""

    def __init__(self, run: Path, train: Path, config: TrainConfig, step: int):
        self._config = replace(config, precision=resolve_precision(config.precision, config.device))
        self._model = begin(self._config).model.eval()
        self._context = moment_at(config, step, steps_of(run, config)).stage.context
        self.cursor = 0
        if step:
            saved = checkpoint.load(checkpoint.folder_of(train / "checkpoints", step))
            self._model.load_state_dict(saved.model)
            self.cursor = int(saved.state["loader"]["cursor"])

    @cached_property
    def embedding(self) -> np.ndarray:
        """The output matrix, float64[V, D]."""
        return self._model.embedding.detach().cpu().double().numpy()

    @property
    def precision(self) -> str:
        """Of the training."""
        return self._config.precision

    def next_batch(self, run: Path) -> Packed:
        """The rows of the next step, as training packs them."""
        loader = Loader(run, batch_rows=self._config.batch_rows, cursor=self.cursor)
        return pack_batch(next(iter(loader)))

    def hidden(self, batch: Packed, precision: str = "float32") -> np.ndarray:
        """Hidden states of a batch, float32[N, D]."""
        with torch.no_grad(), matmuls(precision, self._config.device):
            found: Tensor = self._model(batch.to(self._config.device), self._context).hidden
        return found.float().cpu().numpy()

    def hidden_of_document(self, tokens: np.ndarray) -> np.ndarray:
        """Hidden states of one document, which is all that this call sees: float32[n, D]."""
        zero = np.zeros(1, np.int64)
        return self.hidden(pack(tokens[None], zero, zero, zero, np.array([len(tokens)])))
