"""Population stability index: how far two samples are apart, over bins that were fixed before either was seen."""

import numpy as np

BINS = 10
_HALF = 0.5  # a document, given to every bin: an empty bin is no infinite distance


def bin_edges(values: np.ndarray) -> list[float]:
    """Edges that cut ``values double[n]`` into ``BINS`` bins of equal counts, ties apart; fewer where values repeat.

    >>> bin_edges(np.array([0.0] * 90 + [5.0] * 10))
    [0.0]
    """
    known = values[~np.isnan(values)]
    steps = np.linspace(0, 1, BINS + 1)[1:-1]
    return np.unique(np.quantile(known, steps, method="lower")).tolist() if len(known) else []


def bin_counts(values: np.ndarray, edges: list[float]) -> list[int]:
    """Documents in each bin, upper edges included; the last bin holds those without a value.

    >>> bin_counts(np.array([0.0, 0.0, 5.0, np.nan]), [0.0])
    [2, 1, 1]
    """
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return [*counts.tolist(), len(values) - len(known)]


def stability_index(now: np.ndarray, before: np.ndarray) -> float:
    """Sum of (p - q) ln(p / q) over bins, without what two samples of one population come to on average.

    Parameters
    ----------
    now, before : int64[n_bins], documents in each bin; neither sample is empty

    Returns
    -------
    About 0 for equal populations, below it by chance as often as above; 0.1 is by custom a moderate change, 0.25 a
    large one

    Source
    ------
    Yurdakul 2018, "Statistical properties of the population stability index": the index of two equal samples is
    (bins - 1)(1/n1 + 1/n2) on average.

    >>> even = np.array([500, 500])
    >>> round(stability_index(even, even), 4), round(stability_index(np.array([800, 200]), even), 2)
    (-0.002, 0.41)
    """
    there = (now + before) > 0
    sides = [side[there] + _HALF for side in (now, before)]
    p, q = (side / side.sum() for side in sides)
    by_chance = (len(p) - 1) * (1 / now.sum() + 1 / before.sum())
    return float(((p - q) * np.log(p / q)).sum() - by_chance)
