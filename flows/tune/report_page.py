"""The report page of a tuning: one HTML file with figures in SVG, no script, and nothing fetched from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gristmill.flows.tune.report_figures import Figures, Slice, Triangle

PAGE_FILE = "report.html"
WIDE, HIGH, EDGE = 300, 200, 34
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
svg { background: #fbfcfd; border: 1px solid #d9e0e6; margin: 0 .6rem .6rem 0 }
text { font-size: 10px; fill: #46545f }
table { border-collapse: collapse }
td, th { padding: .15rem .7rem; border-bottom: 1px solid #d9e0e6; text-align: right }
td:first-child, th:first-child { text-align: left }
pre { background: #f2f5f7; padding: .8rem }
.note { color: #8a4b08 }
"""
Points = Sequence[tuple[float, float]]


def report_page(found: Mapping[str, Any], figures: Figures) -> str:
    """The page.

    Parameters
    ----------
    found : what ``tune_recipe`` returns
    figures : of the same tuning
    """
    proposal, fit = found["proposal"], found["fit"]
    heading = f"{proposal['predicted']:.4f} &plusmn; {proposal['half_width']:.4f} bits per byte expected (90 %)"
    parts = [
        f"<p><b>{escape(found['comparison']['sentence'])}.</b></p>",
        *(f'<p class="note">{escape(one)}</p>' for one in found["notices"]),
        f"<h2>Mixture</h2><p>{heading}</p>{_shares(found)}<pre>{escape(found['curriculum'])}</pre>",
        f"<h2>Predicted against measured</h2><p>{_kinds(fit)}</p>{_scatter(figures)}",
        "<h2>Slices through the simplex</h2><p>One share moves, the others keep the proportions of the chosen mixture "
        "(line; chosen: blue, prior: orange). The line ends at the cap.</p>"
        + "".join(_slice(one, figures) for one in figures.slices)
        + (_triangle(figures.triangle) if figures.triangle else ""),
        "<h2>Regret</h2><p>The least measured so far, less what the fit expects of the chosen mixture, by runs.</p>"
        + _line([(float(n + 1), value) for n, value in enumerate(figures.regret)], "runs", "bits per byte"),
        f"<h2>Noise</h2><p>Standard deviation between runs of one mixture: {fit['noise']:.5f} bits per byte "
        f"({fit['noise_freedom']} degrees of freedom); of the swarm: {fit['swarm_deviation']:.5f}.</p>"
        + _noise(figures),
        "<h2>Next runs</h2>" + "".join(f"<p>{one['runs']}: {escape(one['why'])}</p>" for one in found["next_runs"]),
    ]
    head = f'<meta charset="utf-8"><title>Mixture tuning</title><style>{STYLE}</style>'
    body = f"<h1>Mixture tuning</h1>{''.join(parts)}"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _shares(found: Mapping[str, Any]) -> str:
    heads = "<tr><th>domain</th><th>chosen</th><th>prior</th><th>cap</th></tr>"
    rows = [
        f"<tr><td>{escape(name)}</td><td>{share:.4f}</td><td>{found['prior'][name]:.4f}</td>"
        f"<td>{found['caps'][name]:.4f}</td></tr>"
        for name, share in found["proposal"]["shares"].items()
    ]
    return f"<table>{heads}{''.join(rows)}</table>"


def _kinds(fit: Mapping[str, Any]) -> str:
    kinds = [
        f"{one['name']}: error {one['error']:.4f}, rank correlation {one['rank_correlation']:.3f}"
        for one in fit["kinds"]
    ]
    return escape("By fits that did not see the mixture. " + "; ".join(kinds) + ".")


class Frame:
    """Axes of a figure: values to places, and what is drawn so far."""

    def __init__(self, x: Sequence[float], y: Sequence[float], labels: tuple[str, str]):
        self._x, self._y = _range(x), _range(y)
        low, high = (f"{one:.4g}" for one in self._y)
        left, right = (f"{one:.3g}" for one in self._x)
        self._parts = [
            f'<path d="M{EDGE} 8V{HIGH - EDGE}H{WIDE - 8}" fill="none" stroke="#9aa7b1"/>',
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

    def line(self, points: Points, colour: str = "#1c6fb3", dash: str = "") -> None:
        """A line through points."""
        places = " ".join(f"{a},{b}" for a, b in (self.place(*point) for point in points))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}"{dashed}/>')

    def dots(self, points: Points, colour: str = "#1c6fb3", size: float = 2.5) -> None:
        """Points."""
        for x, y in (self.place(*point) for point in points):
            self._parts.append(f'<circle cx="{x}" cy="{y}" r="{size}" fill="{colour}" fill-opacity="0.7"/>')

    def svg(self) -> str:
        """The figure."""
        return f'<svg width="{WIDE}" height="{HIGH}" role="img">{"".join(self._parts)}</svg>'


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _scatter(figures: Figures) -> str:
    both = [*figures.measured, *figures.predicted]
    frame, ends = Frame(both, both, ("measured, bits per byte", "predicted")), _range(both)
    for off in (-figures.half_width, 0.0, figures.half_width):
        low, high = max(ends[0], ends[0] - off), min(ends[1], ends[1] - off)
        if low < high:
            frame.line([(low, low + off), (high, high + off)], "#9aa7b1", "3 3" if off else "")
    frame.dots(list(zip(figures.measured, figures.predicted, strict=True)))
    return frame.svg()


def _slice(one: Slice, figures: Figures) -> str:
    every = [value for other in figures.slices for value in other.predicted]
    frame = Frame([*one.shares, one.chosen, one.prior], every, (f"share of {one.domain}", "bits per byte"))
    frame.line(list(zip(one.shares, one.predicted, strict=True)))
    for share, colour in ((one.chosen, "#1c6fb3"), (one.prior, "#d9822b")):
        near = min(range(len(one.shares)), key=lambda place: abs(one.shares[place] - share))
        frame.dots([(share, one.predicted[near])], colour, 4)
    return frame.svg()


def _triangle(one: Triangle) -> str:
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
    dots.append(f'<circle cx="{x}" cy="{y}" r="5" fill="none" stroke="#d9822b" stroke-width="2"/>')
    names = (_text(*corner(1, 0), one.domains[0], "start"), _text(*corner(0, 1), one.domains[1], "end"))
    top = _text(corner(0, 0)[0], 12, one.domains[2], "middle")
    return f'<svg width="{WIDE}" height="{HIGH}" role="img">{"".join(dots)}{"".join(names)}{top}</svg>'


def _line(points: Points, *labels: str) -> str:
    frame = Frame([x for x, _ in points], [y for _, y in points] + [0.0], (labels[0], labels[1]))
    frame.line(points)
    return frame.svg()


def _noise(figures: Figures) -> str:
    """Each repeated mixture in a column, its runs less their mean."""
    points = [
        (float(place + 1), value - sum(values) / len(values))
        for place, values in enumerate(figures.repeats)
        for value in values
    ]
    frame = Frame([x for x, _ in points], [y for _, y in points], ("repeated mixture", "less its mean"))
    frame.dots(points)
    return frame.svg()
