"""Where the rooms stand, and that each has one name: beside ``gristmill/`` in a checkout, in it once installed."""

from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = (
    "corpus",
    "data_cards",
    "dedup",
    "filters",
    "flows",
    "gristmill",
    "handoff",
    "knowledge",
    "mixing",
    "sources",
    "tokenizer",
    "trainer",
)


def check(name: str) -> None:
    """Raise ImportError for a room under a name of its own: it would be a second module with a state of its own."""
    if not name.startswith("gristmill."):
        raise ImportError(f"import gristmill.{name}, not {name}: a room has one name")
