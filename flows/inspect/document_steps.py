"""Where a document is in the training: from the index of pieces and the plan alone, before or after training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gristmill.corpus.errors import AmbiguousNameError, StoreError
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.handoff.piece_index import PieceIndex, Pieces, doc_ids_of, index_path
from gristmill.handoff.plan import Plan


@dataclass(frozen=True, slots=True)
class DocumentPieces:
    """A document's pieces among the packed rows of its domain."""

    doc_id: str
    domain: str
    pieces: Pieces


def pieces_of(run: Path, domains: tuple[str, ...], prefix: str) -> DocumentPieces | None:
    """The one document of the training rows whose doc_id begins so; None when there is none.

    Parameters
    ----------
    run : a run directory
    domains : of its recipe
    prefix : lower-case hex characters, up to 32

    Raises
    ------
    AmbiguousNameError : several documents
    StoreError : the run has no index of pieces, or it is damaged
    """
    found = {domain: PieceIndex(index_path(run, domain)).find(prefix) for domain in domains}
    ids = {doc_id: domain for domain, pieces in found.items() for doc_id in doc_ids_of(pieces)}
    if len(ids) > 1:
        raise AmbiguousNameError("document", prefix, ids)
    return next((DocumentPieces(doc_id, domain, found[domain]) for doc_id, domain in ids.items()), None)


def steps_of(plan: Plan, document: DocumentPieces, batch_rows: int) -> list[dict[str, Any]]:
    """Step, sample, epoch, row and slice of each time that a piece is trained on, in order of training.

    Steps count from 1, as the trainer's log and the sentences of verify do.

    Empty where the plan leaves the document's domain out. ``slice`` counts the documents of the row.
    """
    if document.domain not in plan.names:
        return []
    rows = document.pieces.row.astype(np.int64)  # ascending, as all pieces of one document are
    draws = plan.draws(plan.names.index(document.domain), rows)
    first, last = (np.searchsorted(rows, draws.row, side=side) for side in ("left", "right"))
    each = np.repeat(np.arange(len(draws.row)), last - first)  # a row may hold two pieces of the document
    piece = first[each] + np.arange(len(each)) - np.searchsorted(each, each)
    columns = {
        "step": draws.sample[each] // batch_rows + 1,
        "sample": draws.sample[each],
        "epoch": draws.epoch[each],
        "row": draws.row[each],
        "slice": document.pieces.slice[piece],
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]


def batch_rows_of(recipe: Recipe) -> int:
    """Rows of a step; without a trainer each row is a step."""
    return recipe.trainer.batch_rows if recipe.trainer else 1


def plan_of(run: Path) -> Plan:
    """The plan of a run directory; StoreError when the run has not come that far."""
    if not (run / "plan").is_dir():
        raise StoreError(f"{run} has no plan yet; `gristmill run` its recipe first")
    return Plan.load(run / "plan")
