"""Training on a run directory: one optimizer step per step of the plan, resumed by itself, until the plan is consumed.

``out`` then holds metrics.parquet (a row for each step), consumption.parquet (a row for each consumed sample, with the
digest of what the step got of it), evaluation.parquet and load.parquet (held-out rows, before and after), summary.json,
timing.json and checkpoints/.
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
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.device import expect_device
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.stage import TrainSummary
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.consumption import CONSUMPTION, consumed_rows
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.evaluation_tables import write_evaluations
from gristmill.trainer.training.fact_pairs import FILE, PROBES, FactTokens
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.log import Log
from gristmill.trainer.training.metrics import StepFigures, domain_figures, layer_figures, load_figures, metrics_schema
from gristmill.trainer.training.optim import learning_rate_at, set_learning_rate
from gristmill.trainer.training.probe import facts_known
from gristmill.trainer.training.session import Session, begin, capture, restore
from gristmill.trainer.training.setting_changes import config_at, read_changes
from gristmill.trainer.training.step import probe, train_step
from gristmill.trainer.training.summary import summarise, timing
from gristmill.trainer.training.threads import thread_count

OnStep = Callable[[StepFigures], None]


def train(
    run: Path,
    out: Path,
    config: TrainConfig,
    *,
    on_step: OnStep | None = None,
    max_steps: int | None = None,
    facts: FactTokens | None = None,
) -> TrainSummary:
    """Train on ``run`` (plan/, shards/<domain>/, heldout/<domain>/) and return the summary.

    Parameters
    ----------
    out : the folder to fill, or one that an earlier call has begun: training goes on from its last whole checkpoint
    on_step : called with the figures of each step
    facts : planted facts to ask the model for at its beginning and at every checkpoint; the answers stand in
        ``facts.parquet``, and training goes the same way with them or without
    max_steps : stop once the training as a whole has done so many steps; a later call goes on

    Raises
    ------
    TrainError : shards do not fit the config, the checkpoint belongs to another config or plan, the device is missing,
        or the loss diverged
    """
    if max_steps is not None and max_steps < 1:
        raise TrainError(f"max_steps is {max_steps}, expected 1 or more")
    training = Training(run, out, config, facts)
    training.run_until(training.steps if max_steps is None else min(max_steps, training.steps), on_step)
    return training.finish()


class Training:
    """One call of ``train``: a session, the loader that feeds it, and the tables that it fills."""

    def __init__(self, run: Path, out: Path, config: TrainConfig, facts: FactTokens | None = None):
        expect_device(config.device)
        self.loader = Loader(run, batch_rows=config.batch_rows)
        self.plan = self.loader.plan
        config = replace(config, precision=resolve_precision(config.precision, config.device))
        _expect_fitting_shards(run, self.plan, config)
        torch.set_num_threads(thread_count(config.threads))
        self.out = out
        self.heldout = read_heldout(run / "heldout", self.plan.names, config)
        self.metrics = Log(out / "log", "metrics", metrics_schema(self.plan.names, config.model.moe_layers))
        self.consumption = Log(out / "log", "consumption", CONSUMPTION)
        self.changes = read_changes(out)
        self.facts, self.probes = facts, Log(out / "log", "facts", PROBES)
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
        self.probes.rewind(step)
        if found:
            session = restore(found, config, self.plan.digest, self.changes)
            self.loader.resume(found.state["loader"])
            return session
        session = begin(config)
        session.heldout_before = evaluate(session.model, self.heldout, config, session.unigrams)
        self._probe(session)
        return session

    def _probe(self, session: Session) -> None:
        """Note how many of the planted facts the model knows."""
        if self.facts:
            known = facts_known(session.model, self.facts, session.config)
            row = {"step": session.step, "sample": session.cursor, "facts": len(self.facts.keys), "right": known}
            self.probes.append({name: [value] for name, value in row.items()})

    def run_until(self, last: int, on_step: OnStep | None) -> None:
        """Take the plan's steps up to ``last``; save on the way and at the end."""
        session = self.session
        batches = iter(self.loader)
        batch = next(batches, None)
        while batch is not None and session.step < last:
            figures = self._advance(batch)
            if on_step:
                on_step(figures)
            done, batch = batch, next(batches, None)
            if session.step % session.config.checkpoint_steps == 0 or session.step == last or batch is None:
                self._save(batch or done)

    def _advance(self, batch: Batch) -> StepFigures:
        """One step of the plan: its figures."""
        session, began = self.session, time.perf_counter()
        config = config_at(session.config, self.changes, session.step)
        host = pack_batch(batch)
        rate = learning_rate_at(session.step, self.steps, config.warmup_steps, config.learning_rate)
        set_learning_rate(session.optimizer, rate)
        packed = host.to(config.device)
        result = train_step(session.model, session.optimizer, packed, config)
        if not result.is_finite:
            at = f"at step {session.step + 1}, and the norm of its gradient {result.grad_norm:g}"
            raise self._diverged(f"the loss is {result.loss:g} {at}")
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
            layers=layer_figures(result.counts),
            domains=domain_figures(self.plan.names, result.each, packed),
            seconds=time.perf_counter() - began,
        )
        self.metrics.append(figures.row())
        return figures

    def _save(self, following: Batch) -> None:
        """Save, if all is finite: weights, and loss and gradient of the step that follows. No rate mends a model else.

        Tables first: what a crash leaves beyond the last checkpoint is forgotten at the next start.
        """
        batch = pack_batch(following).to(self.session.config.device)
        loss, norm = probe(self.session.model, batch, self.session.config)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise self._diverged(
                f"the loss is {loss:g} and the norm of the gradient {norm:g} behind step {self.session.step}"
            )
        self.metrics.seal(self.session.step)
        self.consumption.seal(self.session.step)
        self._probe(self.session)
        self.probes.seal(self.session.step)
        spread = checkpoint.spread_evenly(self.session.config.keep, self.steps)
        state = capture(self.session, self.plan.digest, self.changes)
        try:
            checkpoint.save(self.out / "checkpoints", state, spread)
        except TrainError as error:  # a tensor that is not finite
            raise self._diverged(str(error)) from None

    def finish(self) -> TrainSummary:
        """Evaluate on the held-out rows; write tables, summary and timing."""
        session = self.session
        after = evaluate(session.model, self.heldout, session.config, session.unigrams)
        if after.loss is not None and not math.isfinite(after.loss):
            raise self._diverged(f"the held-out loss is {after.loss} behind step {session.step}")
        self.consumption.join(self.out / "consumption.parquet")
        if self.facts:
            self.probes.join(self.out / FILE)
        metrics = self.metrics.join(self.out / "metrics.parquet")
        evaluations = {0: session.heldout_before} if session.heldout_before else {}
        write_evaluations(self.out, evaluations | {session.step: after})
        made = tuple(change for change in self.changes if change.step < session.step)
        summary = summarise(session, metrics, self.plan.names, after, made)
        write_json(self.out / "summary.json", asdict(summary))
        write_json(self.out / "timing.json", asdict(timing(metrics)))
        return summary

    def _diverged(self, what: str) -> TrainError:
        config = config_at(self.session.config, self.changes, self.session.step)
        return TrainError(
            f"{what}: training diverged, and its last good checkpoint is kept. Lower trainer.learning_rate (now "
            f"{config.learning_rate:g}) or trainer.max_grad_norm, or raise trainer.warmup_steps: `gristmill train RUN "
            "--set learning_rate=...` goes on from that checkpoint, and with --back-to STEP from one before; "
            "changed in the recipe, training starts anew"
        )


def _expect_fitting_shards(run: Path, plan: Plan, config: TrainConfig) -> None:
    for domain in plan.names:
        index = ShardReader(run / "shards" / domain).index
        for key, section in (("row_tokens", "shards"), ("vocab_size", "tokenizer")):
            if index[key] != getattr(config, key):
                raise TrainError(
                    f"the shards of domain {domain!r} have {key} {index[key]}, the model was asked for "
                    f"{getattr(config, key)}: {section}.{key} changed since they were written. Run the recipe again"
                )
