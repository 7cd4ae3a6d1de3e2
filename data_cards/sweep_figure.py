"""The figure of a sweep: what is kept at each bound, in documents and bytes, and each source's share of it."""

from typing import TYPE_CHECKING, Any

from gristmill.data_cards.figures import COLOURS, FATES, svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sweep_svg(result: dict[str, Any]) -> str:
    """SVG text of what ``gristmill.flows.inspect.sweep.sweep_run`` returns; the same result gives the same bytes."""
    return svg_text(draw_sweep, result, "sweep")


def draw_sweep(result: dict[str, Any]) -> "Figure":
    """Above: kept documents and bytes over the bound. Below: shares of the kept bytes by source."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5))
    kept, shares = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    documents, size = result["kept_documents"], result["kept_bytes"]
    colours = (FATES["kept"], FATES["dropped"])
    for values, name, colour in zip((documents, size), ("documents", "bytes"), colours, strict=True):
        share = [value / max(*values, 1) for value in values]
        kept.plot(result["bounds"], share, color=colour, label=f"{name}, of at most {max(values):,}")
    sources = result["by_source"]
    curves = [source["share"] for source in sources.values()]
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(sources))]
    shares.stackplot(result["bounds"], curves, colors=colours, labels=list(sources), linewidth=0)
    for axes, label in ((kept, "kept"), (shares, "share of kept bytes")):
        axes.set(ylim=(0, 1.02), yticks=(0, 0.5, 1), yticklabels=("0", "50 %", "100 %"), ylabel=label)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, handlelength=1)
    shares.set(xlabel=result["key"], xlim=(result["bounds"][0], result["bounds"][-1]))
    return figure
