"""Checkpoints: safetensors and JSON, whole or not there; no pickle is written or read.

``<folder>/step-000000100/`` holds model.safetensors (parameters and router biases: enough to use the model),
training.safetensors (optimizer, generator, token counts) and state.json (step, loader, config, digests of both files).
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import file_sha256, fsync_path, read_json, write_json
from gristmill.trainer.weight_files import write_weights

KEEP = 2  # the one before the last is the way back when the last is damaged
MODEL, TRAINING, STATE = "model.safetensors", "training.safetensors", "state.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that the next step depends on."""

    step: int
    model: dict[str, Tensor]
    training: dict[str, Tensor]
    state: dict[str, Any]  # plain JSON


def save(folder: Path, checkpoint: Checkpoint, spread: Sequence[float] = ()) -> Path:
    """Write aside, flush, rename; then drop all but the last two and the nearest to each step of ``spread``.

    Raises
    ------
    TrainError : a tensor holds a number that is not finite; nothing is written then
    """
    expect_finite(checkpoint)
    final = folder_of(folder, checkpoint.step)
    aside = folder / f".{final.name}.tmp"
    for left in folder.glob(".step-*.tmp"):  # of a crash
        shutil.rmtree(left)
    aside.mkdir(parents=True)
    digests = {}
    for name, tensors in ((MODEL, checkpoint.model), (TRAINING, checkpoint.training)):
        write_weights(aside / name, tensors)
        digests[name] = file_sha256(aside / name)
    write_json(aside / STATE, {"step": checkpoint.step, "files": digests, "state": checkpoint.state})
    shutil.rmtree(final, ignore_errors=True)  # only a damaged one can stand here: training went on from before it
    aside.replace(final)
    fsync_path(folder)
    drop_surplus(folder, spread)
    return final


def drop_after(folder: Path, step: int) -> list[int]:
    """Delete the checkpoints of more than ``step`` steps; returns the steps of those that stay, ascending."""
    for later in reversed(saved_steps(folder)):  # the last first: what a crash leaves is a training that came less far
        if later > step:
            shutil.rmtree(folder_of(folder, later))
    return saved_steps(folder)


def expect_finite(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that nothing could go on from, naming the first tensor that is not finite."""
    for name, tensor in {**checkpoint.model, **checkpoint.training}.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise TrainError(f"{name} is not finite behind step {checkpoint.step}")


def drop_surplus(folder: Path, spread: Sequence[float]) -> None:
    """Delete all but what is kept.

    A step of ``spread`` that is still to come keeps the last one; when it comes, its neighbours are the last two, so
    that what is kept at the end does not depend on where a training was interrupted.
    """
    found = saved_steps(folder)
    wanted_steps = spread if found else ()
    kept = {min(found, key=lambda step, wanted=wanted: (abs(step - wanted), step)) for wanted in wanted_steps}
    for step in found[:-KEEP]:
        if step not in kept:
            shutil.rmtree(folder_of(folder, step))


def spread_evenly(keep: int, steps: int) -> list[float]:
    """The steps near which ``keep`` checkpoints of a training of ``steps`` are kept.

    >>> spread_evenly(3, 100)
    [25.0, 50.0, 75.0]
    """
    return [steps * at / (keep + 1) for at in range(1, keep + 1)]


def load_latest(folder: Path) -> Checkpoint | None:
    """The last whole checkpoint, None when there never was one.

    Raises
    ------
    TrainError : there are checkpoints, but all are damaged
    """
    found = _folders(folder)
    for path in reversed(found):
        try:
            return load(path)
        except (OSError, ValueError, KeyError) as error:  # ValueError: broken JSON, a digest that differs
            log.warning("checkpoint %s is damaged (%s); trying the one before", path.name, error)
    if found:
        raise TrainError(f"all {len(found)} checkpoints in {folder} are damaged; remove that folder to train anew")
    return None


def load(path: Path) -> Checkpoint:
    """One checkpoint; ValueError when a file of it is not what was written."""
    document = read_json(path / STATE)
    for name in (MODEL, TRAINING):
        if file_sha256(path / name) != document["files"][name]:
            raise ValueError(f"{name} does not match its digest")
    model, training = load_file(path / MODEL), load_file(path / TRAINING)
    return Checkpoint(document["step"], model, training, document["state"])


def folder_of(folder: Path, step: int) -> Path:
    """Where the checkpoint behind ``step`` lies."""
    return folder / f"step-{step:09d}"


def saved_steps(folder: Path) -> list[int]:
    """Steps of all checkpoints in ``folder``, in order."""
    return [int(path.name.removeprefix("step-")) for path in _folders(folder)]


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
