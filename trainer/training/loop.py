"""Training on a run directory: one optimizer step per step of the plan, resumed by itself, until the plan is consumed.

``out`` then holds metrics.parquet (a row for each step), consumption.parquet (a row for each consumed sample, with the
digest of what the step got of it), alarms.parquet (what rang), evaluation.parquet and load.parquet (held-out rows,
before and after), summary.json, timing.json and checkpoints/.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.seeds import derive_seed
from gristmill.corpus.typed_json import from_json
from gristmill.handoff.loader import Batch, Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.device import expect_device
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.stage import TrainSummary
from gristmill.trainer.training import checkpoint, ranks
from gristmill.trainer.training.bits_per_byte import token_bytes
from gristmill.trainer.training.consumption import consumed_rows, figures_of_parts, in_order_of_samples
from gristmill.trainer.training.division import divide, expect_divisible, whole
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.evaluation_tables import write_evaluations
from gristmill.trainer.training.fact_pairs import FactTokens
from gristmill.trainer.training.flops import matmul_speed, step_flops
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.lineage import write_lineage
from gristmill.trainer.training.metrics import (
    StepFigures,
    domain_figures,
    domain_sums,
    layer_figures,
    load_figures,
)
from gristmill.trainer.training.micro_batches import parts_of
from gristmill.trainer.training.optim import set_learning_rate
from gristmill.trainer.training.probe import facts_known
from gristmill.trainer.training.session import Session, begin, capture, restore, save_merged
from gristmill.trainer.training.setting_changes import config_at, read_changes
from gristmill.trainer.training.stage_checks import expect_stages
from gristmill.trainer.training.step import StepResult, probe, train_step
from gristmill.trainer.training.step_tables import StepTables
from gristmill.trainer.training.summary import summarise, timing
from gristmill.trainer.training.threads import thread_count
from gristmill.trainer.training.timeline import Moment, moment_at

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
        self.ranks = ranks.current()
        self.loader = Loader(run, batch_rows=config.batch_rows, rank=self.ranks.rank, world=self.ranks.world)
        self.plan = self.loader.plan
        config = replace(config, precision=resolve_precision(config.precision, config.device))
        _expect_fitting_shards(run, self.plan, config)
        torch.set_num_threads(thread_count(config.threads))
        self.out = out
        self.heldout = read_heldout(run / "heldout", self.plan.names, config)
        self.tables = StepTables(run, out, config, self.plan.names)
        spelled = token_bytes(run / "tokenizer" / "tokenizer.json", config.vocab_size)
        self.spelled = None if spelled is None else torch.from_numpy(spelled).to(config.device)
        self.matmul_speed = matmul_speed(config.precision, config.device, torch.get_num_threads())
        expect_divisible(config, self.ranks)
        self.changes, self.facts = read_changes(out), facts
        self.session = self._resumed_or_fresh(config)
        expect_stages(run, self.plan, config, [name for name, _ in self.session.model.named_parameters()])
        divide(self.session, self.ranks)

    @property
    def steps(self) -> int:
        """Steps of the whole plan; the last may be short of rows."""
        return math.ceil(self.plan.samples / self.session.config.batch_rows)

    def _resumed_or_fresh(self, config: TrainConfig) -> Session:
        found = checkpoint.load_latest(self.out / "checkpoints")
        step = found.step if found else 0
        if self.ranks.is_first:
            self.tables.rewind(step)
        if found:
            session = restore(found, config, self.plan.digest, self.changes)
            if not self.ranks.is_first:  # what was counted so far is counted once
                session.unigrams.zero_()
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
            self.tables.note_facts(session.step, session.cursor, len(self.facts.keys), known)

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
        config, moment = self._now()
        parts = self._parts(batch)
        rate = moment.learning_rate(config)
        set_learning_rate(session.optimizer, rate)
        if self.ranks.world > 1:  # each rank drops its own, whichever ranks there were before
            torch.manual_seed(derive_seed(config.seed, f"step {session.step} rank {self.ranks.rank}"))
        result = train_step(session.model, session.optimizer, parts, config, moment, self.ranks)
        if not result.is_finite:
            at = f"at step {session.step + 1}, and the norm of its gradient {result.grad_norm:g}"
            raise self._diverged(f"the loss is {result.loss:g} {at}")
        for part in parts:
            session.unigrams += torch.bincount(part.targets, minlength=config.vocab_size).cpu()
        session.step, session.cursor = session.step + 1, batch.cursor
        sums = self.ranks.sum(domain_sums(len(self.plan.names), parts, result.each, self.spelled))
        figures = StepFigures(
            step=session.step,
            loss=result.loss,
            learning_rate=rate,
            grad_norm=result.grad_norm,
            tokens=int(sums[0].sum()),
            flops=self._flops(parts, result, moment),
            load=load_figures(result.counts),
            layers=layer_figures(result.counts),
            choices=tuple(map(tuple, result.counts.tolist())),
            domains=domain_figures(self.plan.names, sums),
            seconds=time.perf_counter() - began,
        )
        self._note(figures, batch, parts, result)
        return figures

    def _flops(self, parts: list[Packed], result: StepResult, moment: Moment) -> float:
        """Operations of a step on all ranks; the choices of experts are those of all ranks already."""
        config, choices = self.session.config, int(result.counts.sum()) if self.ranks.is_first else 0
        own = step_flops(config.model, parts, choices, config.vocab_size, moment.stage.context)
        return self.ranks.sum(torch.tensor(own, dtype=torch.float64, device=config.device)).item()

    def _note(self, figures: StepFigures, batch: Batch, parts: list[Packed], result: StepResult) -> None:
        """Note the step just done, and what all ranks consumed in it."""
        lines = consumed_rows(figures.step, self.ranks.rank, batch, figures_of_parts(parts, result.each))
        of_ranks = self.ranks.gather(lines)
        if self.ranks.is_first:
            self.tables.note(figures, in_order_of_samples(of_ranks))

    def _now(self) -> tuple[TrainConfig, Moment]:
        """Config and stage of the step that follows."""
        step = self.session.step
        return config_at(self.session.config, self.changes, step), moment_at(self.session.config, step, self.steps)

    def _parts(self, batch: Batch) -> list[Packed]:
        config = self.session.config
        return [pack_batch(part).to(config.device) for part in parts_of(batch, config.micro_batches)]

    def _save(self, following: Batch) -> None:
        """Save, if all is finite: weights, and loss and gradient of the step that follows. No rate mends a model else.

        Tables first: what a crash leaves beyond the last checkpoint is forgotten at the next start.
        """
        config, moment = self._now()
        loss, norm = probe(self.session.model, self._parts(following), config, moment, self.ranks)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise self._diverged(
                f"the loss is {loss:g} and the norm of the gradient {norm:g} behind step {self.session.step}"
            )
        unigrams = self.ranks.sum(self.session.unigrams)
        with whole(self.session, self.ranks) as session:
            if self.ranks.is_first:
                self._write(replace(session, unigrams=unigrams))
        self.ranks.wait()

    def _write(self, session: Session) -> None:
        """Tables and checkpoint, by one rank."""
        self._probe(session)
        self.tables.seal(session.step)
        spread = checkpoint.spread_evenly(session.config.keep, self.steps)
        state = capture(session, self.plan.digest, self.changes)
        try:
            checkpoint.save(self.out / "checkpoints", state, spread)
        except TrainError as error:  # a tensor that is not finite
            raise self._diverged(str(error)) from None

    def finish(self) -> TrainSummary:
        """Evaluate on the held-out rows; write tables, summary and timing. One rank does, and all have the summary."""
        self.session.unigrams = self.ranks.sum(self.session.unigrams)
        with whole(self.session, self.ranks) as session:
            if self.ranks.is_first:
                self._finish(session)
        self.ranks.wait()
        return from_json(TrainSummary, read_json(self.out / "summary.json"), "summary.json")

    def _finish(self, session: Session) -> None:
        spread = checkpoint.spread_evenly(session.config.keep, self.steps)
        checkpoint.drop_surplus(self.out / "checkpoints", spread)  # a crash behind the last one may have left more
        after = evaluate(session.model, self.heldout, session.config, session.unigrams)
        if after.loss is not None and not math.isfinite(after.loss):
            raise self._diverged(f"the held-out loss is {after.loss} behind step {session.step}")
        metrics = self.tables.join()
        evaluations = {0: session.heldout_before} if session.heldout_before else {}
        write_evaluations(self.out, evaluations | {session.step: after})
        made = tuple(change for change in self.changes if change.step < session.step)
        summary = summarise(session, metrics, self.plan.names, after, made)
        write_json(self.out / "summary.json", asdict(summary))
        write_lineage(self.out, session.config)
        if session.config.lora or session.config.quantise:
            save_merged(self.out, session)
        write_json(self.out / "timing.json", asdict(timing(metrics, self.matmul_speed * self.ranks.world)))

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
