"""Audit: what training should have consumed, from the plan, against what it says it did."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.handoff.plan import Plan

STEP = 1 << 20  # samples compared at a time


def consumed(folder: Path, samples: int) -> dict[str, int]:
    """Rows that the first ``samples`` samples take from each domain; ``folder`` is a run directory."""
    return Plan.load(folder / "plan").counts(0, samples)


def differences(folder: Path, consumption: pa.Table) -> list[str]:
    """Compare a trainer's record with the plan, sample by sample.

    Parameters
    ----------
    folder : a run directory
    consumption : columns domain (names, or places in the plan), epoch and row, one line for each sample, in the order
        of training

    Returns
    -------
    what is wrong, at most one line: the first sample that differs, or samples beyond the plan; nothing when equal
    """
    plan = Plan.load(folder / "plan")
    if consumption.num_rows > plan.samples:
        return [f"{consumption.num_rows} samples were consumed, the plan has {plan.samples}"]
    for start in range(0, consumption.num_rows, STEP):
        part = consumption.slice(start, STEP).combine_chunks()
        wrong = np.flatnonzero(_differs(plan, start, part))
        if len(wrong):
            at = start + int(wrong[0])
            domain, epoch, row = (int(column[0]) for column in plan.locate(at, at + 1))
            got = {name: part[name][at - start].as_py() for name in ("domain", "epoch", "row")}
            return [f"sample {at}: the plan says {plan.names[domain]}, epoch {epoch}, row {row}; consumed was {got}"]
    return []


def _differs(plan: Plan, start: int, part: pa.Table) -> np.ndarray:
    planned = plan.locate(start, start + part.num_rows)
    names = part["domain"]
    if not pa.types.is_integer(names.type):
        names = pc.index_in(names.cast(pa.string()), pa.array(plan.names)).fill_null(-1)
    wrong = names.to_numpy() != planned.domain
    wrong |= part["epoch"].to_numpy() != planned.epoch
    return wrong | (part["row"].to_numpy() != planned.row)
