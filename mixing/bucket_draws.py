"""How often an epoch of a domain draws each of its buckets, and from when on: pace and weights in whole rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.handoff.buckets import Buckets

# by name: the share of an epoch from which on a bucket may be drawn, of the share of the epoch's rows before it
PACES: Mapping[str, Callable[[float], float]] = {
    "linear": lambda before: before,  # one bucket after the other
    "root": lambda before: before**2,  # at sqrt(t) of the way at share t: hard rows come in early, and are spread
}
TOGETHER = ""  # no pace: all buckets from the start on


@dataclass(frozen=True, slots=True)
class PackedBucket:
    """A bucket as it was packed: its rows, its place in the order of difficulty, and how often a row is drawn.

    ``weight`` 2 is twice as often as 1; only the proportions of a domain's buckets count. ``low`` and ``high`` are the
    signal's values in it, None where the domain has no order.
    """

    rows: int
    group: int = 0
    weight: float = 1.0
    low: float | None = None
    high: float | None = None


def buckets_of(packed: Sequence[PackedBucket], pace: str) -> Buckets:
    """What an epoch draws: as many rows as there are, of each bucket in proportion to rows * weight.

    Parameters
    ----------
    packed : in order of group
    pace : a name in ``PACES``, or "": all groups from the start on

    Source: Platanios et al. 2019, Competence-based Curriculum Learning, for the two paces. They draw with replacement;
    here every row of weight 1 is drawn once per epoch, evenly among the buckets that may be drawn.

    >>> buckets_of([PackedBucket(4, 0), PackedBucket(4, 1)], "linear").draws
    ((4, 0), (0, 4))
    >>> buckets_of([PackedBucket(4, 0), PackedBucket(4, 1)], "root").draws
    ((2, 0), (2, 4))
    >>> buckets_of([PackedBucket(4, weight=0.5), PackedBucket(4, weight=1.5)], "").draws
    ((2, 6),)
    """
    rows = np.array([one.rows for one in packed], np.int64)
    left = shared_out(int(rows.sum()), rows * np.array([one.weight for one in packed]))
    group = np.array([one.group for one in packed])
    opened, draws, position = _opening(left, group, pace), [], 0
    for number, begin in enumerate(opened):
        end = opened[number + 1][0] if number + 1 < len(opened) else int(rows.sum())
        if end > position:
            given = shared_out(end - position, np.where(group <= begin[1], left, 0))
            left, position = left - given, end
            draws.append(tuple(given.tolist()))
    return Buckets(tuple(rows.tolist()), tuple(draws))


@dataclass(frozen=True, slots=True)
class BucketDraw:
    """What an epoch of a domain draws of some of its rows: buckets of one group, or of one weight.

    ``low`` to ``high`` are values of the signal that orders the domain, None where none does. The rows come from the
    share ``opens`` of an epoch on, each ``times`` on average.
    """

    rows: int
    low: float | None
    high: float | None
    opens: float
    times: float


def bucket_draws(packed: Sequence[PackedBucket], pace: str) -> tuple[BucketDraw, ...]:
    """By group of difficulty where there are several, else by bucket, which then have different weights.

    >>> bucket_draws([PackedBucket(4, low=1, high=2), PackedBucket(4, 1, low=2, high=9)], "linear")[1]
    BucketDraw(rows=4, low=2, high=9, opens=0.5, times=1.0)
    """
    if not packed:
        return ()
    draws = np.array(buckets_of(packed, pace).draws)
    begins = np.cumsum(draws.sum(axis=1)) - draws.sum(axis=1)
    groups = np.array([one.group for one in packed])
    kinds = groups if groups.max() else np.arange(len(packed))
    parts = [kinds == one for one in np.unique(kinds)]
    found = []
    for part in parts:
        chosen = [one for one, inside in zip(packed, part, strict=True) if inside]
        given, rows = draws[:, part].sum(axis=1), sum(one.rows for one in chosen)
        low = min((one.low for one in chosen if one.low is not None), default=None)
        high = max((one.high for one in chosen if one.high is not None), default=None)
        opens = float(begins[np.argmax(given > 0)] / draws.sum()) if given.any() else 1.0
        found.append(BucketDraw(rows, low, high, opens, float(given.sum() / max(rows, 1))))
    return tuple(found)


def _opening(of_epoch: np.ndarray, group: np.ndarray, pace: str) -> list[tuple[int, int]]:
    """The position from which on each group may be drawn, in order; with the group."""
    if pace == TOGETHER:
        return [(0, int(group.max()))]
    total = int(of_epoch.sum())
    before = {one: int(of_epoch[group < one].sum()) for one in np.unique(group).tolist()}
    return [(int(np.ceil(PACES[pace](n / total) * total - 1e-9)), one) for one, n in before.items()]


def shared_out(whole: int, parts: np.ndarray) -> np.ndarray:
    """``whole`` in integers in proportion to ``parts`` (0 and up, one above 0), by largest remainder: int64[n].

    Integer parts of a sum no smaller than ``whole`` get at most themselves.

    >>> shared_out(5, np.array([1, 1, 1])).tolist()
    [2, 2, 1]
    """
    exact = whole * (parts / parts.sum())
    found = np.floor(exact + 1e-9).astype(np.int64)
    most = np.where(parts > 0, exact - found, -np.inf)
    found[np.argsort(-most, kind="stable")[: whole - int(found.sum())]] += 1
    return found
