"""Figures of a card as SVG text: the funnel by source, the mixture over tokens, document lengths.

The same card gives the same bytes: no date, ids from a fixed salt. Text stays text and takes the page's colour, so a
figure reads on light and dark pages, alone or inside card.html. matplotlib is imported when a figure is drawn.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gristmill.data_cards.card import Card

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")
INK, FAINT = "#010203", "#040506"  # stand-ins, replaced by CSS colours in the SVG
OUTCOME_COLOURS = {
    "kept": "#2a9d8f",
    "merged": "#e9c46a",
    "dropped": "#e76f51",
    "emptied": "#8d6e63",
    "rejected": "#9aa0a6",
}
COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a90a", "#8172b3", "#7f7f7f", "#8c564b"),
    *("#1b4f72", "#f4b183", "#66c2a5", "#8e2f5d", "#a6d8f0", "#7a2e0e", "#d9cf5a", "#4b3b8f", "#c0c0c0", "#d3a68c"),
)
STYLE = """<style>
svg.figure{color:#1f2328;max-width:100%;height:auto}
svg.figure text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif!important}
@media (prefers-color-scheme:dark){svg.figure{color:#e6edf3}}
</style>"""
SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def draw_figures(card: Card) -> dict[str, str]:
    """SVG text by file name."""
    return {f"{name}.svg": svg_text(draw, card, name) for name, draw in FIGURES.items()}


def svg_text(draw: "Callable[[T], Figure]", shown: T, name: str) -> str:
    """What ``draw`` makes of ``shown``, as SVG text in the manner of all figures; ``name`` makes its ids unique."""
    import matplotlib as mpl

    text = io.StringIO()
    settings: Any = {**SETTINGS, "svg.hashsalt": f"gristmill {name}"}
    with mpl.rc_context(settings):
        figure = draw(shown)
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.05, metadata=metadata)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(FAINT, "#8b949e66").replace(INK, "currentColor")
    svg = re.sub(r'(id|xlink:href|href)="(#?)', rf'\1="\2{name}-', svg).replace("url(#", f"url(#{name}-")
    return re.sub(r"^<svg ([^>]*)>", rf'<svg class="figure" role="img" aria-label="{name}" \1>\n{STYLE}', svg, count=1)


def _axes(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def draw_funnel(card: Card) -> "Figure":
    """One bar a source: the shares of its records that were kept, merged, dropped and rejected."""
    sources = sorted(card.sources, key=lambda source: -source.records)
    figure, axes = _axes(8, 0.9 + 0.34 * len(sources))
    records = np.array([max(source.records, 1) for source in sources])
    left = np.zeros(len(sources))
    for outcome, colour in OUTCOME_COLOURS.items():
        share = np.array([getattr(source, outcome) for source in sources]) / records
        if outcome == "emptied" and not share.any():  # rare, and not worth a place in every legend
            continue
        axes.barh(np.arange(len(sources)), share, left=left, color=colour, label=outcome, height=0.68)
        left += share
    for row, source in enumerate(sources):
        axes.text(1.015, row, f"{source.kept:,} of {source.records:,}", va="center", fontsize=9)
    axes.set_yticks(range(len(sources)), [source.name for source in sources])
    axes.set(xlim=(0, 1), xticks=np.linspace(0, 1, 5), xticklabels=["0", "25 %", "50 %", "75 %", "100 % of records"])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(-0.01, 1.0), fontsize=9, handlelength=1, handleheight=1)
    return figure


def schedule_knots(card: Card) -> tuple[list[float], dict[str, list[float]]]:
    """Tokens, and each domain's share there; two knots at one place are a step."""
    tokens: list[float] = []
    shares: list[Mapping[str, float]] = []
    begin = 0
    for phase in card.mixture.schedule:
        tokens += [begin, phase.until_tokens]
        shares += [phase.first, phase.last]
        begin = phase.until_tokens
    return tokens, {domain: [share.get(domain, 0.0) for share in shares] for domain in card.mixture.by_domain}


def draw_mixture(card: Card) -> "Figure":
    """The asked shares over the tokens of the plan; beside the areas, the share that the whole plan realises."""
    tokens, shares = schedule_knots(card)
    shares = {domain: line for domain, line in sorted(shares.items()) if any(line)}
    figure, axes = _axes(8, 3.2)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(shares))]
    scale, unit = _token_unit(max(tokens))
    axes.stackplot(np.array(tokens) / scale, list(shares.values()), colors=colours, labels=list(shares), linewidth=0)
    axes.set(ylim=(0, 1), xlim=(0, max(tokens) / scale), xlabel=f"{unit}tokens", yticks=np.linspace(0, 1, 5))
    axes.set_yticklabels(["0", "25 %", "50 %", "75 %", "100 %"])
    handles, labels = axes.get_legend_handles_labels()
    realised = card.mixture.by_domain
    labels = [f"{label}  {100 * realised[label].realised_share:.1f} %" for label in labels]
    axes.legend(
        handles[::-1],
        labels[::-1],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        fontsize=9,
        handlelength=1,
        handleheight=1,
    )
    return figure


def _token_unit(tokens: float) -> tuple[float, str]:
    for scale, unit in ((1e9, "billion "), (1e6, "million "), (1e3, "thousand ")):
        if tokens >= scale:
            return scale, unit
    return 1.0, ""


def draw_lengths(card: Card) -> "Figure":
    """Documents by length in bytes, on a binary scale: all of them, and the kept ones in front."""
    histogram = card.signals["bytes"]
    counts, kept = np.array(histogram.documents), np.array(histogram.kept)
    used = np.flatnonzero(counts)
    first, last = (used[0], used[-1] + 1) if len(used) else (0, 1)
    figure, axes = _axes(8, 2.6)
    places = np.arange(first, last)
    axes.bar(
        places, counts[first:last], width=0.86, color=OUTCOME_COLOURS["rejected"], alpha=0.55, label="all documents"
    )
    axes.bar(places, kept[first:last], width=0.86, color=OUTCOME_COLOURS["kept"], label="kept")
    ticks = np.arange(first, last + 1, 1 if last - first < 12 else 2)
    axes.set_xticks(ticks - 0.5, [_bytes_tick(histogram.edges[i]) for i in ticks], fontsize=8)
    axes.set(xlabel="bytes of text in a document", ylabel="documents")
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 1.0), fontsize=9, handlelength=1, handleheight=1)
    return figure


def _bytes_tick(edge: float) -> str:
    for scale, unit in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if edge >= scale:
            return f"{edge / scale:g} {unit}"
    return f"{edge:g}"


FIGURES: "dict[str, Callable[[Card], Figure]]" = {
    "funnel": draw_funnel,
    "mixture": draw_mixture,
    "lengths": draw_lengths,
}
