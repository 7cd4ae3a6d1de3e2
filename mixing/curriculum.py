"""Schedules: the phases of a curriculum as segments of integer shares of rows. What they cost: ``feasibility``.

Shares and ``until_tokens`` count tokens of documents. A row of a domain holds as many of them as its packing left
room for, so a domain whose rows have more padding gets more rows.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gristmill.corpus.errors import PlanError, nearest
from gristmill.handoff.schedule import Segment, quantise
from gristmill.mixing.shapes import SHAPES, STEP, Shape

BENT_ROWS = 0.25  # shares of rows bend where those of tokens do not; a straight line may be as far off, in rows
MAX_LINES = 64  # of a ramp
ROUNDING_ROWS = 1e-6  # 10^9 rows are exact to a tenth of it


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the curriculum up to ``until_tokens``, counted from the start of training.

    ``shape`` is a name in ``mixing.shapes``: how shares go from those of the phase before to ``shares``. ``named`` is
    the text of shares that ``mixing.named_shares`` finds from what there is; ``shares`` are then empty.
    """

    until_tokens: int
    shares: Mapping[str, float]
    shape: str = STEP
    named: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Shares of tokens that go straight from ``first`` to ``last`` while training reaches ``until_tokens``."""

    until_tokens: float
    first: tuple[float, ...]
    last: tuple[float, ...]


def drawn_domains(phases: Sequence[Phase]) -> tuple[str, ...]:
    """Domains that any phase gives a share, sorted."""
    return tuple(sorted({name for phase in phases for name, share in phase.shares.items() if share > 0}))


def segments(
    phases: Sequence[Phase], names: Sequence[str], row_tokens: int, fill: Mapping[str, float] | None = None
) -> tuple[Segment, ...]:
    """Phases in whole rows: a phase ends with the row that reaches ``until_tokens``.

    Parameters
    ----------
    fill : documents' tokens in a row of each domain, as a share of ``row_tokens``; 1 for those left out

    Raises
    ------
    PlanError : a shape is unknown, the first phase is a ramp, a phase holds no whole row, shares do not sum to one or
        name a strange domain

    >>> segments([Phase(64, {"web": 1.0})], ["web"], 8)
    (Segment(stop=8, first=(4294967296,), last=(4294967296,)),)
    >>> segments([Phase(64, {"web": 1.0})], ["web"], 8, {"web": 0.5})[0].stop
    16
    """
    per_row = [row_tokens * (fill or {}).get(name, 1.0) for name in names]
    found: list[Segment] = []
    rows, reached, before = 0.0, 0.0, None
    for number, phase in enumerate(phases):
        begin = found[-1].stop if found else 0
        lines = list(_lines(f"curriculum.{number}", phase, names, reached, before))
        for line in _bent(lines, reached, per_row):
            rows += (line.until_tokens - reached) * _rows_for_a_token(line, per_row)
            reached, ends = line.until_tokens, line.until_tokens == phase.until_tokens
            stop = math.ceil(rows - ROUNDING_ROWS) if ends else math.floor(rows + ROUNDING_ROWS)
            if stop > (found[-1].stop if found else 0):
                found.append(Segment(stop, _of_rows(line.first, per_row), _of_rows(line.last, per_row)))
        if not found or found[-1].stop <= begin:
            text = f"{phase.until_tokens} adds no whole row of {row_tokens} tokens (shards.row_tokens)"
            raise PlanError(f"curriculum.{number}.until_tokens: {text}")
        before = lines[-1].last
    return tuple(found)


def _rows_for_a_token(line: Line, per_row: Sequence[float]) -> float:
    """Rows that a token of the line takes, on average: exact, since they change linearly."""
    if len(set(per_row)) == 1:
        return 1 / per_row[0]
    return sum((a + b) / (2 * tokens) for a, b, tokens in zip(line.first, line.last, per_row, strict=True))


def _of_rows(shares: Sequence[float], per_row: Sequence[float]) -> tuple[int, ...]:
    if len(set(per_row)) == 1:
        return quantise(shares)
    return quantise([share / tokens for share, tokens in zip(shares, per_row, strict=True)])


def _lines(
    key: str, phase: Phase, names: Sequence[str], begin: float, before: tuple[float, ...] | None
) -> Iterator[Line]:
    """The straight lines of one phase's shape, in tokens."""
    _check_shares(key, phase.shares, names)
    shape, last = _shape(key, phase.shape), tuple(float(phase.shares.get(name, 0.0)) for name in names)
    if before is None and shape.is_ramp:
        text = f"the first phase cannot be {phase.shape!r}, there is nothing to start from; use 'step'"
        raise PlanError(f"{key}.shape: {text}")
    whole = Line(phase.until_tokens, last if before is None else before, last)
    for piece, (at_start, at_end) in enumerate(shape.lines(), 1):
        yield _part(whole, begin, piece / shape.pieces, at_start, at_end)


def _bent(lines: Sequence[Line], begin: float, per_row: Sequence[float]) -> Iterator[Line]:
    """Each ramp in lines enough that what a domain gives differs from the curve by a quarter of a row at most."""
    for line in lines:
        pieces = _pieces(line, line.until_tokens - begin, per_row)
        for piece in range(pieces):
            yield _part(line, begin, (piece + 1) / pieces, piece / pieces, (piece + 1) / pieces)
        begin = line.until_tokens


def _pieces(line: Line, tokens: float, per_row: Sequence[float]) -> int:
    """From the trapezoid rule: the error is a twelfth of the curve's second derivative, and falls with the square."""
    first, last = ([share / n for share, n in zip(ends, per_row, strict=True)] for ends in (line.first, line.last))
    denser = abs(sum(first) - sum(last)) / min(sum(first), sum(last))
    moved = max(abs(b / sum(last) - a / sum(first)) for a, b in zip(first, last, strict=True))
    off = tokens * max(sum(first), sum(last)) * denser * moved / 6
    return min(MAX_LINES, max(1, math.ceil(math.sqrt(off / BENT_ROWS))))


def _part(whole: Line, begin: float, end: float, *ways: float) -> Line:
    """The line up to the share ``end`` of the tokens, between two points of the way from first to last."""
    until = whole.until_tokens if end == 1 else begin + (whole.until_tokens - begin) * end
    return Line(until, *(_between(whole.first, whole.last, way) for way in ways))


def _between(first: tuple[float, ...], last: tuple[float, ...], way: float) -> tuple[float, ...]:
    """Shares so far on the way from the first to the last; the ends exactly."""
    if way in (0, 1):
        return last if way else first
    return tuple((1 - way) * a + way * b for a, b in zip(first, last, strict=True))


def _shape(key: str, name: str) -> Shape:
    if name not in SHAPES:
        raise PlanError(f"{key}.shape: unknown shape {name!r}{nearest(name, SHAPES)}")
    return SHAPES[name]


def _check_shares(key: str, shares: Mapping[str, float], names: Sequence[str]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise PlanError(f"{key}.shares.{name}: {share} is not between 0 and 1")
        if share and name not in names:
            raise PlanError(f"{key}.shares: unknown domain {name!r}{nearest(name, names)}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise PlanError(f"{key}.shares sum to {sum(shares.values()):g}, not 1")
