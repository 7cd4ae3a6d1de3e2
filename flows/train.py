"""The Prefect flow ``train``: the model on the plan of a finished run."""

from pathlib import Path
from typing import Any

from prefect import flow

from gristmill.flows.direct import train_and_card
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.refine import run_as_task, run_name


@flow(name="train", flow_run_name=run_name, validate_parameters=False, persist_result=False)
def train(run_path: str, reporter: Any = None) -> dict[str, Any]:
    """Train, or go on training, on a run's plan, then renew its card; returns the summary."""
    with reopen_run(Path(run_path), reporter=reporter) as context:
        return train_and_card(context, run_as_task)
