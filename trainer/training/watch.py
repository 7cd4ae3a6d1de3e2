"""Alarms of a training: a figure of its metrics that passes a bound of ``[trainer.alarms]``.

A single step is noise. Loads are those of the last ``window`` steps together, less what chance alone makes of so many
choices: of single steps of the sample the median standard deviation was 0.25, of its held-out rows 0.15 to 0.28. A
loss is its distance from a running median, where that is also more than six of the usual distances: of the sample's
steps, whose domains have one to three rows, 4 to 29 % lie 0.3 nats above the domain's median, and 0 to 4 % by this. An
alarm rings once, and again only after its figure was back. The last ``window`` and one values of a column decide its
state, so that a training goes on after a crash as if it never stopped.
"""

import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.trainer.alarm_bounds import AlarmBounds, beyond_chance
from gristmill.trainer.training.metrics import DEAD_SHARE

UNUSUAL = 6  # median absolute deviations: four standard deviations of a normal distribution


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
        self._columns: dict[str, _Loads | _Loss] = {}

    def recall(self, metrics: pa.Table) -> None:
        """Take up the state behind the steps of ``metrics``."""
        for name in metrics.column_names:
            if column := self._column(name):
                known = pc.drop_null(metrics[name])
                for value in known.slice(max(len(known) - self._bounds.window - 1, 0)).to_pylist():
                    list(column.see(value))

    def see(self, row: Mapping[str, Any]) -> Iterator[Alarm]:
        """What rings now, by a row of the metrics."""
        for name, value in row.items():
            column = self._column(name)
            if column and value is not None:
                for kind, figure, bound in column.see(value):
                    yield Alarm(row["step"], kind, name.partition("/")[2], figure, bound)

    def _column(self, name: str) -> "_Loads | _Loss | None":
        made = COLUMNS.get(name.partition("/")[0]) if "/" in name else None
        if made and name not in self._columns:
            self._columns[name] = made(self._bounds)
        return self._columns.get(name)


class _Ring:
    """Rings where a figure passes its bound; a bound of 0 never does."""

    def __init__(self, kind: str, bound: float):
        self._kind, self._bound, self._above = kind, bound, False

    def see(self, figure: float, least: float = 0.0) -> "Iterator[tuple[str, float, float]]":
        """Kind, figure and bound, if it rings; ``least`` is a bound of the moment beside the other."""
        was_above, self._above = self._above, self._bound > 0 and figure > max(self._bound, least)
        if self._above and not was_above:
            yield self._kind, figure, self._bound


class _Loads:
    """The experts of a layer, by their choices in each step."""

    def __init__(self, bounds: AlarmBounds):
        self._last: deque[Sequence[int]] = deque(maxlen=bounds.window)
        self._std, self._dead = (_Ring(key, getattr(bounds, key)) for key in ("load_std", "dead_experts"))

    def see(self, choices: Sequence[int]) -> Iterator[tuple[str, float, float]]:
        self._last.append(choices)
        if len(self._last) == self._last.maxlen:
            together = np.sum(self._last, axis=0)
            yield from self._std.see(beyond_chance(together))
            yield from self._dead.see(float((together < DEAD_SHARE * together.mean()).sum()))


class _Loss:
    """A domain's loss in the steps that held some of it."""

    def __init__(self, bounds: AlarmBounds):
        self._last: deque[float] = deque(maxlen=bounds.window)
        self._ring = _Ring("domain_loss", bounds.domain_loss)

    def see(self, loss: float) -> Iterator[tuple[str, float, float]]:
        above, least = 0.0, 0.0
        if len(self._last) == self._last.maxlen:
            median = statistics.median(self._last)
            above, least = loss - median, UNUSUAL * statistics.median(abs(one - median) for one in self._last)
        self._last.append(loss)
        yield from self._ring.see(above, least)


COLUMNS = {"choices": _Loads, "loss": _Loss}  # by what stands before the slash
