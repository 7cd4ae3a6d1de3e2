"""A frozen basis of stored signals: coordinates of a text whatever domains a recipe cuts its corpus into.

Each axis is a signal with edges that were quantiles of the corpus it was frozen on; a text lies in one cell of every
axis. A proxy run stores how much of its tokens lay in each, so that runs of other recipes have coordinates in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gristmill.corpus.errors import PlanError
from gristmill.corpus.files import content_key, read_json, write_json

FORMAT = "gristmill-basis-1"
BINS = 8
# measured on every run; one for each kind of thing that a signal says: language, register, form, density, repetition
AXES = (
    "stop_words",
    "mean_word_chars",
    "upper_share",
    "digit_share",
    "symbol_share",
    "space_share",
    "newline_word_ratio",
    "terminal_punct_line_share",
    "char_conditional_entropy_residual",
    "word_entropy_residual",
    "word_evenness_bits",
    "dup_5gram_char_share",
)


@dataclass(frozen=True, slots=True)
class Axis:
    """A signal and the inner edges of its cells, ascending; values equal to an edge lie above it."""

    signal: str
    edges: tuple[float, ...]

    @property
    def cells(self) -> int:
        """One more than edges, and one for texts without the signal."""
        return len(self.edges) + 2

    def of(self, values: np.ndarray) -> np.ndarray:
        """int64[n]: the cell of each value; NaN lies in the last."""
        return np.where(np.isnan(values), self.cells - 1, np.searchsorted(self.edges, values, side="right"))


@dataclass(frozen=True, slots=True)
class Basis:
    """All axes, and the corpus that they were frozen on: its sources by domain."""

    axes: tuple[Axis, ...]
    corpus: Mapping[str, Sequence[str]]

    @property
    def cells(self) -> int:
        """Of all axes."""
        return sum(axis.cells for axis in self.axes)

    @property
    def digest(self) -> str:
        """Names the basis; runs of two digests have no coordinates in common."""
        return content_key(self.to_json())

    def cells_of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """int64[n, n_axes]: the cell of each text on every axis, counted over all axes.

        >>> basis = Basis((Axis("a", (0.5,)), Axis("b", ())), {})
        >>> basis.cells_of({"a": np.array([0.1, 0.9, np.nan]), "b": np.zeros(3)}).tolist()
        [[0, 3], [1, 3], [2, 3]]
        """
        first = np.cumsum([0, *(axis.cells for axis in self.axes)])[:-1]
        return np.stack([start + axis.of(values[axis.signal]) for start, axis in zip(first, self.axes, strict=True)], 1)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        axes = [{"signal": axis.signal, "edges": list(axis.edges)} for axis in self.axes]
        return {"format": FORMAT, "corpus": {name: list(one) for name, one in self.corpus.items()}, "axes": axes}

    def save(self, path: Path) -> None:
        """Write it with its digest."""
        write_json(path, self.to_json() | {"digest": self.digest})

    @classmethod
    def load(cls, path: Path) -> "Basis":
        """Read a file and check its digest.

        Raises
        ------
        PlanError : the file is missing, no basis, or not what its digest says
        """
        try:
            value = read_json(path)
            basis = cls(tuple(Axis(one["signal"], tuple(one["edges"])) for one in value["axes"]), value["corpus"])
            intact = value == basis.to_json() | {"digest": basis.digest}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlanError(f"cannot read the basis in {path}: {type(error).__name__} {error}") from None
        if not intact:
            raise PlanError(f"the basis in {path} is not what its digest says; copy it again")
        return basis


def freeze(values: Mapping[str, np.ndarray], sizes: np.ndarray, corpus: Mapping[str, Sequence[str]]) -> Basis:
    """Cells of equal bytes on every axis; fewer where a value is too common to be cut.

    Parameters
    ----------
    values : float64[n] by signal, NaN where it was not measured
    sizes : int64[n], bytes of each text
    """
    return Basis(tuple(Axis(name, _edges(values[name], sizes)) for name in sorted(values)), corpus)


def _edges(values: np.ndarray, sizes: np.ndarray) -> tuple[float, ...]:
    measured = ~np.isnan(values)
    order = np.argsort(values[measured], kind="stable")
    ordered, reached = values[measured][order], np.cumsum(sizes[measured][order])
    if not len(ordered):
        return ()
    at = np.searchsorted(reached, reached[-1] * np.arange(1, BINS) / BINS)
    return tuple(edge for edge in np.unique(ordered[at]).tolist() if edge > ordered[0])


def row_histograms(
    cells: np.ndarray, piece: np.ndarray, row: np.ndarray, length: np.ndarray, shape: tuple
) -> np.ndarray:
    """float32[n_rows, n_cells]: tokens of each row in each cell.

    Parameters
    ----------
    cells : int64[n_documents, n_axes]
    piece, row, length : int64[n_pieces]: document and row of each piece, and its tokens
    shape : (n_rows, n_cells)
    """
    found = np.zeros(shape, np.float32)
    for axis in cells.T:
        np.add.at(found, (row, axis[piece]), length)
    return found


def consumed(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """float64[n_cells], sums to one: where the tokens of a run lay.

    Parameters
    ----------
    parts : histograms of the drawn rows of each domain, and how often each was drawn

    >>> consumed([(np.array([[1.0, 1.0], [4.0, 0.0]]), np.array([2, 1]))]).tolist()
    [0.75, 0.25]
    """
    total = np.sum([times @ rows.astype(np.float64) for rows, times in parts], axis=0)
    return total / max(total.sum(), 1e-300)
