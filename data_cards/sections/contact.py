"""Who answers, how to have a document removed, how to cite."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.wording import one_line


def section(card: Card) -> Section:
    """What the recipe's [card] states, and what holds for every run."""
    identity = card.identity
    rows = [
        ("creator", one_line(identity.creator)),
        ("contact", one_line(identity.contact)),
        ("published", one_line(identity.published)),
        ("removal", "gristmill takedown RUN --ids FILE removes documents from every stage and writes a record"),
        ("cite as", one_line(f"{identity.name}, version {identity.version}, made with gristmill. {identity.url}")),
    ]
    return Section("contact", "Contact, removal, citation", tables=[Table(("", ""), rows, left=2)])
