"""Length classes: documents that cost about the same, for packing, attention and serving alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NAMES = ("S", "M", "L", "XL")


class Classes(NamedTuple):
    """``size`` int64 [n]: the first limit that holds a length. ``group`` int64 [n]: lengths of a group are alike."""

    size: np.ndarray
    group: np.ndarray


def classes(lengths: np.ndarray, limits: Sequence[int], tolerance: float = 0.10) -> Classes:
    """The class of each length, and groups within it.

    Parameters
    ----------
    lengths : integers [n], 0 to the last limit
    limits : ascending, the longest of each class; see ``limits_of``
    tolerance : in a group the longest is at most so much longer than the shortest, as a share of it

    Returns
    -------
    Classes : groups are numbered in order of length, and none reaches over a limit

    Raises
    ------
    ValueError : a length lies beyond the last limit, or limits do not rise

    >>> found = classes(np.array([100, 12, 109, 111, 13]), limits_of(128))
    >>> found.size.tolist(), found.group.tolist()
    ([3, 0, 3, 3, 0], [1, 0, 1, 2, 0])
    """
    lengths, bounds = np.asarray(lengths, np.int64), np.asarray(limits, np.int64)
    if (np.diff(bounds) <= 0).any() or (len(lengths) and lengths.max() > bounds[-1]):
        raise ValueError(f"limits {list(limits)} do not rise, or do not reach the longest of the lengths")
    size = np.searchsorted(bounds, lengths)
    distinct, of = np.unique(lengths, return_inverse=True)
    groups, group, shortest, last = np.empty(len(distinct), np.int64), -1, -1, -1
    sizes = np.searchsorted(bounds, distinct)
    for place, (length, kind) in enumerate(zip(distinct.tolist(), sizes.tolist(), strict=True)):
        if kind != last or length > shortest * (1 + tolerance):
            group, shortest, last = group + 1, length, kind
        groups[place] = group
    return Classes(size, groups[of])


def limits_of(row_tokens: int) -> tuple[int, ...]:
    """The longest of S, M, L and XL: an eighth, a quarter, half and all of a row of at least 8.

    >>> limits_of(1024)
    (128, 256, 512, 1024)
    """
    return tuple(max(row_tokens // share, 1) for share in (8, 4, 2, 1))
