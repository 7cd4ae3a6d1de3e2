"""The trainer's log of consumed rows against plan and shards: order, digests, tokens.

Like ``shard_rows``, this imports neither loader, reader nor trainer, not even through others; an import contract
holds it. The plan it has from ``handoff.plan``: what is compared here is whether a step got what the plan says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.flows.inspect.likely_faults import likely_fault
from gristmill.flows.inspect.shard_rows import DomainRows, digest_of
from gristmill.handoff.plan import Located, Plan

GUESSED = 3  # rows of which verify tries to say what the step got in their place
AT_ONCE = 1 << 16  # samples located at a time


@dataclass
class Comparison:
    """What was found: sentences, and tokens by place of the domain in the plan."""

    names: tuple[str, ...]
    order: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    tokens: dict[int, int] = field(default_factory=dict)  # of the shards, in the planned rows


def compare(run: Path, log: pa.Table) -> Comparison:
    """Compare a whole training's ``log`` (consumption.parquet) with the plan and the shards of ``run``."""
    plan = Plan.load(run / "plan")
    found = Comparison(plan.names)
    rows = [DomainRows(run / "shards" / name) for name in plan.names]
    found.order = list(_out_of_order(plan, log))
    lines = _lines_of_samples(plan, log)
    for start in range(0, plan.samples, AT_ONCE):
        stop = min(start + AT_ONCE, plan.samples)
        located = plan.locate(start, stop)
        part = log.take(pa.array(lines[start:stop].clip(0))).combine_chunks() if log.num_rows else log
        _compare_content(found, plan, rows, located, (start, lines[start:stop] >= 0, part))
    return found


def _lines_of_samples(plan: Plan, log: pa.Table) -> np.ndarray:
    """The line of the log that tells of each planned sample, the first one if there are several; -1 without."""
    lines = np.full(plan.samples, -1, np.int64)
    sample = log["sample"].to_numpy()
    inside = np.flatnonzero((sample >= 0) & (sample < plan.samples))[::-1]
    lines[sample[inside]] = inside
    return lines


def _out_of_order(plan: Plan, log: pa.Table) -> Iterator[str]:
    """Samples that are missing, come twice or come late, and steps that do."""
    sample, step = log["sample"].to_numpy(), log["step"].to_numpy()
    n = min(len(sample), plan.samples)
    late = np.flatnonzero(sample[:n] != np.arange(n))
    if len(late):
        at = int(late[0])
        what = "came again" if sample[at] < at else "came in its place"
        yield f"{_place(plan, step, at)} was not consumed in its turn: sample {sample[at]} {what}"
    elif len(sample) < plan.samples:
        yield f"{_place(plan, step, n)} and all after it were not consumed"
    elif len(sample) > plan.samples:
        yield f"step {step[n]}: sample {sample[n]} was consumed, and the plan has {plan.samples}"
    jumps = np.flatnonzero((np.diff(step, prepend=0) < 0) | (np.diff(step, prepend=0) > 1))
    if len(jumps):
        at = int(jumps[0])
        before = int(step[at - 1]) if at else 0
        yield f"step {step[at]} follows on step {before}, at sample {sample[at]}"


def _place(plan: Plan, step: np.ndarray, at: int) -> str:
    """Step and row of the sample ``at``, as people look for them."""
    domain, epoch, row = (int(column[0]) for column in plan.locate(at, at + 1))
    line = min(at, len(step) - 1)
    number = f"step {step[line]}: " if len(step) else ""
    return f"{number}row {row} of {plan.names[domain]} (epoch {epoch}, sample {at})"


def _compare_content(
    found: Comparison, plan: Plan, rows: list[DomainRows], located: Located, logged: tuple[int, np.ndarray, pa.Table]
) -> None:
    """Digests, places, tokens and targets of the samples of ``located``: ``logged`` is what the log has of them."""
    first, known, part = logged
    if not part.num_rows:
        return
    steps, domains, epochs, places = (part[name].to_pylist() for name in ("step", "domain", "epoch", "row"))
    digests, tokens, targets = (part[name].to_pylist() for name in ("digest", "tokens", "targets"))
    for i, (domain, epoch, row) in enumerate(zip(*(column.tolist() for column in located), strict=True)):
        slices = rows[domain].slices(row)
        planned = sum(len(one.tokens) for one in slices)
        found.tokens[domain] = found.tokens.get(domain, 0) + planned
        if not known[i]:
            continue
        where = f"step {steps[i]}: row {row} of {plan.names[domain]} (epoch {epoch}, sample {first + i})"
        if (domains[i], epochs[i], places[i]) != (domain, epoch, row):
            other = f"row {places[i]} of domain {domains[i]} (epoch {epochs[i]})"
            found.content.append(f"{where} is planned, the loader read {other}")
        elif digests[i] != digest_of(domain, epoch, slices):
            guess = (
                ""
                if len(found.content) >= GUESSED
                else likely_fault(rows, plan.names, (domain, epoch, row), digests[i])
            )
            found.content.append(f"{where} is not what the step got{guess and ': '}{guess}")
        elif (tokens[i], targets[i]) != (planned, sum(one.counted for one in slices)):
            found.content.append(
                f"{where}: {tokens[i]} tokens and {targets[i]} targets are logged, its digest has others"
            )
