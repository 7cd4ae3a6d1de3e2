"""Shapes of a phase, by name: how its shares go from those of the phase before to its own.

A shape is one function of progress. Nothing heavy is imported: a recipe is checked against the names in ``SHAPES``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape.

    Parameters
    ----------
    way : share of the way to the phase's own shares, 0 to 1, at progress 0 to 1 through the phase; 1 at the end
    pieces : straight lines that follow it
    """

    way: Callable[[float], float]
    pieces: int = 1

    @property
    def is_ramp(self) -> bool:
        """Whether it starts from the shares of the phase before, so that the first phase cannot have it."""
        return self.way(0.0) < 1

    def lines(self) -> Iterator[tuple[float, float]]:
        """How much of the way is done at the start and at the end of each straight piece, pieces of equal length.

        >>> list(SHAPES["linear"].lines()), list(SHAPES["step"].lines())
        ([(0.0, 1.0)], [(1.0, 1.0)])
        """
        for piece in range(self.pieces):
            yield self.way(piece / self.pieces), self.way((piece + 1) / self.pieces)


STEP = "step"
SHAPES = {
    STEP: Shape(lambda progress: 1.0),  # noqa: ARG005  the phase's shares throughout
    "linear": Shape(lambda progress: progress),
    # half a wave: level at both ends; 32 lines stay within 0.0006 of the way
    "cosine": Shape(lambda progress: (1 - cos(pi * progress)) / 2, pieces=32),
}
