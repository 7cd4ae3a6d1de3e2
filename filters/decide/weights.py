"""kept.weight: how often a kept document is drawn, 1 = as often as the others of its domain. Here alone it is written.

What wants a say gives factors, and they multiply: curves over a signal's percentile are here, those of quotas in
``quotas``. Held-out documents keep weight 1. A domain's weights have mean 1 by bytes: its tokens per epoch stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gristmill.filters.decide.stage import DomainWeights


@dataclass(frozen=True, slots=True)
class Curve:
    """Factors of a domain's documents: straight lines through ``points`` (percentile 0 to 100, factor)."""

    signal: str
    points: tuple[tuple[float, float], ...]


def weighted(kept: pa.Table, sizes: np.ndarray, factors: Iterable[np.ndarray]) -> pa.Table:
    """``kept`` with the product of all ``factors`` as weight.

    Parameters
    ----------
    kept : ``corpus.schema.KEPT``
    sizes : int64[n], bytes of each document
    factors : float64[n] each, 0 and up, 1 where they say nothing

    >>> kept = pa.table({"domain": ["a", "a"], "heldout": [False, False], "weight": pa.array([1, 1], pa.float32())})
    >>> weighted(kept, np.array([1, 1]), [np.array([1.0, 3.0])])["weight"].to_pylist()
    [0.5, 1.5]
    """
    weight = scaled(kept, sizes, np.prod([np.ones(len(kept)), *factors], axis=0))
    place = kept.schema.get_field_index("weight")
    return kept.set_column(place, kept.schema.field(place), pa.array(weight.astype(np.float32)))


def scaled(kept: pa.Table, sizes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """float64[n]: ``factors`` with mean 1 by bytes in each domain; 1 for held-out documents, and where all are 0."""
    weight = factors.copy()
    heldout, domain = kept["heldout"].to_numpy(), kept["domain"].to_numpy()
    weight[heldout] = 1
    for name in np.unique(domain[weight != 1]).tolist():
        at = (domain == name) & ~heldout
        mean = np.average(weight[at], weights=np.maximum(sizes[at], 1))
        weight[at] = weight[at] / mean if mean else 1.0
    return weight


def curve_factors(
    kept: pa.Table, sizes: np.ndarray, values: Mapping[str, np.ndarray], curves: Mapping[str, Curve]
) -> np.ndarray:
    """float64[n]: what the curves of the recipe say of each kept document; 1 without a curve, or without the signal.

    Parameters
    ----------
    sizes : int64[n], bytes of each document
    values : float64[n] by signal, NaN where it was not measured
    curves : by domain
    """
    found = np.ones(len(kept))
    domain, heldout = kept["domain"].to_numpy(), kept["heldout"].to_numpy()
    for name, curve in curves.items():
        at = np.flatnonzero((domain == name) & ~heldout & ~np.isnan(values[curve.signal]))
        points, factors = zip(*curve.points, strict=True)
        found[at] = np.interp(percentiles(values[curve.signal][at], sizes[at]), points, factors)
    return found


def percentiles(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """float64[n], 0 to 100: how much of all bytes lies in documents of lower value, and half of those of the same.

    >>> percentiles(np.array([5.0, 1.0, 5.0]), np.array([1, 2, 1])).tolist()
    [75.0, 25.0, 75.0]
    """
    distinct, place = np.unique(values, return_inverse=True)
    of_each = np.bincount(place, weights=sizes, minlength=len(distinct))
    below = np.cumsum(of_each) - of_each / 2
    return (100 * below / max(of_each.sum(), 1))[place]


def figures(
    kept: pa.Table, values: Mapping[str, np.ndarray], curves: Mapping[str, Curve], names: Sequence[str]
) -> dict[str, DomainWeights]:
    """By domain of ``names`` that has trained documents: what its weights came to."""
    found = {}
    domain, weight = kept["domain"].to_numpy(), kept["weight"].to_numpy()
    for name in names:
        at = (domain == name) & ~kept["heldout"].to_numpy()
        if at.any():
            unmeasured = int(np.isnan(values[curves[name].signal][at]).sum())
            found[name] = DomainWeights(
                curves[name].signal, float(weight[at].min()), float(weight[at].max()), unmeasured
            )
    return found
