"""Factors of kept documents for [knowledge.quotas]: documents that name a type under its quota are drawn more often.

A quota is a number of documents that name an entity of the type, in one pass over the corpus, each counted as often as
its weight says. A type that has as many is saturated, and raises nothing. The others raise their documents together,
those that are furthest from their quota first, up to ``most`` times; then a domain's weights are scaled to its bytes
again, which takes from what was saturated, and the next round begins. Rounds end when nothing is raised any more.
Which types a document names is written by ``knowledge``; tokens that a domain has an epoch stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.filters.decide.stage import Quota
from gristmill.filters.decide.weights import scaled

ROUNDS = 100  # at most; an unreachable quota raises its documents to ``most``, and is reported
NEAR = 1 - 1e-3  # a quota is reached from here: weights are float32, and rounds end


@dataclass(frozen=True, slots=True)
class Quotas:
    """What the recipe asks: documents by type, and how much oftener a document may be drawn for them."""

    documents: Mapping[str, int]
    most: float


def naming(types: pa.Array | pa.ChunkedArray, trained: np.ndarray, names: Mapping[str, int]) -> dict[str, np.ndarray]:
    """By type of ``names``: places of the documents that name it and are trained on, int64 each.

    Parameters
    ----------
    types : list<struct<type, mentions, entities>>, of each kept document
    trained : bool[n], not held out

    >>> lists = pa.array([[{"type": "Q5"}], [], [{"type": "Q5"}]])
    >>> naming(lists, np.array([True, True, False]), {"Q5": 3})["Q5"].tolist()
    [0]
    """
    parents = pc.list_parent_indices(types).to_numpy()
    kinds = pc.struct_field(pc.list_flatten(types), "type")
    places = {name: parents[pc.equal(kinds, name).to_numpy(zero_copy_only=False)] for name in names}
    return {name: at[trained[at]] for name, at in places.items()}


def quota_factors(
    kept: pa.Table, sizes: np.ndarray, before: np.ndarray, places: Mapping[str, np.ndarray], quotas: Quotas
) -> np.ndarray:
    """float64[n], 1 to ``quotas.most``: how much oftener each kept document is drawn for the quotas.

    Parameters
    ----------
    kept : ``corpus.schema.KEPT``
    sizes : int64[n], bytes of each document
    before : float64[n], the product of all other factors
    places : from ``naming``

    >>> kept = pa.table({"domain": ["a"] * 4, "heldout": [False] * 4})
    >>> of_type = {"Q5": np.array([0])}
    >>> quota_factors(kept, np.ones(4), np.ones(4), of_type, Quotas({"Q5": 2}, 9.0)).round(1).tolist()
    [3.0, 1.0, 1.0, 1.0]
    """
    factor = np.ones(len(kept))
    for _ in range(ROUNDS):
        weight = scaled(kept, sizes, before * factor)
        counts = {name: weight[at].sum() for name, at in places.items()}
        under = [name for name in places if 0 < counts[name] < quotas.documents[name] * NEAR]
        raised = factor.copy()
        for name in sorted(under, key=lambda one: (counts[one] / quotas.documents[one], one)):
            at = places[name]
            count = (weight[at] * raised[at] / factor[at]).sum()  # with what other types raised in this round
            if count < quotas.documents[name]:
                raised[at] = np.minimum(raised[at] * quotas.documents[name] / count, quotas.most)
        if np.array_equal(raised, factor):
            break
        factor = raised
    return factor


def quota_figures(
    places: Mapping[str, np.ndarray], before: np.ndarray, weight: np.ndarray, quotas: Quotas
) -> dict[str, Quota]:
    """By type: documents that name it, how many are drawn in a pass before and after, and whether that is enough.

    Parameters
    ----------
    before, weight : float64[n], weights without the quotas and with them
    """
    found = {}
    for name, at in places.items():
        asked, drawn = quotas.documents[name], float(weight[at].sum())
        found[name] = Quota(asked, len(at), round(float(before[at].sum()), 3), round(drawn, 3), drawn >= asked * NEAR)
    return found
