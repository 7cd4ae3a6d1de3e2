"""Trace: the documents of any batch, from plan and shards alone, before or after training."""

from pathlib import Path
from typing import Any

import numpy as np

from gristmill.handoff.failures import PlanError
from gristmill.handoff.loader import open_readers
from gristmill.handoff.plan import Plan


def trace(folder: Path, step: int, batch_rows: int) -> list[dict[str, Any]]:
    """The rows of one step over all ranks.

    Parameters
    ----------
    folder : a run directory
    step : from 0
    batch_rows : rows of a step

    Returns
    -------
    per row: sample, domain, epoch, row and documents [{doc_id, start, length, offset}] (tokens)

    Raises
    ------
    PlanError : the plan ends before this step, or is damaged
    """
    plan = Plan.load(folder / "plan")
    start = step * batch_rows
    if not 0 <= start < plan.samples:
        raise PlanError(f"the plan has steps 0 to {(plan.samples - 1) // batch_rows}; there is no step {step}")
    located = plan.locate(start, min(start + batch_rows, plan.samples))
    readers = open_readers(folder, plan)
    rows = []
    for number, (domain, epoch, row) in enumerate(zip(*(column.tolist() for column in located), strict=True)):
        documents = readers[domain].documents(np.array([row]))[0]
        place = {"sample": start + number, "domain": plan.names[domain], "epoch": epoch, "row": row}
        rows.append({**place, "documents": documents})
    return rows
