"""What was scanned for in every document, before any verdict."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.parts.screens import Screens
from gristmill.data_cards.wording import number, one_line, size

DONE = {"mask": "masked", "drop": "counted for a rule", "count": "counted", None: "not stated"}


def section(card: Card) -> Section | None:
    """One table for each scan that ran; None where none did."""
    found = card.screens
    tables = [_pii(found), _blocklist(found), _line_edits(found)]
    if not any(table.rows for table in tables):
        return None
    text = ["Counted over all documents, kept or not. Which of them were dropped for it, the rules above say."]
    return Section("screens", "Scans of the text", text, tables=tables)


def _pii(found: Screens) -> Table:
    rows = [
        (one_line(one.kind), DONE.get(one.action, one_line(one.action)), number(one.finds)) for one in found.pii or ()
    ]
    return Table(("kind", "what was done", "finds"), rows, "Personal data", 2)


def _blocklist(found: Screens) -> Table:
    listed = found.blocklist
    rows = []
    if listed:
        counts = {"word or phrase": listed.blocked_words, "address": listed.blocked_url, "text": listed.blocked_hash}
        rows = [(what, number(n)) for what, n in counts.items()]
    return Table(("listed", "documents with one"), rows, "Block lists")


def _line_edits(found: Screens) -> Table:
    reasons = found.line_edits.bytes_by_reason if found.line_edits else {}
    rows = [(one_line(reason), size(n_bytes)) for reason, n_bytes in reasons.items()]
    return Table(("rule", "bytes of lines"), rows, "Lines that a rule marks")
