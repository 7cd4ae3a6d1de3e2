"""``gristmill approve``: a person opens the gate of a paused run. Who, when and why stand in RUN/approval.json."""

import getpass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import write_json
from gristmill.flows.drift.gate import end_state
from gristmill.flows.inspect.runs import note_latest
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.run_state import APPROVAL_FILE, now, read_state


def approve_run(run_path: Path, note: str, by: str | None = None) -> dict[str, Any]:
    """Verify a paused run again, and make it the latest of its recipe.

    Parameters
    ----------
    note : why; not empty
    by : who; the user of this process when None

    Returns
    -------
    run, verified, failed, approval {by, when, note}, train: whether a model of the recipe is still to be trained

    Raises
    ------
    RecipeError : the run is not paused, or the note is empty
    """
    if not note.strip():
        raise RecipeError("--note is empty: write why the run may go on")
    with reopen_run(run_path) as context:
        state = read_state(context.run)
        if state is None or state.state != "paused":
            raise RecipeError(f"{run_path} is not paused: {f'it is {state.state}' if state else 'it notes no state'}")
        noted = note_latest(context)
        approval = {"by": by or getpass.getuser(), "when": now(), "note": note.strip()}
        if noted["verified"]:
            write_json(context.run.path / APPROVAL_FILE, approval)
        end_state(context.run, noted)
        to_train = context.recipe.trainer is not None and not context.run.has("train")
        return {"run": str(run_path), **noted, "approval": approval, "train": to_train}
