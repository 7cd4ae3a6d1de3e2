"""Schedules: the phases of a curriculum as segments of integer shares. What they cost stands in ``feasibility``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gristmill.corpus.errors import PlanError, nearest
from gristmill.handoff.schedule import Segment, quantise
from gristmill.mixing.shapes import SHAPES, STEP, Shape


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the curriculum up to ``until_tokens``, counted from the start of training.

    ``shape`` is a name in ``mixing.shapes``: how shares go from those of the phase before to ``shares``.
    """

    until_tokens: int
    shares: Mapping[str, float]
    shape: str = STEP


def drawn_domains(phases: Sequence[Phase]) -> tuple[str, ...]:
    """Domains that any phase gives a share, sorted."""
    return tuple(sorted({name for phase in phases for name, share in phase.shares.items() if share > 0}))


def segments(phases: Sequence[Phase], names: Sequence[str], row_tokens: int) -> tuple[Segment, ...]:
    """Phases in whole rows: a phase ends with the row that reaches ``until_tokens``.

    Raises
    ------
    PlanError : a shape is unknown, the first phase is a ramp, a phase holds no whole row, shares do not sum to one or
        name a strange domain

    >>> segments([Phase(64, {"web": 1.0})], ["web"], 8)
    (Segment(stop=8, first=(4294967296,), last=(4294967296,)),)
    """
    found: list[Segment] = []
    for number, phase in enumerate(phases):
        key = f"curriculum.{number}"
        _check_shares(key, phase.shares, names)
        shape = _shape(key, phase.shape)
        last = quantise([phase.shares.get(name, 0.0) for name in names])
        first = _shares_before(key, phase.shape, found) if shape.is_ramp else last
        stop, begin = -(-phase.until_tokens // row_tokens), found[-1].stop if found else 0
        if stop <= begin:
            raise PlanError(
                f"{key}.until_tokens: {phase.until_tokens} adds no whole row of {row_tokens} tokens (shards.row_tokens)"
            )
        found += _straight_lines(shape, begin, Segment(stop, first, last))
    return tuple(found)


def _straight_lines(shape: Shape, begin: int, whole: Segment) -> Iterator[Segment]:
    """The segments of one phase; pieces of a short phase that hold no row are left out."""
    for piece, (at_start, at_end) in enumerate(shape.lines(), 1):
        stop = begin + (whole.stop - begin) * piece // shape.pieces
        if stop > begin + (whole.stop - begin) * (piece - 1) // shape.pieces:
            yield Segment(stop, _between(whole, at_start), _between(whole, at_end))


def _between(whole: Segment, way: float) -> tuple[int, ...]:
    """Shares so far on the way from the first to the last."""
    if way in (0, 1):
        return whole.last if way else whole.first
    return quantise([(1 - way) * first + way * last for first, last in zip(whole.first, whole.last, strict=True)])


def _shape(key: str, name: str) -> Shape:
    if name not in SHAPES:
        raise PlanError(f"{key}.shape: unknown shape {name!r}{nearest(name, SHAPES)}")
    return SHAPES[name]


def _shares_before(key: str, shape: str, found: list[Segment]) -> tuple[int, ...]:
    if not found:
        raise PlanError(f"{key}.shape: the first phase cannot be {shape!r}, there is nothing to start from; use 'step'")
    return found[-1].last


def _check_shares(key: str, shares: Mapping[str, float], names: Sequence[str]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise PlanError(f"{key}.shares.{name}: {share} is not between 0 and 1")
        if share and name not in names:
            raise PlanError(f"{key}.shares: unknown domain {name!r}{nearest(name, names)}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise PlanError(f"{key}.shares sum to {sum(shares.values()):g}, not 1")
