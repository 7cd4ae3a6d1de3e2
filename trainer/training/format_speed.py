"""Which number format is faster here: a few steps in each, on the run's own rows. Nothing is written, nothing decided.

``trainer.precision = "auto"`` follows the kind of device and never this: a measured value would give one recipe two
results.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch

from gristmill.handoff.loader import Loader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.precision import FORMATS, resolve_precision
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.step import train_step
from gristmill.trainer.training.threads import thread_count

ROUNDS = 5  # the median of as many steps; formats take turns, so that a busy moment meets both


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of each format, which is faster, and what ``trainer.precision`` gives as it stands."""

    device: str
    threads: int
    tokens_per_second: dict[str, float]
    faster: str
    used: str


def measure(run: Path, config: TrainConfig, rounds: int = ROUNDS) -> Speed:
    """Train fresh models for ``rounds`` steps each (and one step to warm up) on the first rows of a run's plan."""
    threads = thread_count(config.threads)
    torch.set_num_threads(threads)
    batches = [batch.to(config.device) for batch in islice(_batches(run, config), rounds + 1)]
    sessions = {name: begin(replace(config, precision=name)) for name in FORMATS}
    seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
    for batch in batches:
        for name, session in sessions.items():
            start = time.perf_counter()
            train_step(session.model, session.optimizer, [batch], session.config)
            seconds[name].append((time.perf_counter() - start) / max(len(batch.tokens), 1))
    speeds = {name: 1 / statistics.median(each[1:] or each) for name, each in seconds.items()}
    used = resolve_precision(config.precision, config.device)
    return Speed(config.device, threads, speeds, max(FORMATS, key=speeds.__getitem__), used)


def _batches(run: Path, config: TrainConfig) -> Iterator[Packed]:
    return map(pack_batch, Loader(run, batch_rows=config.batch_rows))
