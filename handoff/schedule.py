"""The schedule of a plan: segments of integer shares, cut into pieces within which the shares are constant.

Shares count in units of 2^-32, so that every machine computes the same order. A ramp becomes a staircase of
at most 1,024 steps: no share then jumps by more than a thousandth of the ramp's whole change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gristmill.handoff._kernels_turns import ONE

MAX_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples up to ``stop``; shares go linearly from ``first`` to ``last`` (equal: constant), each summing to ONE."""

    stop: int
    first: tuple[int, ...]
    last: tuple[int, ...]


class Pieces(NamedTuple):
    """Constant shares: ``starts int64[n + 1]`` (samples), ``weights int64[n, n_domains]``."""

    starts: np.ndarray
    weights: np.ndarray


def pieces(segments: Sequence[Segment]) -> Pieces:
    """The staircase of a schedule.

    >>> pieces([Segment(2, (ONE, 0), (ONE, 0)), Segment(4, (ONE, 0), (0, ONE))]).weights // (ONE // 4)
    array([[4, 0],
           [3, 1],
           [1, 3]])
    """
    starts, weights, begin = [np.zeros(1, np.int64)], [], 0
    for segment in segments:
        shares = _staircase(segment, segment.stop - begin)
        starts.append(begin + np.arange(1, len(shares) + 1) * (segment.stop - begin) // len(shares))
        weights.append(shares)
        begin = segment.stop
    return Pieces(np.concatenate(starts), np.concatenate(weights))


def _staircase(segment: Segment, samples: int) -> np.ndarray:
    """The ramp's value in the middle of each step, rounded so that every step sums to ONE."""
    first, last = np.array(segment.first, np.int64), np.array(segment.last, np.int64)
    if (first == last).all():
        return first[None]
    steps = min(samples, MAX_STEPS)
    middle = (2 * np.arange(steps, dtype=np.int64) + 1)[:, None]
    shares, remainder = np.divmod((last - first) * middle, 2 * steps)
    shares += first
    missing = ONE - shares.sum(axis=1)
    order = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return shares + (rank < missing[:, None])


def quantise(shares: Sequence[float]) -> tuple[int, ...]:
    """Shares that sum to about 1 as integers that sum to ONE, by largest remainder; zero stays zero.

    >>> sum(quantise([0.3, 0.7, 0.0])) == ONE, quantise([0.3, 0.7, 0.0])[2]
    (True, 0)
    """
    exact = np.array(shares, np.float64) / np.sum(shares) * ONE
    whole = np.floor(exact).astype(np.int64)
    whole[(whole == 0) & (exact > 0)] = 1  # a share below 2^-32 is still a share
    order = np.argsort(-np.where(exact > 0, exact - whole, -np.inf), kind="stable")
    missing = ONE - int(whole.sum())
    if missing >= 0:
        whole[order[:missing]] += 1
    else:
        whole[np.argmax(whole)] += missing
    return tuple(int(weight) for weight in whole)
