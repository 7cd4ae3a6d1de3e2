"""Two mixtures by paired runs: their difference with its interval, and how many runs would settle which is better."""

import math
from dataclasses import dataclass

import numpy as np

LEVEL = 0.9
_Z = 1.6448536
# 95 % quantiles of Student's t, for an interval of 90 %; from 10 degrees on by the expansion below, right to 0.002
_T = (6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946, 1.8595, 1.8331)
MOST_PAIRS = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean of ``pairs`` differences, and half of its 90 % interval; bits per byte, below 0: the first is better.

    ``pairs_needed``: how many would tell a difference of this size, if it is real; None where it is none.
    """

    difference: float
    half_width: float
    pairs: int
    pairs_needed: int | None

    @property
    def distinguished(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.difference) > self.half_width

    def sentence(self, first: str, second: str) -> str:
        """The answer in words."""
        size = f"{self.difference:+.4f} +- {self.half_width:.4f} bits per byte (90 %, {self.pairs} pairs)"
        if self.distinguished:
            better = first if self.difference < 0 else second
            return f"{better} is better: {first} less {second} is {size}"
        more = f"; about {self.pairs_needed} pairs would tell" if self.pairs_needed else ""
        return f"{first} and {second} cannot be distinguished with {2 * self.pairs} runs: {size}{more}"


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare paired runs.

    Parameters
    ----------
    first, second : float[n_pairs], two or more; the runs of a pair have the same seed

    >>> compare(np.array([1.0, 1.1, 1.2]), np.array([2.0, 2.0, 2.3])).sentence("a", "b")
    'a is better: a less b is -1.0000 +- 0.1686 bits per byte (90 %, 3 pairs)'
    """
    apart = first - second
    n, mean, spread = len(apart), float(apart.mean()), float(apart.std(ddof=1))
    return Comparison(mean, t_quantile(n - 1) * spread / math.sqrt(n), n, _needed(mean, spread))


def t_quantile(freedom: int) -> float:
    """The 95 % quantile of Student's t, 1 degree of freedom and up.

    >>> round(t_quantile(30), 3)
    1.697
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = _Z
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _needed(mean: float, spread: float) -> int | None:
    """The fewest pairs whose interval would leave out 0."""
    if not mean:
        return None
    for n in range(2, MOST_PAIRS):
        if t_quantile(n - 1) * spread / math.sqrt(n) < abs(mean):
            return n
    return None
