"""Ranges of the shown signals, and the histogram of lengths."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.parts.histogram import Histogram
from gristmill.data_cards.wording import number

COLUMNS = ("signal", "unit", "lowest", "mean", "highest")


def section(card: Card) -> Section | None:
    """Signals that have a value."""
    signals = {name: one for name, one in card.signals.items() if sum(one.documents)}
    if not signals:
        return None
    rows = [
        (name.replace("_", " "), one.unit or "–", number(one.lowest), number(one.mean), number(one.highest))
        for name, one in signals.items()
    ]
    tables = [Table(COLUMNS, rows, "Over all documents, before any verdict", 2)]
    tables += [_histogram(name, one) for name, one in signals.items()]
    caption = "Documents by length: all of them, and those kept"
    return Section("lengths", "Lengths and entropies", figure=("lengths.svg", caption), tables=tables)


def _histogram(name: str, histogram: Histogram) -> Table:
    edges, total = histogram.edges, sum(histogram.documents)
    bins = zip(edges, edges[1:], histogram.documents, histogram.kept, strict=False)
    rows = [
        (f"{number(low)} to {number(high)}", number(documents), Share(documents / total), number(kept))
        for low, high, documents, kept in bins
        if documents
    ]
    return Table((name.replace("_", " "), "documents", "share", "kept"), rows, f"Histogram of {name}", 1, True)
