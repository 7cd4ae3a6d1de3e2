"""The Prefect flow ``refine``: raw sources in, training shards, plan, model and card out.

State lives in files: a task keeps no result and no cache, and a rerun does only what the store lacks.
"""

from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from gristmill.flows.direct import refine_open
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import open_recipe
from gristmill.flows.pipeline.running import run_stage
from gristmill.flows.pipeline.stages import Instance


def run_as_task(context: RunContext, stage: Instance) -> Any:
    """Run a stage as a Prefect task of its name."""
    as_task = task(name=stage.name, cache_policy=NO_CACHE, persist_result=False, retries=0)
    return as_task(run_stage)(context, stage)


def run_name() -> str:
    """Of a flow run on Prefect's page: a phone has no room for the folder of a recipe or run."""
    return f"{flow_run.flow_name}-{Path(next(iter(flow_run.parameters.values()))).stem}"


@flow(name="refine", flow_run_name=run_name, validate_parameters=False, persist_result=False)
def refine(
    recipe_path: str, until: str | None = None, workers: int | None = None, reporter: Any = None
) -> dict[str, Any]:
    """Run a recipe; returns the run directory and what each stage did."""
    engine = {} if workers is None else {"workers": workers}
    with open_recipe(Path(recipe_path), reporter=reporter, engine=engine) as context:
        return refine_open(context, until, run_as_task)
