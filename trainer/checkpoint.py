"""Checkpoints: safetensors and JSON, whole or not there; no pickle is written or read.

``<folder>/step-000000100/`` holds model.safetensors (parameters and router biases: enough to use the model),
training.safetensors (optimizer, generator, token counts) and state.json (step, loader, config, digests of both files).
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import file_sha256, fsync_path, read_json, write_json

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


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write aside, flush, rename; then drop all but the last two.

    Raises
    ------
    TrainError : a tensor holds a number that is not finite; nothing is written then
    """
    expect_finite(checkpoint)
    final = folder / f"step-{checkpoint.step:09d}"
    aside = folder / f".{final.name}.tmp"
    for left in folder.glob(".step-*.tmp"):  # of a crash
        shutil.rmtree(left)
    aside.mkdir(parents=True)
    digests = {}
    for name, tensors in ((MODEL, checkpoint.model), (TRAINING, checkpoint.training)):
        save_file({key: tensor.detach().contiguous().cpu() for key, tensor in tensors.items()}, aside / name)
        fsync_path(aside / name)
        digests[name] = file_sha256(aside / name)
    write_json(aside / STATE, {"step": checkpoint.step, "files": digests, "state": checkpoint.state})
    shutil.rmtree(final, ignore_errors=True)  # only a damaged one can stand here: training went on from before it
    aside.replace(final)
    fsync_path(folder)
    for old in _folders(folder)[:-KEEP]:
        shutil.rmtree(old)
    return final


def drop_after(folder: Path, step: int) -> list[int]:
    """Delete the checkpoints of more than ``step`` steps; returns the steps of those that stay, ascending."""
    steps = {int(path.name.partition("-")[2]): path for path in _folders(folder)}
    for later in sorted(steps, reverse=True):  # the last first: what a crash leaves is a training that came less far
        if later > step:
            shutil.rmtree(steps.pop(later))
    return sorted(steps)


def expect_finite(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that nothing could go on from, naming the first tensor that is not finite."""
    for name, tensor in {**checkpoint.model, **checkpoint.training}.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise TrainError(f"{name} is not finite behind step {checkpoint.step}")


def load_latest(folder: Path) -> Checkpoint | None:
    """The last whole checkpoint, None when there never was one.

    Raises
    ------
    TrainError : there are checkpoints, but all are damaged
    """
    found = _folders(folder)
    for path in reversed(found):
        try:
            return _load(path)
        except (OSError, ValueError, KeyError) as error:  # ValueError: broken JSON, a digest that differs
            log.warning("checkpoint %s is damaged (%s); trying the one before", path.name, error)
    if found:
        raise TrainError(f"all {len(found)} checkpoints in {folder} are damaged; remove that folder to train anew")
    return None


def _load(path: Path) -> Checkpoint:
    document = read_json(path / STATE)
    for name in (MODEL, TRAINING):
        if file_sha256(path / name) != document["files"][name]:
            raise ValueError(f"{name} does not match its digest")
    model, training = load_file(path / MODEL), load_file(path / TRAINING)
    return Checkpoint(document["step"], model, training, document["state"])


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
