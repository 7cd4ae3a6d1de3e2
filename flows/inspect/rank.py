"""``gristmill rank``: which signals tell the better part of a run's corpus from the worse one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import RecipeError, UnknownNameError
from gristmill.flows.inspect.run_evidence import gather_run, known_signals, read_signals
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.open_context import read_run

_SIGNALS_AT_ONCE = 16  # columns in memory: 128 bytes a document


@names_damage
def rank_run(run: Path, better: Sequence[str], worse: Sequence[str]) -> dict[str, Any]:
    """Signals by the distance between their distributions in two parts of a run.

    Parameters
    ----------
    run : a run directory that has come as far as clusters
    better, worse : names of sources or domains; a document may not stand on both sides

    Returns
    -------
    documents (better, worse), ranking (rows of ``gristmill.filters.decide.ranking.RANKING``, the most telling first)

    Raises
    ------
    RecipeError : a side is empty, or both hold the same documents
    UnknownNameError : neither a source nor a domain of this run
    """
    from gristmill.filters.decide.ranking import in_order, rank_signals

    context = read_run(run)
    documents = gather_run(context, []).documents
    sides = [_rows(context, documents, names) for names in (better, worse)]
    both = int((sides[0] & sides[1]).sum())
    if both or not all(side.any() for side in sides):
        problem = f"{both} documents are on both sides" if both else "a side has no documents"
        raise RecipeError(f"{problem}; name different sources or domains as better and as worse")
    ranked = []
    known = list(known_signals(context))
    for first in range(0, len(known), _SIGNALS_AT_ONCE):
        signals = read_signals(context, known[first : first + _SIGNALS_AT_ONCE])
        ranked.append(rank_signals(*(signals.filter(pa.array(side)) for side in sides)))
    counts = {"better": int(sides[0].sum()), "worse": int(sides[1].sum())}
    return {"documents": counts, "ranking": in_order(ranked).to_pylist()}


def _rows(context: RunContext, documents: pa.Table, names: Sequence[str]) -> np.ndarray:
    """bool[n_docs]: of one of the sources or domains."""
    known = {*context.recipe.domains, *(source.name for source in context.recipe.sources)}
    for name in names:
        if name not in known:
            raise UnknownNameError("source or domain", name, known)
    columns = [documents[column].to_numpy() for column in ("source", "domain")]
    return np.isin(columns[0], list(names)) | np.isin(columns[1], list(names))
