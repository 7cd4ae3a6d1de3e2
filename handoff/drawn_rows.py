"""From a domain's n-th draw to its row, and back: a keyed permutation of its rows, or of each of its buckets'.

The plan says whose turn a sample is; here is which of its rows the domain then gives.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from gristmill.handoff import _kernels, _kernels_windows
from gristmill.handoff.buckets import BucketOrder, Buckets
from gristmill.handoff.derived_seed import derive_seed


class Given(NamedTuple):
    """Draws of some rows of one domain: ``ordinal int64[n]`` over its epochs, ``epoch int32[n]``, ``row int64[n]``."""

    ordinal: np.ndarray
    epoch: np.ndarray
    row: np.ndarray


class DrawnRows:
    """The rows of all domains of a plan.

    Parameters
    ----------
    names, rows, buckets : of each domain; ``buckets`` None where its rows lie in one
    seed : of the plan
    window_rows : rows are shuffled inside windows of so many neighbours, and the windows among each other; 0 = one
        permutation of all
    marks : of all ordered domains, one after the other, flat; walked for when None
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[int],
        buckets: Sequence[Buckets | None],
        *,
        seed: int,
        window_rows: int = 0,
        marks: np.ndarray | None = None,
    ):
        self._window = window_rows
        self.orders = _orders(buckets, marks)
        sizes, first, keys, self._base = [], [], [], []
        for name, size, held in zip(names, rows, buckets, strict=True):
            self._base.append(len(sizes))
            sizes += held.rows if held else [size]
            first += np.cumsum((0, *held.rows[:-1])).tolist() if held else [0]
            parts = [(name, number) for number in range(len(held.rows))] if held else [(name,)]
            keys += [derive_seed(seed, "rows", *part) for part in parts]
        self._sizes, self._first, self._keys = np.array(sizes), np.array(first), np.array(keys, np.uint64)

    @property
    def marks(self) -> np.ndarray:
        """int64[n], flat: what ``DrawnRows(marks=...)`` takes."""
        return np.concatenate([np.empty(0, np.int64), *(one.marks.reshape(-1) for one in self.orders.values())])

    def rows(self, drawn: np.ndarray, ordinal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Epoch int32[n] and row int64[n] of each draw.

        A row's epoch says how often it was given before.

        Parameters
        ----------
        drawn : int16[n], the domain
        ordinal : int64[n], how many rows it gave before; of each domain consecutive numbers
        """
        epoch, row = np.empty(len(drawn), np.int32), np.empty(len(drawn), np.int64)
        if self.orders:
            drawn, ordinal = self._of_buckets(drawn, ordinal)
        if self._window:
            _kernels_windows.rows_of(drawn, ordinal, self._sizes, self._keys, self._window, epoch, row)
        else:
            _kernels.rows_of(drawn, ordinal, self._sizes, self._keys, epoch, row)
        if self.orders:
            row += self._first[drawn]
        return epoch, row

    def _of_buckets(self, drawn: np.ndarray, ordinal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Domains and their draws as buckets, numbered over all domains, and these buckets' own draws."""
        unit, number = np.array(self._base)[drawn], ordinal.copy()
        for domain, order in self.orders.items():
            at = np.flatnonzero(drawn == domain)
            if len(at):
                found = order.draw(int(ordinal[at[0]]), int(ordinal[at[-1]]) + 1)
                unit[at] += found.bucket
                number[at] = found.ordinal
        return unit, number

    def given(self, domain: int, rows: np.ndarray, draws: int) -> Given:
        """All of a domain's first ``draws`` draws that give one of ``rows`` (int64 ascending, each once), in order."""
        order = self.orders.get(domain)
        if order is None:
            return _in_order([self._given_by(self._base[domain], rows, draws)])
        counts, first = order.counts(draws), self._first[self._base[domain] :][: len(order.of_epoch)]
        found = []
        for bucket in np.unique(np.searchsorted(first, rows, side="right") - 1).tolist():
            size = self._sizes[self._base[domain] + bucket]
            inside = rows[(rows >= first[bucket]) & (rows < first[bucket] + size)] - first[bucket]
            one = self._given_by(self._base[domain] + bucket, inside, int(counts[bucket]))
            found.append(one._replace(ordinal=order.places(bucket, one.ordinal), row=one.row + first[bucket]))
        return _in_order(found)

    def _given_by(self, unit: int, rows: np.ndarray, draws: int) -> Given:
        size, key = int(self._sizes[unit]), self._keys[unit]
        ordinal = np.empty((-(-draws // max(size, 1)), len(rows)), np.int64)
        if self._window:
            _kernels_windows.ordinals_of(rows, size, key, self._window, ordinal)
        else:
            _kernels.ordinals_of(rows, size, key, ordinal)
        epoch, place = np.nonzero(ordinal < draws)
        return Given(ordinal[epoch, place], epoch.astype(np.int32), rows[place])


def _in_order(found: Sequence[Given]) -> Given:
    if not found:
        return Given(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    whole = Given(*(np.concatenate(column) for column in zip(*found, strict=True)))
    order = np.argsort(whole.ordinal)
    return Given(*(column[order] for column in whole))


def _orders(buckets: Sequence[Buckets | None], marks: np.ndarray | None) -> dict[int, BucketOrder]:
    found, at = {}, 0
    for domain, held in enumerate(buckets):
        if held is None:
            continue
        size = prod(held.mark_shape)
        found[domain] = BucketOrder(held, None if marks is None else marks[at : at + size].reshape(held.mark_shape))
        at += size
    return found
