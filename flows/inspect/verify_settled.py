"""Checks of settled biases: the last checkpoint has those that were found, on rows that steps consumed.

That they are right for these rows, ``verify --replay`` of the last interval says.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gristmill.corpus.files import read_json
from gristmill.corpus.tables import read_part
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.verify_training import shown
from gristmill.flows.pipeline.context import RunContext
from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.training_summary import SETTLED_FILE, SETTLED_ROWS_FILE


def check_settled(context: RunContext) -> Iterator[Check]:
    """The settled biases of a run's training."""
    if context.run.has("train"):
        yield from settled_of(context.run.path / "train")


def settled_of(train: Path) -> Iterator[Check]:
    """The checks of a finished training in ``train``; none where it settles nothing."""
    config = read_json(train / "summary.json")["config"]
    moved = any(config.get(f"balance.{name}") for name, one in BALANCES.items() if one.update)
    if not (config.get("settle_rows") and moved):  # of an earlier version, or without
        return
    missing = [name for name in (SETTLED_FILE, SETTLED_ROWS_FILE) if not (train / name).exists()]
    if missing:
        yield Check("settled biases", False, f"{' and '.join(missing)} is missing; train the run again")
        return
    wrong = list(_wrong_biases(train))
    yield Check("settled biases", not wrong, shown(wrong) or "the last checkpoint has those that were settled")
    rows = list(_wrong_rows(train))
    yield Check("settled rows", not rows, shown(rows) or "all are rows that steps consumed, to the token")


def _wrong_biases(train: Path) -> Iterator[str]:
    """Layers whose router in the last checkpoint adds other biases."""
    from safetensors import safe_open

    settled, path = read_part(train / SETTLED_FILE, ["layer", "bias"]), max((train / "checkpoints").glob("step-*"))
    with safe_open(path / "model.safetensors", "numpy") as tensors:
        names = sorted((one for one in tensors.keys() if one.endswith("router.bias")), key=_layer)  # noqa: SIM118  no mapping
        saved = [tensors.get_tensor(name) for name in names]
    layer, bias = settled["layer"].to_numpy(), settled["bias"].to_numpy()
    if len(np.unique(layer)) != len(saved):
        yield f"{len(saved)} layers have biases, {len(np.unique(layer))} were settled"
        return
    for number, own in enumerate(saved):
        found = bias[layer == number]
        differ = len(own) if len(own) != len(found) else int((own != found).sum())
        if differ:
            yield f"{path.name}: {differ} of {len(own)} biases of {names[number]} are not those that were settled"


def _layer(name: str) -> int:
    return int(name.split(".")[1])


def _wrong_rows(train: Path) -> Iterator[str]:
    """Samples of which settling got something else than the step that consumed them."""
    log = read_part(train / "consumption.parquet", ["step", "sample", "digest", "tokens"])
    at = {sample: place for place, sample in enumerate(log["sample"].to_pylist())}
    for row in read_part(train / SETTLED_ROWS_FILE).to_pylist():
        place = at.get(row["sample"])
        if place is None:
            yield f"sample {row['sample']}: settling read it, and no step consumed it"
        elif (row["digest"], row["tokens"]) != (log["digest"][place].as_py(), log["tokens"][place].as_py()):
            yield f"sample {row['sample']}: settling got other tokens than step {log['step'][place]}"
