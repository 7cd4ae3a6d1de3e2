"""Documents and text by language, most documents first."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.wording import number, one_line, size

SHOWN = 12
BY = {"model": "Identified by model, on every document.", "input": "As the inputs state them; no model was asked."}


def section(card: Card) -> Section | None:
    """The most frequent ones, the others on demand."""
    total = sum(row.documents for row in card.languages)
    if not total:
        return None
    rows = [
        (one_line(row.lang), number(row.documents), Share(row.documents / total), size(row.bytes), number(row.kept))
        for row in card.languages
    ]
    columns = ("language", "documents", "share", "text", "kept")
    folded = Table(columns, rows[SHOWN:], "Less frequent labels, many of them mistaken", 1, True)
    return Section("languages", "Languages", [BY[card.languages_by]], tables=[Table(columns, rows[:SHOWN]), folded])
