"""Proxy runs of the second tier: the trainer's own model at a small preset, trained on a plan as any run's is."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gristmill.corpus.files import write_json
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.seeds import derive_seed
from gristmill.corpus.typed_json import to_json
from gristmill.flows.tune.counted_proxy import consumed_cells, draw, measured_rows, spelled_bytes
from gristmill.flows.tune.proxy_folder import write_proxy_folder
from gristmill.flows.tune.proxy_task import TASK_FILE, DomainBits, DomainEpochs, ProxyFacts, ProxyTask, is_fitted
from gristmill.handoff.reader import ShardReader
from gristmill.mixing.tuning import PRESETS
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.shape import Shape

ONLY_AT_THE_END = 10**9  # steps between checkpoints
WORK = "work"


def train_proxy(
    folder: Path,
    shards: Mapping[str, Path],
    heldout: Mapping[str, Path],
    tokenizer: Path,
    task: ProxyTask,
    histograms: Mapping[str, Path] = MappingProxyType({}),
) -> Outcome:
    """Train one mixture's model and measure bits per byte by domain; rows = samples, facts: ``ProxyFacts``.

    Weights and shards of the proxy are deleted: the receipt is what is kept. Arguments as in ``count_proxy``.

    Raises
    ------
    TrainError : the loss diverged
    """
    from gristmill.trainer.training.loop import run_until
    from gristmill.trainer.training.opened import Training

    drawn, work = draw(shards, task), folder / WORK
    plan = write_proxy_folder(work, shards, drawn, derive_seed(task.seed, "plan"))
    training = Training(work, work / "train", config_of(task, shards))
    run_until(training, training.steps)
    bits = {name: _halves(training, path, tokenizer, task.preset) for name, path in sorted(heldout.items())}
    shutil.rmtree(work)
    write_json(folder / TASK_FILE, to_json(task))
    facts = ProxyFacts(
        {name: half[True] for name, half in bits.items()},
        {name: half[False] for name, half in bits.items()},
        {name: DomainEpochs(one.epochs, one.wanted_epochs) for name, one in drawn.items()},
        task.basis,
        consumed_cells(drawn, histograms),
    )
    return Outcome(plan.samples, facts=to_json(facts))


def config_of(task: ProxyTask, shards: Mapping[str, Path]) -> TrainConfig:
    """The preset's model on these shards; float32 and one thread, so that its receipt holds on any machine."""
    index = ShardReader(next(iter(shards.values()))).index
    values: dict[str, Any] = {
        "vocab_size": index["vocab_size"],
        "row_tokens": index["row_tokens"],
        "seed": derive_seed(task.seed, "trainer"),
        "precision": "float32",
        "checkpoint_steps": ONLY_AT_THE_END,
        "settle_rows": 0,  # mixtures are compared: a pass that costs a third of such a training changes no order
        **PRESETS[task.preset].trainer,
    }
    quiet = AlarmBounds(load_std=0, dead_experts=0, domain_loss=0)  # a proxy is not watched
    return TrainConfig(**{**values, "model": Shape(**values["model"]), "alarms": quiet})


def _halves(training, heldout: Path, tokenizer: Path, preset: str) -> dict[bool, DomainBits]:  # noqa: ANN001  torch is not imported here
    from gristmill.trainer.training.heldout_rows import HeldoutRows
    from gristmill.trainer.training.parted_bits import parted_bits

    session, reader = training.session, ShardReader(heldout)
    spelled = spelled_bytes(tokenizer, session.config.vocab_size)
    rows = HeldoutRows(reader, measured_rows(reader, preset), 0, session.config.batch_rows, spelled)
    found = parted_bits(session.model, rows, session.config, is_fitted)
    none = DomainBits(None, None, 0)
    halves = {half: DomainBits(bits.value, bits.standard_error, n) for half, (bits, n) in found.items()}
    return {True: halves.get(True, none), False: halves.get(False, none)}
