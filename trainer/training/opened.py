"""What a training works with, opened: its rows, its session, the tables that it fills. It begins fresh or goes on.

What a step does stands in ``trainer.training.advance``, what is saved in ``trainer.training.saving``, the end in
``trainer.training.finish``; ``trainer.training.loop`` runs them.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch

from gristmill.corpus.errors import TrainError
from gristmill.handoff.loader import Batch, Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.device import expect_device
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.training import checkpoint, ranks
from gristmill.trainer.training.bits_per_byte import token_bytes
from gristmill.trainer.training.division import divide, expect_divisible
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.fact_pairs import FactTokens
from gristmill.trainer.training.flops import matmul_speed
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.micro_batches import parts_of
from gristmill.trainer.training.probe import facts_known
from gristmill.trainer.training.session import Session, begin, restore
from gristmill.trainer.training.setting_changes import config_at, read_changes
from gristmill.trainer.training.stage_checks import expect_stages
from gristmill.trainer.training.step_tables import StepTables
from gristmill.trainer.training.threads import thread_count
from gristmill.trainer.training.timeline import Moment, moment_at


class Training:
    """One call of ``train``: a session, the loader that feeds it, and the tables that it fills.

    Parameters
    ----------
    run, out, facts : as in ``trainer.training.loop.train``

    Raises
    ------
    TrainError : shards do not fit the config, the checkpoint belongs to another config or plan, the device is missing
    """

    def __init__(self, run: Path, out: Path, config: TrainConfig, facts: FactTokens | None = None):
        expect_device(config.device)
        self.ranks = ranks.current()
        self.loader = Loader(run, batch_rows=config.batch_rows, rank=self.ranks.rank, world=self.ranks.world)
        self.plan = self.loader.plan
        config = replace(config, precision=resolve_precision(config.precision, config.device))
        _expect_fitting_shards(run, self.plan, config)
        torch.set_num_threads(thread_count(config.threads))
        self.run, self.out = run, out
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

    @property
    def now(self) -> tuple[TrainConfig, Moment]:
        """Config and place in its stage of the step that follows."""
        step = self.session.step
        return config_at(self.session.config, self.changes, step), moment_at(self.session.config, step, self.steps)

    def parts(self, batch: Batch) -> list[Packed]:
        """The rows of a step as the model reads them, in micro-batches."""
        config = self.session.config
        return [pack_batch(part).to(config.device) for part in parts_of(batch, config.micro_batches)]

    def note_facts(self, session: Session) -> None:
        """Note how many of the planted facts the model knows."""
        if self.facts:
            known = facts_known(session.model, self.facts, session.config)
            self.tables.note_facts(session.step, session.cursor, len(self.facts.keys), known)

    def diverged(self, what: str) -> TrainError:
        """The error of a training that no further step would mend."""
        config, _ = self.now
        return TrainError(
            f"{what}: training diverged, and its last good checkpoint is kept. Lower trainer.learning_rate (now "
            f"{config.learning_rate:g}) or trainer.max_grad_norm, or raise trainer.warmup_steps: `gristmill train RUN "
            "--set learning_rate=...` goes on from that checkpoint, and with --back-to STEP from one before; "
            "changed in the recipe, training starts anew"
        )

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
        self.note_facts(session)
        return session


def _expect_fitting_shards(run: Path, plan: Plan, config: TrainConfig) -> None:
    for domain in plan.names:
        index = ShardReader(run / "shards" / domain).index
        for key, section in (("row_tokens", "shards"), ("vocab_size", "tokenizer")):
            if index[key] != getattr(config, key):
                raise TrainError(
                    f"the shards of domain {domain!r} have {key} {index[key]}, the model was asked for "
                    f"{getattr(config, key)}: {section}.{key} changed since they were written. Run the recipe again"
                )
