"""Evaluation passages by benchmark: found in the documents, dropped, kept."""

from collections.abc import Mapping
from typing import Any

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.parts.screens import Contamination
from gristmill.data_cards.wording import counted, number, one_line

COLUMNS = ("evaluation set", "passages", "too short", "found", "documents with one", "dropped", "merged", "kept")


def section(card: Card) -> Section | None:
    """One row for each evaluation set that was looked for; None where none was."""
    found = card.screens.contamination
    if found is None:
        return None
    rows = [_row(one) for one in found]
    text = [_rule(card.lock["recipe"].get("decontaminate") or {}), _outcome(found)]
    return Section("contamination", "Evaluation passages", text, tables=[Table(COLUMNS, rows)])


def _row(one: Contamination) -> tuple[str, ...]:
    merged = one.documents - one.dropped - one.kept
    counts = (one.passages, one.too_short, one.found, one.documents, one.dropped, merged, one.kept)
    return (one_line(one.benchmark), *map(number, counts))


def _rule(options: Mapping[str, Any]) -> str:
    words, share = options.get("ngram", 13), options.get("threshold", 0.5)
    return (
        f"A passage is found in a document that holds {words} of its words in a row (of a shorter passage two fifths), "
        f"a share of {share:g} of its 5-grams, or all words of a short one but one. Case, punctuation and width do not "
        "matter. The ledger names the items of every dropped document."
    )


def _outcome(found: tuple[Contamination, ...]) -> str:
    kept = sum(one.kept for one in found)
    if kept:
        were = "was" if kept == 1 else "were"
        return f"{counted(kept, 'document')} with a passage {were} kept, counted once for each set."
    return "No document in which a passage was found was kept."
