"""The S-curve of locality-sensitive hashing: how likely a pair of given similarity becomes a candidate.

Here are the curve and the choice of bands and rows; ``candidates`` puts them to use.
"""

import numpy as np

from gristmill.corpus.errors import RecipeError

CURVE_STEP = 0.05
RECALL = 0.95  # of pairs right at the threshold; docs/decisions/0004 has the figures
MAX_NODES = 256  # exact up to 511 hashes; beyond, the curve is smooth enough for full double precision


def collision_probability(jaccard: float, bands: int, rows: int) -> float:
    """Probability that two documents share at least one of ``bands`` bands of ``rows`` hashes.

    Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2.

    >>> round(collision_probability(0.8, 14, 8), 3)  # FineWeb's scheme
    0.924
    >>> round(collision_probability(0.8, 9, 13), 3)  # RedPajama's "0.8" finds two pairs of five
    0.399
    """
    return 1.0 - (1.0 - jaccard**rows) ** bands


def curve(bands: int, rows: int) -> list[tuple[float, float]]:
    """(jaccard, probability) from 0 to 1 in steps of 0.05, rounded to six places, for the data card."""
    similarities = [round(step * CURVE_STEP, 2) for step in range(round(1 / CURVE_STEP) + 1)]
    return [(s, round(collision_probability(s, bands, rows), 6)) for s in similarities]


def choose_bands(threshold: float, hashes: int) -> tuple[int, int]:
    """(bands, rows) with the most rows that still propose a pair at the ``threshold`` with probability RECALL or more.

    More rows mean fewer candidates, and only recall has to be bought here: every candidate is verified, so a pair
    that is proposed in vain costs 50 microseconds and a pair that is not proposed is lost. All hashes are used that
    make a whole band. When no scheme reaches RECALL, that of one row comes closest.

    Parameters
    ----------
    threshold : Jaccard similarity, above 0 and at most 1
    hashes : length of a signature, 1 or more

    Raises
    ------
    RecipeError : a value out of range

    >>> choose_bands(0.8, 128), choose_bands(0.7, 256)
    ((18, 7), (36, 7))
    """
    _check(threshold, hashes)
    schemes = [(hashes // rows, rows) for rows in range(hashes, 0, -1)]
    return next((scheme for scheme in schemes if collision_probability(threshold, *scheme) >= RECALL), (hashes, 1))


def balanced_bands(threshold: float, hashes: int) -> tuple[int, int]:
    """(bands, rows) that minimise false positives below ``threshold`` plus false negatives above it.

    Both are areas under the curve and weigh the same, as in datasketch, whose choice this equals: right where
    candidates are believed unseen, and what other systems' published schemes are to be compared with.
    bands x rows may leave some hashes unused.

    Raises
    ------
    RecipeError : a value out of range

    >>> balanced_bands(0.7, 256), balanced_bands(0.8, 128)
    ((25, 10), (9, 13))
    """
    _check(threshold, hashes)
    schemes = [(bands, rows) for bands in range(1, hashes + 1) for rows in range(1, hashes // bands + 1)]
    errors = _errors(np.array(schemes, np.float64), threshold, hashes)
    return schemes[int(np.argmin(errors))]


def _check(threshold: float, hashes: int) -> None:
    check_threshold(threshold)
    if hashes < 1:
        raise RecipeError(f"dedup.near.hashes = {hashes}: a signature needs at least one hash")


def check_threshold(threshold: float) -> None:
    """Raise RecipeError unless 0 < threshold <= 1."""
    if not 0.0 < threshold <= 1.0:
        raise RecipeError(f"dedup.near.threshold = {threshold}: a Jaccard similarity above 0 and at most 1 is expected")


def _errors(schemes: np.ndarray, threshold: float, hashes: int) -> np.ndarray:
    """False positive plus false negative area of each (bands, rows).

    The integrand is a polynomial of degree bands x rows <= hashes, which Gauss-Legendre quadrature
    with hashes // 2 + 1 nodes integrates exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss(min(hashes // 2 + 1, MAX_NODES))
    errors = np.zeros(len(schemes))
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        below, above = threshold * node, threshold + (1 - threshold) * node
        errors += weight * threshold * _collide(schemes, below)
        errors += weight * (1 - threshold) * (1 - _collide(schemes, above))
    return errors


def _collide(schemes: np.ndarray, jaccard: float) -> np.ndarray:
    return 1.0 - (1.0 - jaccard ** schemes[:, 1]) ** schemes[:, 0]
