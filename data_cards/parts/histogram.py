"""The histogram of a signal over all documents, and over the kept ones."""

from dataclasses import dataclass

import numpy as np
import polars as pl

POWERS_OF_TWO = [0.0, *(float(1 << k) for k in range(25))]  # documents end at 16 MiB unless the recipe says more
EDGES: dict[str, list[float]] = {
    "bytes": POWERS_OF_TWO,
    "words": POWERS_OF_TWO,
    "byte_entropy_bits": np.linspace(0, 8, 33).tolist(),
    "word_entropy_bits": np.linspace(0, 16, 33).tolist(),
    "word_entropy_residual": np.linspace(-10, 10, 41).tolist(),
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Documents between two ``edges``; values beyond them count in the outermost bins, NaN nowhere."""

    unit: str
    edges: tuple[float, ...]
    documents: tuple[int, ...]
    kept: tuple[int, ...]
    lowest: float | None
    highest: float | None
    mean: float | None


class HistogramSums:
    """A histogram while parts are added."""

    def __init__(self, name: str, unit: str):
        self._unit, self._edges = unit, np.array(EDGES[name])
        self._documents, self._kept = np.zeros((2, len(self._edges) - 1), np.int64)
        self._lowest, self._highest, self._total = np.inf, -np.inf, 0.0

    def add(self, values: pl.Series, kept: pl.Series) -> None:
        """Values double[n_docs] of a part, and kept bool[n_docs]."""
        column = values.to_numpy()
        known = ~np.isnan(column)
        clipped = np.clip(column, self._edges[0], self._edges[-1])
        for counts, mask in ((self._documents, known), (self._kept, known & kept.to_numpy())):
            counts += np.histogram(clipped[mask], self._edges)[0]
        self._lowest = float(column[known].min(initial=self._lowest))
        self._highest = float(column[known].max(initial=self._highest))
        self._total += float(column[known].sum())

    def histogram(self) -> Histogram:
        """What was added; without any value there is no lowest, highest and mean."""
        n = int(self._documents.sum())
        figures = (self._lowest, self._highest, self._total / n) if n else (None, None, None)
        documents, kept = (tuple(counts.tolist()) for counts in (self._documents, self._kept))
        return Histogram(self._unit, tuple(self._edges.tolist()), documents, kept, *figures)
