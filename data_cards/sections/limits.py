"""Known limits, derived from the numbers and from what ran."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section


def section(card: Card) -> Section:
    """Sentences of the card."""
    return Section("limits", "Bias, risks and known limits", items=card.limits)
