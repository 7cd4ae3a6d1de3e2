"""Takedown in the other runs of a home that hold the same documents, before the one that was named."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.home_contents import Home
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.open_context import read_run

TakeDown = Callable[[Path, Sequence[str]], dict[str, Any]]


def take_down_in_others(
    run: RunDir, doc_ids: Sequence[str], stopped: Callable[[RunDir], list[str]], take_down: TakeDown
) -> dict[str, Any]:
    """Call ``take_down`` for every other run of the home that has one of the documents, or in which a call was killed.

    Parameters
    ----------
    stopped : the names of a takedown that was killed in a run; none where none was

    Returns
    -------
    by the path of the run: how many documents were removed, or why nothing was
    """
    home, found = Home.of(run), dict[str, Any]()
    for other in home.runs if home else ():
        if other.path.resolve() == run.path.resolve():
            continue
        try:
            names = sorted({*_held(read_run(other.path, first_format=True), doc_ids), *stopped(other)})
            if names:
                found[str(other.path)] = {"removed": len(take_down(other.path, names)["removed"])}
        except (GristmillError, OSError, ValueError) as error:
            found[str(other.path)] = {"removed": 0, "problem": str(error)}
    return found


def _held(context: RunContext, doc_ids: Sequence[str]) -> set[str]:
    """Those of the documents that a run has."""
    wanted, found = pa.array(sorted(set(doc_ids)), pa.string()), set()
    for part in context.run.manifest("documents").parts if context.run.has("documents") else ():
        ids = read_part(context.store.folder(part) / DOCUMENTS_FILE, ["doc_id"])["doc_id"]
        found |= set(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())
    return found
