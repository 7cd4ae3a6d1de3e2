"""A recipe's cron served through Prefect until stopped; each firing is a whole run, and no two at a time.

``flows.supervision`` runs this in a process of its own, beside the server.
"""

import asyncio
import os
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.server.schemas.schedules import CronSchedule
from prefect.states import Cancelled, Crashed

from gristmill.flows.nights.firings import note_firing, read_firings
from gristmill.flows.nights.night_run import night_run
from gristmill.flows.nights.night_tables import night_page
from gristmill.flows.pipeline.json_progress import VARIABLE, chosen_reporter
from gristmill.flows.pipeline.recipe_reading import load_scheduled
from gristmill.flows.pipeline.unattended import Schedule
from gristmill.flows.refine import refine, run_name

LATE = timedelta(seconds=90)  # a run that is due for longer was missed; a server that starts again takes less
FLOW = "night"


@flow(name=FLOW, flow_run_name=run_name, validate_parameters=False, persist_result=False, retries=0)
def night(recipe_path: str) -> dict[str, Any]:
    """One firing: the flow ``refine``, tried again after errors of input and output, and its page."""
    reporter = chosen_reporter() if os.environ.get(VARIABLE) else None  # else the page shows how far it is
    result = night_run(Path(recipe_path), lambda: refine(recipe_path, reporter=reporter))
    publish(result)
    return {key: result.get(key) for key in ("run", "state", "verified", "came_from")}


def publish(result: dict[str, Any]) -> None:
    """Put a run's page among the artifacts of its flow run."""
    page = night_page(result)
    create_table_artifact(page.funnel, key="stages", description="documents and bytes through the stages")
    if page.mixture:
        create_table_artifact(page.mixture, key="mixture", description="what the plan draws of each domain")
    create_markdown_artifact(page.card, key="card", description="where the data card lies")
    if page.changes:
        create_markdown_artifact(page.changes, key="changes", description="against the run before")


def deployment_options(recipe_path: Path) -> dict[str, Any]:
    """Name, schedule and parameters of the recipe's deployment; a run that is due while one is at work is cancelled."""
    name, schedule = load_scheduled(recipe_path)
    return {
        "name": name,
        "schedule": Cron(schedule.cron, timezone=schedule.timezone),
        "parameters": {"recipe_path": str(recipe_path.resolve())},
        "limit": 1,
        "global_limit": ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    }


def serve_recipe(recipe_path: Path) -> None:
    """Serve the deployment in the foreground."""
    name, schedule = load_scheduled(recipe_path)
    asyncio.run(take_over(name, schedule))
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited")  # Prefect's own, at each SIGTERM
    night.serve(**deployment_options(recipe_path), print_starting_message=False, pause_on_shutdown=False)


async def take_over(name: str, schedule: Schedule) -> bool:
    """Leave nothing behind of a process that served the recipe before; True where a missed run fires now.

    Runs that were due long ago are cancelled; those that a killed process left as running are crashed, so that they
    hold no place. With ``catch_up = "last"`` one run makes up for all that were missed.
    """
    missed = await was_missed(schedule, read_firings(name).seen_until, datetime.now(UTC))
    note_firing(name)
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(f"{FLOW}/{name}")
        except ObjectNotFound:
            return False
        await _clear(client, deployment.id)
        if missed and schedule.catch_up == "last":
            await client.create_flow_run_from_deployment(deployment.id, name="catch-up")
            return True
    return False


async def _clear(client: PrefectClient, deployment: UUID) -> None:
    left = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    due = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    for chosen, state in ((left, Crashed(message="its process is gone")), (due, Cancelled(message="missed"))):
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=chosen),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        )
        for run in runs:
            if chosen is left or (run.expected_start_time or datetime.now(UTC)) < datetime.now(UTC) - LATE:
                await client.set_flow_run_state(run.id, state, force=True)


async def was_missed(schedule: Schedule, since: datetime, now: datetime) -> bool:
    """Whether the cron named a time after ``since`` and, by more than ``LATE``, before ``now``."""
    cron = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    dates = await cron.get_dates(1, since + timedelta(seconds=1))
    return bool(dates) and dates[0] < now - LATE
