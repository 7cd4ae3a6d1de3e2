"""How much of the text the knowledge graph reaches."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table, share_of
from gristmill.data_cards.wording import number, one_line


def section(card: Card) -> Section | None:
    """None where the recipe joins no graph."""
    facts = card.knowledge
    if facts is None:
        return None
    rows = [
        ("mentions of an entity", number(facts.mentions), None),
        _documents("documents with an entity", facts.documents_with_entity, facts.documents),
        _documents(
            "documents with two entities that a triple joins", facts.documents_with_linked_pair, facts.documents
        ),
        ("triples joined to a document", number(facts.triples), None),
    ]
    types = [(one_line(row.type), number(row.mentions)) for row in facts.top_types]
    tables = [
        Table(("joined", "count", "share of documents"), rows),
        Table(("entity type", "mentions"), types, folded=True),
    ]
    text = ["Entities of the knowledge graph were linked in every document, and its triples joined to the text."]
    return Section("knowledge", "Knowledge", text, tables=tables)


def _documents(label: str, n: int, documents: int) -> tuple:
    return label, number(n), share_of(n, documents)
