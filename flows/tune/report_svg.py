"""The figures of a tuning's report as SVG: axes and marks in the colours of the page that holds them."""

from collections.abc import Sequence
from html import escape

from gristmill.flows.tune.report_figures import Figures, Slice, Triangle

WIDE, HIGH, EDGE = 300, 200, 48
CHOSEN, PRIOR, AXIS = "var(--mark)", "#d9822b", "var(--soft)"
Points = Sequence[tuple[float, float]]


def grid(drawings: Sequence[str], columns: int = 3) -> str:
    """One figure of several drawings, row by row.

    >>> grid(["<g/>"])
    '<svg viewBox="0 0 900 200" role="img"><g transform="translate(0,0)"><g/></g></svg>'
    """
    rows = -(-len(drawings) // columns)
    placed = [
        f'<g transform="translate({WIDE * (place % columns)},{HIGH * (place // columns)})">{one}</g>'
        for place, one in enumerate(drawings)
    ]
    return f'<svg viewBox="0 0 {WIDE * columns} {HIGH * rows}" role="img">{"".join(placed)}</svg>'


class Frame:
    """Axes of a figure: values to places, and what is drawn so far."""

    def __init__(self, x: Sequence[float], y: Sequence[float], labels: tuple[str, str]):
        self._x, self._y = _range(x), _range(y)
        low, high = (f"{one:.4g}" for one in self._y)
        left, right = (f"{one:.3g}" for one in self._x)
        self._parts = [
            f'<path d="M{EDGE} 8V{HIGH - EDGE}H{WIDE - 8}" fill="none" stroke="{AXIS}"/>',
            *(_text(EDGE - 3, at, one, "end") for at, one in ((HIGH - EDGE, low), (16, high))),
            *(_text(at, HIGH - EDGE + 12, one, "middle") for at, one in ((EDGE, left), (WIDE - 16, right))),
            _text(WIDE / 2, HIGH - 6, labels[0], "middle"),
            _text(EDGE + 4, 16, labels[1], "start"),
        ]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Of a point, in pixels."""
        across = (x - self._x[0]) / (self._x[1] - self._x[0])
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        return round(EDGE + across * (WIDE - EDGE - 8), 1), round(HIGH - EDGE - up * (HIGH - EDGE - 8), 1)

    def line(self, points: Points, colour: str = CHOSEN, dash: str = "") -> None:
        """A line through points."""
        places = " ".join(f"{a},{b}" for a, b in (self.place(*point) for point in points))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}"{dashed}/>')

    def dots(self, points: Points, colour: str = CHOSEN, size: float = 2.5) -> None:
        """Points."""
        for x, y in (self.place(*point) for point in points):
            self._parts.append(f'<circle cx="{x}" cy="{y}" r="{size}" fill="{colour}" fill-opacity="0.7"/>')

    def drawing(self) -> str:
        """All that was drawn."""
        return "".join(self._parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="10" fill="var(--ink)">{escape(text)}</text>'


def scatter(figures: Figures) -> str:
    """Predicted against measured; the broken lines are the half width of a new run."""
    both = [*figures.measured, *figures.predicted]
    frame, ends = Frame(both, both, ("measured, bits per byte", "predicted")), _range(both)
    for off in (-figures.half_width, 0.0, figures.half_width):
        low, high = max(ends[0], ends[0] - off), min(ends[1], ends[1] - off)
        if low < high:
            frame.line([(low, low + off), (high, high + off)], AXIS, "3 3" if off else "")
    frame.dots(list(zip(figures.measured, figures.predicted, strict=True)))
    return frame.drawing()


def slice_of(one: Slice, figures: Figures) -> str:
    """The fit along one share."""
    every = [value for other in figures.slices for value in other.predicted]
    frame = Frame([*one.shares, one.chosen, one.prior], every, (f"share of {one.domain}", "bits per byte"))
    frame.line(list(zip(one.shares, one.predicted, strict=True)))
    for share, colour in ((one.chosen, CHOSEN), (one.prior, PRIOR)):
        near = min(range(len(one.shares)), key=lambda place: abs(one.shares[place] - share))
        frame.dots([(share, one.predicted[near])], colour, 4)
    return frame.drawing()


def triangle(one: Triangle) -> str:
    """Cells of a triangle; the darker, the lower."""
    low, high = _range(one.predicted)

    def corner(a: float, b: float) -> tuple[float, float]:
        return round(20 + 260 * (b + (1 - a - b) / 2), 1), round(20 + 160 * (a + b), 1)

    dots = []
    for (a, b), value in zip(one.points, one.predicted, strict=True):
        x, y = corner(a, b)
        shade = round(80 + 165 * (value - low) / (high - low))
        dots.append(f'<circle cx="{x}" cy="{y}" r="6.5" fill="rgb({shade},{shade},{min(255, shade + 40)})"/>')
    x, y = corner(*one.chosen)
    dots.append(f'<circle cx="{x}" cy="{y}" r="5" fill="none" stroke="{PRIOR}" stroke-width="2"/>')
    names = (_text(*corner(1, 0), one.domains[0], "start"), _text(*corner(0, 1), one.domains[1], "end"))
    top = _text(corner(0, 0)[0], 12, one.domains[2], "middle")
    return "".join((*dots, *names, top))


def line(points: Points, *labels: str) -> str:
    """Points joined, with zero on the upward axis."""
    frame = Frame([x for x, _ in points], [y for _, y in points] + [0.0], (labels[0], labels[1]))
    frame.line(points)
    return frame.drawing()


def noise(figures: Figures) -> str:
    """Each repeated mixture in a column, its runs less their mean."""
    points = [
        (float(place + 1), value - sum(values) / len(values))
        for place, values in enumerate(figures.repeats)
        for value in values
    ]
    frame = Frame([x for x, _ in points], [y for _, y in points], ("repeated mixture", "less its mean"))
    frame.dots(points)
    return frame.drawing()
