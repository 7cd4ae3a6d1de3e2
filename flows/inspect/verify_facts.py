"""Check of planted facts: unknown to the model before the phase that states them, learnt after it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.flows.inspect.run_check import Check
from gristmill.flows.pipeline.context import RunContext
from gristmill.handoff.plan import Plan
from gristmill.trainer.training.fact_pairs import FILE, LEARNT, judge


def check_facts(context: RunContext) -> Iterator[Check]:
    """What the trainer's probes found, judged by the plan: it says when the rows of the facts were drawn."""
    proof = context.recipe.trainer.proof if context.recipe.trainer else None
    if proof is not None and context.run.has("train"):
        yield from checks_of(context.run.path, proof.domain)


def checks_of(run: Path, domain: str) -> Iterator[Check]:
    """The checks of a run directory whose facts are those of one domain."""
    plan, path = Plan.load(run / "plan"), run / "train" / FILE
    drawn = plan.counts(0, plan.samples).get(domain, 0)
    if not path.is_file() or not drawn:
        why = (
            f"the plan draws {drawn} rows of {domain}" if not drawn else f"{path} is missing; `gristmill train` the run"
        )
        yield Check("planted facts", False, why)
        return
    place = plan.names.index(domain)
    first, last = plan.samples_of(place, np.array([0, drawn - 1])).tolist()
    probes: pa.Table = pq.read_table(path)
    found = judge(probes.to_pydict(), first, last)
    least = f"expected {LEARNT * found.facts:.0f} or more"
    before, after = ("no probe" if known is None else f"{known} known" for known in (found.before, found.after))
    detail = f"{before} of {found.facts} up to sample {first}, chance explains {found.bound:.1f}"
    yield Check("planted facts unknown before", found.unknown_before, detail)
    yield Check("planted facts learnt", found.learnt, f"{after} of {found.facts} after sample {last}, {least}")
