"""The figure of a sweep: what is kept at each bound, in documents and bytes, and each source's share of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gristmill.data_cards.figures import COLOURS, OUTCOME_COLOURS, svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was kept at each bound of one key; shares of the kept bytes by source, one a bound."""

    key: str
    bounds: Sequence[float]
    documents: Sequence[int]
    bytes: Sequence[int]
    shares: Mapping[str, Sequence[float]]


def sweep_svg(result: Mapping[str, Any]) -> str:
    """SVG text of what ``gristmill.flows.inspect.sweep.sweep_run`` returns; the same result gives the same bytes."""
    shares = {name: source["share"] for name, source in result["by_source"].items()}
    sweep = Sweep(result["key"], result["bounds"], result["kept_documents"], result["kept_bytes"], shares)
    return svg_text(draw_sweep, sweep, "sweep")


def draw_sweep(sweep: Sweep) -> "Figure":
    """Above: kept documents and bytes over the bound. Below: shares of the kept bytes by source."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5))
    kept, shares = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    outcomes = (OUTCOME_COLOURS["kept"], OUTCOME_COLOURS["dropped"])
    for values, name, colour in zip((sweep.documents, sweep.bytes), ("documents", "bytes"), outcomes, strict=True):
        share = [value / max(*values, 1) for value in values]
        kept.plot(sweep.bounds, share, color=colour, label=f"{name}, of at most {max(values):,}")
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(sweep.shares))]
    shares.stackplot(sweep.bounds, list(sweep.shares.values()), colors=colours, labels=list(sweep.shares), linewidth=0)
    for axes, label in ((kept, "kept"), (shares, "share of kept bytes")):
        axes.set(ylim=(0, 1.02), yticks=(0, 0.5, 1), yticklabels=("0", "50 %", "100 %"), ylabel=label)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, handlelength=1)
    shares.set(xlabel=sweep.key, xlim=(sweep.bounds[0], sweep.bounds[-1]))
    return figure
