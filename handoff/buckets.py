"""Rows of a domain in buckets, and the order in which the buckets give theirs: a pure function of the draw's number.

An epoch is cut into stretches; in each, every bucket gives a stated number of rows, at every prefix of the stretch
within less than one row of its even share. What decides these numbers stands in ``gristmill.mixing.bucket_draws``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gristmill.handoff import _kernels_buckets
from gristmill.handoff.failures import PlanError

STRIDE = 8192  # positions between marks: 8 buckets of 10^9 rows take 7.8 MB, and a walk between two 0.2 ms
MOST_ROWS = 1 << 31  # the kernel's products of two counts stay below 2^63
NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rows of each bucket, which follow each other in the shards, and what each gives in every stretch of an epoch."""

    rows: tuple[int, ...]
    draws: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Buckets":
        """From the plan's JSON."""
        return cls(tuple(value["rows"]), tuple(map(tuple, value["draws"])))

    def to_json(self) -> dict[str, Any]:
        """As it stands in the plan."""
        return {"rows": list(self.rows), "draws": [list(stretch) for stretch in self.draws]}

    @property
    def mark_shape(self) -> tuple[int, int]:
        """Of the marks of its order."""
        return -(-sum(map(sum, self.draws)) // STRIDE), len(self.rows)

    def check(self, name: str, rows: int) -> None:
        """Refuse buckets that are not the domain's rows, or cannot be drawn.

        Raises
        ------
        PlanError : names the domain
        """
        whole = [min(stretch) >= 0 < sum(stretch) for stretch in self.draws if len(stretch) == len(self.rows)]
        given = any(n and not held for stretch in self.draws for n, held in zip(stretch, self.rows, strict=False))
        if sum(self.rows) != rows or not whole or not all(whole) or len(whole) < len(self.draws) or given:
            raise PlanError(f"mixing.order.{name}: the buckets do not fit the domain's {rows} rows")
        if max(rows, sum(map(sum, self.draws))) >= MOST_ROWS:
            raise PlanError(f"mixing.order.{name}: {rows} rows are more than {MOST_ROWS - 1}; use longer rows")


class Drawn(NamedTuple):
    """Draws of a domain: ``bucket int64[n]``, and ``ordinal int64[n]``, how many rows that bucket gave before."""

    bucket: np.ndarray
    ordinal: np.ndarray


class BucketOrder:
    """The order of one domain's buckets.

    Parameters
    ----------
    marks : int64[n, B], rows of each bucket before every ``STRIDE``-th position of an epoch; walked for when None,
        some 25 ns for each row
    """

    def __init__(self, buckets: Buckets, marks: np.ndarray | None = None):
        self._draws = np.array(buckets.draws, np.int64)
        self._stops = np.append(0, np.cumsum(self._draws.sum(axis=1)))
        self.epoch = int(self._stops[-1])  # rows that an epoch of the domain gives
        self.of_epoch = self._draws.sum(axis=0)  # int64[B]: of them from each bucket
        self.marks = self._walked() if marks is None else marks

    def _walked(self) -> np.ndarray:
        marks = np.zeros((-(-self.epoch // STRIDE), len(self.of_epoch)), np.int64)
        self._walk(0, 0, self.epoch, np.zeros(len(self.of_epoch), np.int64), marks=marks)
        return marks

    def _walk(
        self,
        begin: int,
        start: int,
        stop: int,
        counts: np.ndarray,
        drawn: Drawn = Drawn(NOTHING, NOTHING),  # noqa: B008  empty, and never written
        marks: np.ndarray = np.empty((0, 0), np.int64),  # noqa: B008
    ) -> None:
        _kernels_buckets.draw(self._stops, self._draws, begin, start, stop, counts, *drawn, marks, STRIDE)

    def draw(self, start: int, stop: int) -> Drawn:
        """Buckets of the domain's draws ``start`` to ``stop``, counted from 0 over all epochs."""
        position = start % self.epoch
        found = Drawn(np.empty(stop - start, np.int64), np.empty(stop - start, np.int64))
        self._walk(start - position % STRIDE, start, stop, self._mark(position), found)
        return found

    def _mark(self, position: int) -> np.ndarray:
        return np.array(self.marks[position // STRIDE])

    def counts(self, draws: int) -> np.ndarray:
        """int64[B]: rows that each bucket gave in the domain's first ``draws`` draws."""
        epochs, position = divmod(draws, self.epoch)
        counts = self._mark(position)
        self._walk(position - position % STRIDE, position, position, counts)
        return epochs * self.of_epoch + counts

    def places(self, bucket: int, ordinal: np.ndarray) -> np.ndarray:
        """int64[n]: the domain's draws that take the ``ordinal``-th rows of a bucket; the inverse of ``draw``."""
        if not len(ordinal):
            return NOTHING
        epoch, inside = np.divmod(ordinal, self.of_epoch[bucket])
        wanted, back = np.unique(inside, return_inverse=True)
        place = np.empty(len(wanted), np.int64)
        marks = np.searchsorted(self.marks[:, bucket], wanted, side="right") - 1
        for mark in np.unique(marks).tolist():
            at, start = slice(*np.searchsorted(marks, [mark, mark + 1])), mark * STRIDE
            found = self.draw(start, min(start + STRIDE, self.epoch))
            given = np.flatnonzero(found.bucket == bucket)
            place[at] = start + given[wanted[at] - int(self.marks[mark, bucket])]
        return epoch * self.epoch + place[back]
