"""Training on a run directory: one optimizer step per step of the plan, resumed by itself, until the plan is consumed.

``out`` then holds metrics.parquet (a row for each step), consumption.parquet (a row for each consumed sample, with the
digest of what the step got of it), summary.json, timing.json and checkpoints/.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import write_json
from gristmill.handoff.loader import Batch, Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.trainer import checkpoint
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.consumption import CONSUMPTION, consumed_rows
from gristmill.trainer.data import Packed, pack_batch
from gristmill.trainer.evaluate import evaluate, read_heldout
from gristmill.trainer.log import Log
from gristmill.trainer.metrics import StepFigures, domain_figures, load_figures, metrics_schema
from gristmill.trainer.optim import learning_rate_at, set_learning_rate
from gristmill.trainer.precision import resolve_precision
from gristmill.trainer.session import Session, begin, capture, restore
from gristmill.trainer.stage import TrainSummary
from gristmill.trainer.step import loss_of, train_step
from gristmill.trainer.summary import summarise, timing
from gristmill.trainer.threads import thread_count

OnStep = Callable[[StepFigures], None]


def train(
    run: Path, out: Path, config: TrainConfig, *, on_step: OnStep | None = None, max_steps: int | None = None
) -> TrainSummary:
    """Train on ``run`` (plan/, shards/<domain>/, heldout/<domain>/) and return the summary.

    Parameters
    ----------
    out : the folder to fill, or one that an earlier call has begun: training goes on from its last whole checkpoint
    on_step : called with the figures of each step
    max_steps : stop once the training as a whole has done so many steps; a later call goes on

    Raises
    ------
    TrainError : shards do not fit the config, the checkpoint belongs to another config or plan, the device is missing,
        or the loss diverged
    """
    if max_steps is not None and max_steps < 1:
        raise TrainError(f"max_steps is {max_steps}, expected 1 or more")
    training = Training(run, out, config)
    training.run_until(training.steps if max_steps is None else min(max_steps, training.steps), on_step)
    return training.finish()


class Training:
    """One call of ``train``: a session, the loader that feeds it, and the tables that it fills."""

    def __init__(self, run: Path, out: Path, config: TrainConfig):
        _expect_device(config.device)
        self.loader = Loader(run, batch_rows=config.batch_rows)
        self.plan = self.loader.plan
        config = replace(config, precision=resolve_precision(config.precision, config.device))
        _expect_fitting_shards(run, self.plan, config)
        torch.set_num_threads(thread_count(config.threads))
        self.out = out
        self.heldout = read_heldout(run / "heldout", self.plan.names, config)
        self.metrics = Log(out / "log", "metrics", metrics_schema(self.plan.names))
        self.consumption = Log(out / "log", "consumption", CONSUMPTION)
        self.session = self._resumed_or_fresh(config)

    @property
    def steps(self) -> int:
        """Steps of the whole plan; the last may be short of rows."""
        return math.ceil(self.plan.samples / self.session.config.batch_rows)

    def _resumed_or_fresh(self, config: TrainConfig) -> Session:
        found = checkpoint.load_latest(self.out / "checkpoints")
        step = found.step if found else 0
        self.metrics.rewind(step)
        self.consumption.rewind(step)
        if found:
            session = restore(found, config, self.plan.digest)
            self.loader.resume(found.state["loader"])
            return session
        session = begin(config)
        session.heldout_before = evaluate(session.model, self.heldout, config, session.unigrams)
        return session

    def run_until(self, last: int, on_step: OnStep | None) -> None:
        """Take the plan's steps up to ``last``; save on the way and at the end."""
        session = self.session
        saved = session.step
        packed = None
        for batch in self.loader:
            if session.step >= last:
                break
            figures, packed = self._advance(batch)
            if on_step:
                on_step(figures)
            if session.step % session.config.checkpoint_steps == 0:
                self._save(packed)
                saved = session.step
        if packed is not None and session.step > saved:
            self._save(packed)

    def _advance(self, batch: Batch) -> tuple[StepFigures, Packed]:
        """One step of the plan: its figures and what was trained on."""
        session, config, began = self.session, self.session.config, time.perf_counter()
        host = pack_batch(batch)
        rate = learning_rate_at(session.step, self.steps, config.warmup_steps, config.learning_rate)
        set_learning_rate(session.optimizer, rate)
        packed = host.to(config.device)
        result = train_step(session.model, session.optimizer, packed, config)
        if not result.is_finite:
            at = f"at step {session.step + 1}, and the norm of its gradient {result.grad_norm:g}"
            raise _diverged(f"the loss is {result.loss:g} {at}", config)
        session.unigrams += torch.bincount(host.targets, minlength=config.vocab_size)
        session.step, session.cursor = session.step + 1, batch.cursor
        self.consumption.append(consumed_rows(session.step, batch, result.rows))
        figures = StepFigures(
            step=session.step,
            loss=result.loss,
            learning_rate=rate,
            grad_norm=result.grad_norm,
            tokens=len(host.tokens),
            load=load_figures(result.counts),
            domains=domain_figures(self.plan.names, result.each, packed),
            seconds=time.perf_counter() - began,
        )
        self.metrics.append(figures.row())
        return figures, packed

    def _save(self, last: Packed) -> None:
        """Save, if the model still has a loss on the ``last`` batch: a rerun could not get past a checkpoint without.

        Tables first: what a crash leaves beyond the last checkpoint is forgotten at the next start.
        """
        loss = loss_of(self.session.model, last, self.session.config)
        if not math.isfinite(loss):
            raise _diverged(f"the loss is {loss} behind step {self.session.step}", self.session.config)
        self.metrics.seal(self.session.step)
        self.consumption.seal(self.session.step)
        checkpoint.save(self.out / "checkpoints", capture(self.session, self.plan.digest))

    def finish(self) -> TrainSummary:
        """Evaluate on the held-out rows; write tables, summary and timing."""
        session = self.session
        after = evaluate(session.model, self.heldout, session.config, session.unigrams)
        if after.loss is not None and not math.isfinite(after.loss):
            raise _diverged(f"the held-out loss is {after.loss} behind step {session.step}", session.config)
        self.consumption.join(self.out / "consumption.parquet")
        metrics = self.metrics.join(self.out / "metrics.parquet")
        summary = summarise(session, metrics, self.plan.names, after)
        write_json(self.out / "summary.json", asdict(summary))
        write_json(self.out / "timing.json", asdict(timing(metrics)))
        return summary


def _diverged(what: str, config: TrainConfig) -> TrainError:
    return TrainError(
        f"{what}: training diverged. Lower trainer.learning_rate (now {config.learning_rate:g}) or raise "
        "trainer.warmup_steps; either makes it start anew"
    )


def _expect_device(name: str) -> None:
    """Refuse a device that this machine, or this build of torch, cannot compute on."""
    try:
        works = torch.ones(2, device=name).sum().item() == 2
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what torch raises differs by device
        works, why = False, str(error).partition("\n")[0]
    else:
        why = "it computes nothing"
    if not works:
        here = ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])
        raise TrainError(f"trainer.device is {name!r}, which this machine does not have: {why}. It has {here}")


def _expect_fitting_shards(run: Path, plan: Plan, config: TrainConfig) -> None:
    for domain in plan.names:
        index = ShardReader(run / "shards" / domain).index
        for key, section in (("row_tokens", "shards"), ("vocab_size", "tokenizer")):
            if index[key] != getattr(config, key):
                raise TrainError(
                    f"the shards of domain {domain!r} have {key} {index[key]}, the model was asked for "
                    f"{getattr(config, key)}: {section}.{key} changed since they were written. Run the recipe again"
                )
