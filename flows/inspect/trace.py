"""``gristmill trace``: from a training step to its documents, and from a document to its steps."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import PlanError
from gristmill.corpus.recipe_file import read_recipe
from gristmill.corpus.rundir import RunDir
from gristmill.flows.inspect.document_steps import batch_rows_of, pieces_of, plan_of, steps_of
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.id_prefixes import is_prefix
from gristmill.flows.inspect.logged_losses import losses_of
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import stored_recipe

UNKNOWN = {"nats": None, "targets": None, "loss": None}


def trace_step(run_path: Path, step: int, *, text: bool = False) -> dict[str, Any]:
    """Rows of step ``step``, from 1 as trainer and verify count: their documents, and their own loss once trained on.

    Parameters
    ----------
    text : with what the tokens of each document's piece spell

    Returns
    -------
    run, step, batch_rows; rows: sample, domain, epoch, row, documents {doc_id, start, length, offset (tokens)}, nats
    over the row's targets (predicted tokens), and loss, the nats per target; None where no training has had the row

    Raises
    ------
    PlanError : the plan has no such step
    """
    from gristmill.handoff.trace import trace

    run = RunDir.open(run_path)
    batch_rows = batch_rows_of(_recipe(run))
    steps = -(-plan_of(run.path).samples // batch_rows)
    if not 1 <= step <= steps:
        raise PlanError(f"--step {step}: the plan has steps 1 to {steps} of {batch_rows} rows (trainer.batch_rows)")
    rows = trace(run.path, step - 1, batch_rows)
    losses = losses_of(run.path / "train", (step - 1) * batch_rows, step * batch_rows)
    for row in rows:
        row |= losses.get(row["sample"], UNKNOWN)
        if text:
            _add_text(run.path, row)
    return {"run": str(run_path), "step": step, "batch_rows": batch_rows, "rows": rows}


def _add_text(run: Path, row: dict[str, Any]) -> None:
    from gristmill.flows.inspect.row_text import row_texts

    texts = row_texts(run, row["domain"], row["row"], row["documents"])
    row["documents"] = [{**one, "text": text} for one, text in zip(row["documents"], texts, strict=True)]


@names_damage
def trace_document(run_path: Path, name: str) -> dict[str, Any]:
    """Every step, row and epoch in which a document is, from the plan and the index of pieces.

    Parameters
    ----------
    name : a doc_id, the beginning of one, a locator, or the id that the input gave

    Returns
    -------
    run, doc_id, verdict, domain, batch_rows; pieces: row and slice of each; steps: step, sample, epoch, row, slice in
    order of training. Both lists are empty for a document of which nothing is trained on; verdict tells why

    Raises
    ------
    AmbiguousNameError : several doc_ids begin with the name
    UnknownNameError : no document has the name
    StoreError : the run has no index of pieces
    """
    run = RunDir.open(run_path)
    recipe = _recipe(run)
    batch_rows = batch_rows_of(recipe)
    found = pieces_of(run.path, recipe.domains, name) if is_prefix(name) else None
    about = {} if found else _looked_up(run_path, name)
    found = found or pieces_of(run.path, recipe.domains, about["doc_id"])
    if found:
        steps = steps_of(plan_of(run.path), found, batch_rows)
        places = zip(found.pieces.row.tolist(), found.pieces.slice.tolist(), strict=True)
        pieces = [{"row": row, "slice": place} for row, place in places]
        about = {"doc_id": found.doc_id, "verdict": "kept", "domain": found.domain, "pieces": pieces, "steps": steps}
    return {"run": str(run_path), "batch_rows": batch_rows, **about}


def _looked_up(run_path: Path, name: str) -> dict[str, Any]:
    """A document that is not among the training rows, or is not named by its doc_id: the long way, by its history."""
    history = explain_document(run_path, name)
    heldout = any(row["stage"] == "heldout" for row in history["rows"])
    verdict = "heldout" if heldout else history["verdict"]
    return {"doc_id": history["doc_id"], "verdict": verdict, "domain": None, "pieces": [], "steps": []}


def _recipe(run: RunDir) -> Recipe:
    path = run.path / "recipe.toml"
    return stored_recipe(read_recipe(path), str(path))
