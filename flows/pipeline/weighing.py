"""Weights of kept documents, from what the recipe says of them: curves of signals, then quotas of types."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.tables import read_part
from gristmill.corpus.whole_columns import whole

if TYPE_CHECKING:
    from gristmill.filters.decide.quotas import Quotas
    from gristmill.filters.decide.stage import DomainWeights, Quota
    from gristmill.filters.decide.weights import Curve


class Weighing(NamedTuple):
    """What the recipe says of weights: curves by domain, quotas by type with the histograms of types of every part."""

    curves: "Mapping[str, Curve]"
    quotas: "Quotas | None"
    types: "Sequence[Path]"


def weigh(
    kept: pa.Table, documents: pa.Table, signals: pa.Table, asked: Weighing
) -> "tuple[pa.Table, dict[str, DomainWeights], dict[str, Quota]]":
    """The kept documents with the weights of all that has a say in them, and these weights and quotas in figures.

    Parameters
    ----------
    documents : part, row and bytes of every document
    signals : every signal of every document, in the same order
    """
    from gristmill.filters.decide.weights import curve_factors, figures, weighted

    if not asked.curves and not asked.quotas:
        return kept, {}, {}
    at = np.searchsorted(documents["part"].to_numpy(), kept["part"].to_numpy()) + kept["row"].to_numpy()
    sizes = documents["bytes"].to_numpy()[at]
    values = {one.signal: signals[one.signal].to_numpy()[at] for one in asked.curves.values()}
    factors = [curve_factors(kept, sizes, values, asked.curves)]
    quotas = {}
    if asked.quotas:
        raised, quotas = meet_quotas(kept, sizes, factors[0], at, asked)
        factors.append(raised)
    kept = weighted(kept, sizes, factors)
    return kept, figures(kept, values, asked.curves, list(asked.curves)), quotas


def meet_quotas(
    kept: pa.Table, sizes: np.ndarray, before: np.ndarray, at: np.ndarray, asked: Weighing
) -> "tuple[np.ndarray, dict[str, Quota]]":
    """Factors of kept documents for quotas, and how far they come.

    Parameters
    ----------
    before : float64[n], the other factors
    at : int64[n], places of kept documents among all
    """
    from gristmill.filters.decide.quotas import naming, quota_factors, quota_figures
    from gristmill.filters.decide.weights import scaled

    assert asked.quotas is not None
    types = pa.concat_tables([read_part(path, ["types"]) for path in asked.types])["types"]
    trained = ~kept["heldout"].to_numpy()
    places = naming(whole(types).take(pa.array(at)), trained, asked.quotas.documents)
    raised = quota_factors(kept, sizes, before, places, asked.quotas)
    without, weight = (scaled(kept, sizes, factor) for factor in (before, before * raised))
    return raised, quota_figures(places, without, weight, asked.quotas)
