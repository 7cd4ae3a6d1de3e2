"""Going back in a training: which step first saw some rows, and the last whole checkpoint before it as the new end.

A checkpoint from before any of the rows depends on none of them, so that going on from it gives what a training from
the start gives. The plan's order stays; only the digests of its shards are others.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from gristmill.corpus.files import read_json, write_json
from gristmill.handoff.plan import Plan
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.session import begin, restore
from gristmill.trainer.training.setting_changes import read_changes

WALK = 1 << 20  # samples located at a time
RESULTS = ("done.json", "summary.json", "timing.json", "certificate.json")  # of the training that ends here


def first_step(plan: Plan, rows: Mapping[str, np.ndarray], batch_rows: int) -> int | None:
    """The first step (from 1) that draws one of ``rows`` (integers, by domain); None where no step does.

    Cost: a walk over the plan up to that step, 0.15 us a sample.
    """
    wanted = [np.zeros(domain.rows, bool) for domain in plan.domains]
    for number, name in enumerate(plan.names):
        wanted[number][rows.get(name, [])] = True
    for start in range(0, plan.samples, WALK):
        located = plan.locate(start, min(start + WALK, plan.samples))
        for number, flags in enumerate(wanted):
            here = np.flatnonzero(located.domain == number)
            wanted_here = here[flags[located.row[here]]]
            located.epoch[wanted_here] = -1
        hits = np.flatnonzero(located.epoch < 0)
        if len(hits):
            return (start + int(hits[0])) // batch_rows + 1
    return None


def base_before(out: Path, config: TrainConfig, plan: Plan, step: int | None) -> int:
    """The last whole checkpoint that did fewer steps than ``step``; the last of all for None. 0 = from the start.

    Raises
    ------
    TrainError : the checkpoint is of another config, plan or changes than the run's
    """
    config = replace(config, precision=resolve_precision(config.precision, config.device))
    for saved in reversed(checkpoint.saved_steps(out / "checkpoints")):
        if step is not None and saved >= step:
            continue
        try:
            found = checkpoint.load(checkpoint.folder_of(out / "checkpoints", saved))
        except (OSError, ValueError, KeyError):  # damaged: the one before
            continue
        restore(found, config, plan.digest, read_changes(out))
        return saved
    return 0


def go_back(run: Path, out: Path, config: TrainConfig, base: int) -> None:
    """Make the checkpoint of ``base`` steps the last one of the training in ``out``, on the plan that ``run`` now has.

    The held-out rows may be others now: the loss before the first step is measured again, on fresh weights.
    """
    for name in RESULTS:
        (out / name).unlink(missing_ok=True)
    checkpoint.drop_after(out / "checkpoints", base)
    plan = Plan.load(run / "plan")
    config = replace(config, precision=resolve_precision(config.precision, config.device))
    fresh = begin(config)
    before = asdict(evaluate(fresh.model, read_heldout(run / "heldout", plan.names, config), config, fresh.unigrams))
    for step in checkpoint.saved_steps(out / "checkpoints"):
        path = checkpoint.folder_of(out / "checkpoints", step) / checkpoint.STATE
        document = read_json(path)
        document["state"]["loader"]["plan"], document["state"]["heldout_before"] = plan.digest, before
        write_json(path, document)


def digests(out: Path, step: int) -> dict[str, str]:
    """sha256 of the files of a checkpoint, as its state.json holds them; empty for step 0."""
    path = checkpoint.folder_of(out / "checkpoints", step) / checkpoint.STATE
    return dict(read_json(path)["files"]) if step else {}
