"""``gristmill trace``: the documents of one training batch, from the plan alone."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import PlanError
from gristmill.corpus.recipe_file import read_recipe
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.recipe_reading import stored_recipe


def trace_step(run_path: Path, step: int) -> dict[str, Any]:
    """Rows of batch ``step`` (from 0) and the documents in each.

    Raises
    ------
    PlanError : the plan has no such step
    """
    from gristmill.handoff.plan import Plan
    from gristmill.handoff.trace import trace

    run = RunDir.open(run_path)
    path = run.path / "recipe.toml"
    trainer = stored_recipe(read_recipe(path), str(path)).trainer
    batch_rows = trainer.batch_rows if trainer else 1
    steps = -(-Plan.load(run.path / "plan").samples // batch_rows)
    if not 0 <= step < steps:
        raise PlanError(f"--step {step}: the plan has steps 0 to {steps - 1} of {batch_rows} rows (trainer.batch_rows)")
    return {"run": str(run_path), "step": step, "batch_rows": batch_rows, "rows": trace(run.path, step, batch_rows)}
