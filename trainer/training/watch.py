"""Alarms of a training: a figure of its metrics that passes a bound of ``[trainer.alarms]``.

A single step is noise, so a figure is a running median, or the distance from one, where that is also more than six of
the usual distances: of the sample's steps, whose domains have one to three rows, 4 to 29 % lie 0.3 nats above the
domain's median, and 0 to 4 % by this. An alarm rings once, and again only after its figure was back. The last
``window`` and one values of a column decide its state, so that a training goes on after a crash as if it never stopped.
"""

import statistics
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.trainer.alarm_bounds import AlarmBounds

UNUSUAL = 6  # median absolute deviations: four standard deviations of a normal distribution
KINDS = {"load_std/": "load_std", "load_dead/": "dead_experts", "loss/": "domain_loss"}  # by prefix of the column


class Alarm(NamedTuple):
    """A figure above its bound."""

    step: int
    kind: str  # key of [trainer.alarms]
    place: str  # number of the layer, or name of the domain
    value: float
    bound: float

    def __str__(self) -> str:
        where = f"domain {self.place!r}" if self.kind == "domain_loss" else f"layer {self.place}"
        return f"step {self.step}: {self.kind} of {where} is {self.value:.3g}, above {self.bound:g}"


class Watch:
    """The figures of a training so far, as far as alarms depend on them."""

    def __init__(self, bounds: AlarmBounds):
        self._bounds = bounds
        self._figures: dict[str, _Figure] = {}

    def recall(self, metrics: pa.Table) -> None:
        """Take up the state behind the steps of ``metrics``."""
        for name in metrics.column_names:
            if figure := self._figure(name):
                known = pc.drop_null(metrics[name])
                for value in known.slice(max(len(known) - self._bounds.window - 1, 0)).to_pylist():
                    figure.see(value)

    def see(self, row: Mapping[str, float | int | None]) -> Iterator[Alarm]:
        """What rings now, by a row of the metrics."""
        for name, value in row.items():
            figure = self._figure(name)
            if figure and value is not None and (above := figure.see(value)) is not None:
                prefix, _, place = name.partition("/")
                yield Alarm(int(row["step"] or 0), KINDS[f"{prefix}/"], place, above, figure.bound)

    def _figure(self, name: str) -> "_Figure | None":
        kind = KINDS.get(name.partition("/")[0] + "/") if "/" in name else None
        bound = getattr(self._bounds, kind) if kind else 0
        if not bound:
            return None
        if name not in self._figures:
            self._figures[name] = _Figure(bound, self._bounds.window, from_median=kind == "domain_loss")
        return self._figures[name]


class _Figure:
    """One column: its last values, and whether it is above its bound."""

    def __init__(self, bound: float, window: int, *, from_median: bool):
        self.bound, self._last, self._from_median, self._above = bound, deque(maxlen=window), from_median, False

    def see(self, value: float) -> float | None:
        """The figure, if it has just passed the bound."""
        bound, figure = self.bound, 0.0
        if not self._from_median:
            self._last.append(value)
        if len(self._last) == self._last.maxlen:
            figure = median = statistics.median(self._last)
            if self._from_median:
                figure = value - median
                bound = max(bound, UNUSUAL * statistics.median(abs(one - median) for one in self._last))
        if self._from_median:
            self._last.append(value)
        was_above, self._above = self._above, figure > bound
        return figure if self._above and not was_above else None
