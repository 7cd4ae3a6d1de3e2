"""Rank signals by how well they tell a better corpus from a worse one, and say where they part.

FineWeb's method (arXiv 2406.17557, section 3.6): the distance between a signal's two distributions finds the rules
worth trying; the threshold is a proposal for ``gristmill whatif``, not a verdict.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Separation:
    """How one signal separates two corpora."""

    distance: float  # Wasserstein-1, in standard deviations of both corpora together
    median_better: float
    median_worse: float
    side: str  # at_least or at_most: the bound that keeps the better corpus
    threshold: float  # where the two distribution functions differ most
    lost_better: float  # share of each corpus that the bound would drop
    lost_worse: float


RANKING = pa.schema(
    [
        pa.field("signal", pa.string(), False),
        pa.field("distance", pa.float64(), False),
        pa.field("median_better", pa.float64(), False),
        pa.field("median_worse", pa.float64(), False),
        pa.field("side", pa.string(), False),
        pa.field("threshold", pa.float64(), False),
        pa.field("lost_better", pa.float64(), False),
        pa.field("lost_worse", pa.float64(), False),
    ]
)


def rank_signals(better: pa.Table, worse: pa.Table) -> pa.Table:
    """Signals of two corpora, the most telling first.

    Parameters
    ----------
    better, worse : the same double columns, one row per document; other columns are left aside

    Returns
    -------
    Table of ``RANKING``, by falling distance, then by name

    Raises
    ------
    SchemaError : a corpus is empty, or a signal is missing in one of them
    """
    names = [field.name for field in better.schema if pa.types.is_floating(field.type)]
    missing = [name for name in names if name not in worse.column_names]
    if missing:
        raise SchemaError(f"the worse corpus has no signal {missing[0]!r}; both need the same")
    for side, table in (("better", better), ("worse", worse)):
        if table.num_rows == 0:
            raise SchemaError(f"the {side} corpus has no documents; nothing can be compared")
    found = [{"signal": name, **asdict(separate(better[name].to_numpy(), worse[name].to_numpy()))} for name in names]
    return in_order([pa.Table.from_pylist(found, RANKING)])


def in_order(tables: Sequence[pa.Table]) -> pa.Table:
    """Rankings of different signals as one."""
    return pa.concat_tables(tables).sort_by([("distance", "descending"), ("signal", "ascending")])


def separate(better: np.ndarray, worse: np.ndarray) -> Separation:
    """How one signal separates two corpora.

    Parameters
    ----------
    better, worse : double[n] and double[m], finite, neither empty

    >>> separate(np.array([3.0, 4.0]), np.array([1.0, 2.0])).threshold
    3.0
    """
    values = np.unique(np.concatenate([better, worse]))
    below = [np.searchsorted(np.sort(side), values, "right") / len(side) for side in (better, worse)]
    gaps = below[1] - below[0]  # > 0: there the worse corpus has more small values
    deviation = float(np.concatenate([better, worse]).std())
    distance = float(np.abs(gaps[:-1]) @ np.diff(values)) / deviation if deviation else 0.0
    at = int(np.abs(gaps).argmax())
    keeps_large = gaps[at] > 0  # then values up to this one go; the last gap is 0, so there is a next value
    lost = [float(side[at] if keeps_large else 1 - side[at]) for side in below]
    return Separation(
        distance=distance,
        median_better=float(np.median(better)),
        median_worse=float(np.median(worse)),
        side="at_least" if keeps_large else "at_most",
        threshold=float(values[at + 1] if keeps_large else values[at]),
        lost_better=lost[0],
        lost_worse=lost[1],
    )
