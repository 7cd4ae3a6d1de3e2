"""The Prefect flow ``refine``: raw sources in, training shards, plan, model and card out.

State lives in files: a task keeps no result and no cache, and a rerun does only what the store lacks.
"""

from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from gristmill.flows.pipeline.context import open_mill
from gristmill.flows.pipeline.report import summarise
from gristmill.flows.pipeline.stages import STAGES, stages_until


def _as_task(name: str, stage: Any) -> Any:
    return task(stage, name=name, cache_policy=NO_CACHE, persist_result=False, retries=0)


TASKS = {name: _as_task(name, stage) for name, stage in STAGES.items()}


@flow(name="refine", flow_run_name="refine-{recipe_path}", validate_parameters=False, persist_result=False)
def refine(
    recipe_path: str, until: str | None = None, workers: int | None = None, reporter: Any = None
) -> dict[str, Any]:
    """Run a recipe; returns the run directory and what each stage did."""
    engine = {} if workers is None else {"workers": workers}
    with open_mill(Path(recipe_path), reporter=reporter, engine=engine) as mill:
        for name in stages_until(until):
            TASKS[name](mill)
        return summarise(mill)
