"""Every rule that dropped a document, with its bound and what it cost; and what reviewers decided."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.parts.ledger import DroppedRule
from gristmill.data_cards.wording import counted, number, one_line, size
from gristmill.filters.decide.stage import Reviewed

COLUMNS = ("rule", "signal", "must be", "profile", "documents", "alone", "text")
SIGNAL = COLUMNS.index("signal")  # empty where the rule is named after it
TEXT = (
    "A document is dropped when it fails any rule, and the ledger keeps all that it failed, so the column "
    "documents counts some of them more than once. Alone counts those that failed this rule and no other: "
    "what would come back without it. A rule without a signal here is named after its own."
)


def section(card: Card) -> Section:
    """Rules, most documents first."""
    text = [TEXT if card.drops else "No rule dropped a document.", *reviews(card.reviewed)]
    table = Table(COLUMNS, [_row(rule) for rule in card.drops], left=4)
    tables = [table if any(row[SIGNAL] for row in table.rows) else table.without(SIGNAL)]
    return Section("rules", "Rules that dropped documents", text, tables=tables)


def _row(rule: DroppedRule) -> tuple:
    return (
        one_line(rule.rule),
        "" if rule.signal == rule.rule else one_line(rule.signal),
        one_line(rule.bound),
        one_line(rule.profile),
        number(rule.documents),
        number(rule.alone),
        size(rule.bytes),
    )


def reviews(reviewed: Reviewed) -> list[str]:
    """What people decided of single documents; empty without decisions.

    >>> reviews(Reviewed(4, 0, 3))[0]
    'Reviewers kept 4 documents and dropped 0.'
    """
    if not (reviewed.keep or reviewed.drop or reviewed.stale):
        return []
    text = [f"Reviewers kept {counted(reviewed.keep, 'document')} and dropped {number(reviewed.drop)}."]
    if reviewed.stale:
        text.append(
            f"{number(reviewed.stale)} decisions were made on an earlier version of the text and were not applied."
        )
    return text
