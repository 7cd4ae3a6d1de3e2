"""Proxy runs as jobs of the store: each has a receipt, so a tuning that was stopped goes on where it was."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from gristmill.corpus.errors import PlanError
from gristmill.corpus.receipt import Receipt
from gristmill.corpus.typed_json import from_json
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.engine import ThreadEngine, Watch
from gristmill.flows.pipeline.home_contents import name_tuned
from gristmill.flows.pipeline.jobs import Done, Job, Ref, job_key
from gristmill.flows.tune.consumed_signals import HISTOGRAMS, histogram_jobs
from gristmill.flows.tune.counted_proxy import count_proxy
from gristmill.flows.tune.proxy_task import STAGE, VERSION, DomainBits, ProxyFacts, ProxyTask
from gristmill.flows.tune.search_space import SearchSpace, section
from gristmill.flows.tune.trained_proxy import train_proxy
from gristmill.mixing.compile import Packed
from gristmill.mixing.signal_basis import Basis
from gristmill.mixing.swarm import Trial
from gristmill.mixing.tuning import PRESETS
from gristmill.trainer.training.bits_per_byte import token_bytes


@dataclass(frozen=True, slots=True)
class ProxyCorpus:
    """What proxy runs read: rows and held-out rows of each domain, and the tokenizer that says what tokens spell."""

    shards: Mapping[str, Receipt]
    heldout: Mapping[str, Receipt]
    tokenizer: Receipt
    basis: Basis | None = None
    histograms: Mapping[str, Receipt] = field(default_factory=dict)

    @classmethod
    def of(cls, context: RunContext) -> "ProxyCorpus":
        """Of a run that has come as far as ``heldout``; PlanError where bytes per token are not known."""
        domains = context.recipe.domains
        shards, heldout = (
            dict(zip(domains, context.run.manifest(stage).parts, strict=True)) for stage in ("shards", "heldout")
        )
        tokenizer = context.run.manifest("tokenizer").parts[0]
        if token_bytes(context.store.folder(tokenizer) / "tokenizer.json", 1 << 20) is None:
            raise PlanError(
                "tune: bits per byte need a byte-level tokenizer; leave tokenizer.path out, or give such a one"
            )
        return cls(shards, heldout, tokenizer)

    def with_basis(self, context: RunContext, basis: Basis) -> "ProxyCorpus":
        """The same, whose runs store where the tokens lay that they consumed."""
        jobs = histogram_jobs(context, basis)
        name_tuned(context.run, ((job.stage, job.key) for job in jobs.values()))
        done = context.engine.run(context.store, list(jobs.values()), Watch(lambda _: nullcontext(), lambda _: None))
        found = {name: one.receipt for name, one in zip(jobs, done, strict=True)}
        return replace(self, basis=basis, histograms=found)

    def packed(self, context: RunContext) -> dict[str, Packed]:
        """What was packed, by domain."""
        return {name: Packed.of(context.store.folder(one)) for name, one in self.shards.items()}

    def heldout_folders(self, context: RunContext) -> dict[str, Path]:
        """Folders of the held-out rows, by domain."""
        return {name: context.store.folder(one) for name, one in self.heldout.items()}

    def job(self, task: ProxyTask) -> Job:
        """The job of one proxy run; its key is all that decides the result."""
        inputs = [
            {name: one.key for name, one in self.shards.items()},
            {name: one.key for name, one in self.heldout.items()},
            self.tokenizer.key,
        ]
        preset = asdict(PRESETS[task.preset])
        decides = {"order": preset["order"], "trainer": dict(preset["trainer"]), "heldout": preset["heldout_tokens"]}
        key = job_key(STAGE, VERSION, inputs, task=asdict(task), preset=decides)
        arguments = {
            "shards": {name: Ref(one, "") for name, one in self.shards.items()},
            "heldout": {name: Ref(one, "") for name, one in self.heldout.items()},
            "tokenizer": Ref(self.tokenizer, "tokenizer.json"),
            "task": task,
        }
        if self.basis:
            arguments["histograms"] = {name: Ref(one, HISTOGRAMS) for name, one in self.histograms.items()}
        return Job(STAGE, key, train_proxy if preset["trainer"] else count_proxy, arguments)


@dataclass(frozen=True, slots=True)
class Finished:
    """A proxy run that is done: its trial, key, whether it was found again, and what it found."""

    trial: Trial
    key: str
    reused: bool
    facts: ProxyFacts


def run_proxies(
    context: RunContext, corpus: ProxyCorpus, space: SearchSpace, trials: Sequence[Trial], name: str
) -> list[Finished]:
    """Find or make every proxy run, in the order of ``trials``; ``name`` stands beside the progress."""
    tune = section(context.recipe)
    jobs = [
        corpus.job(
            ProxyTask(
                dict(zip(space.names, trial.weights, strict=True)),
                tune.tokens,
                space.full_tokens,
                tune.preset,
                trial.seed,
                corpus.basis.digest if corpus.basis else "",
            )
        )
        for trial in trials
    ]
    # torch has one seed and one count of threads per process: its proxies run one after the other
    alone = bool(PRESETS[tune.preset].trainer) and not context.recipe.engine.address
    engine = ThreadEngine(1) if alone else context.engine
    name_tuned(context.run, ((job.stage, job.key) for job in jobs))
    unique = list({job.key: job for job in jobs}.values())  # two threads cannot fill one entry at once
    with context.report.progress(name, len(unique)) as progress:
        watch = Watch(lambda job: progress.part(job.n_bytes), lambda done: progress.advance(_note(done)))
        made = engine.run(context.store, unique, watch)
    done = {one.receipt.key: one for one in made}
    return [
        Finished(trial, one.receipt.key, one.reused, from_json(ProxyFacts, one.receipt.facts, one.receipt.key))
        for trial, one in ((trial, done[job.key]) for trial, job in zip(trials, jobs, strict=True))
    ]


def _note(done: Done) -> str:
    return "reused" if done.reused else f"{done.seconds:.1f} s"


def bits(finished: Sequence[Finished], measured: Sequence[str], half: str) -> np.ndarray:
    """float[n_runs, n_measured] on the documents of one half, "fit" or "check"."""

    def value(one: DomainBits) -> float:
        assert one.bits_per_byte is not None  # the search space has domains with documents in both halves alone
        return one.bits_per_byte

    return np.array([[value(getattr(one.facts, half)[name]) for name in measured] for one in finished])
