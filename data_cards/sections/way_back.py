"""The way back: the command, and the recipe word for word."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section


def section(card: Card) -> Section:
    """Recipe and rebuild."""
    text = [
        "The recipe below and the inputs listed above give the same shards, byte for byte, with any number of workers. "
        "The command compares every shard with its digest and names the first that differs."
    ]
    return Section("rebuild", "Recipe and rebuild", text, code=[("sh", card.rebuild), ("toml", card.recipe)])
