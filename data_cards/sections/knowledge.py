"""How much of the text the knowledge graph reaches."""

from collections.abc import Iterator

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table, share_of
from gristmill.data_cards.parts.knowledge import Knowledge
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
        *_coverage(facts),
        *_quotas(facts),
        *_relations(facts),
        *_benchmarks(facts),
        *_source(facts),
        *_beside(facts),
    ]
    text = ["Entities of the knowledge graph were linked in every document, and its triples joined to the text."]
    return Section("knowledge", "Knowledge", text, tables=tables)


def _documents(label: str, n: int, documents: int) -> tuple:
    return label, number(n), share_of(n, documents)


def _coverage(facts: Knowledge) -> Iterator[Table]:
    """Shares of documents with 1, 3, 10 entities or more, by type."""
    if facts.coverage:
        least = list(facts.coverage[0].documents)
        rows = [
            (
                one_line(row.type) if row.type else "any type",
                *(share_of(row.documents[n], facts.documents) for n in least),
            )
            for row in facts.coverage
        ]
        yield Table(("documents that name entities of", *(f"{n} or more" for n in least)), rows)


def _quotas(facts: Knowledge) -> Iterator[Table]:
    """Quotas by type, and how far the weights come."""
    if facts.quotas:
        rows = [
            (one_line(row.type), number(row.asked), number(row.documents), f"{row.before:,.1f}", f"{row.drawn:,.1f}",
             "yes" if row.reached else "no")
            for row in facts.quotas
        ]  # fmt: skip
        heads = ("type with a quota", "asked a pass", "documents", "drawn without", "drawn with", "reached")
        yield Table(heads, rows)


def _relations(facts: Knowledge) -> Iterator[Table]:
    """Triples by relation, and how many of them a document states: it names both ends close together."""
    if facts.relations:
        rows = [
            (one_line(row.relation), number(row.triples), share_of(row.supported, row.triples))
            for row in facts.relations
        ]
        yield Table(("relation", "triples joined", "with both ends close together"), rows, folded=True)


def _benchmarks(facts: Knowledge) -> Iterator[Table]:
    """How much of each benchmark's knowledge the documents state."""
    if facts.benchmarks:
        rows = [
            (
                one_line(row.benchmark),
                number(row.documents),
                share_of(row.documents, facts.documents),
                number(row.stated),
            )
            for row in facts.benchmarks
        ]
        yield Table(
            ("benchmark", "documents that state a triple of it", "share", "triples stated, over documents"), rows
        )


def _source(facts: Knowledge) -> Iterator[Table]:
    """Lines of the graph's files, and why some gave nothing."""
    if facts.source is not None:
        found = facts.source
        rows = [("read", number(found.lines), ""), ("used", number(found.used_lines), number(found.triples))]
        rows += [(one_line(row.reason), number(row.lines), number(row.statements)) for row in found.left_out]
        yield Table(("files of the graph", "lines", "triples, or statements left out"), rows)
        if found.malformed:
            yield Table(
                ("malformed lines, the first ones",), [(one_line(one),) for one in found.malformed], folded=True
            )


def _beside(facts: Knowledge) -> Iterator[Table]:
    """Mentions in packed rows, and the neighbours handed over with them."""
    if facts.neighbours is not None:
        found = facts.neighbours
        rows = [
            ("mentions in kept documents", number(found.mentions)),
            ("whole in a row", number(found.placed)),
            *((f"left out: {one_line(reason)}", number(n)) for reason, n in found.left_out.items()),
            ("answers, without neighbours", number(found.answers)),
            ("neighbours", number(found.edges)),
            ("neighbours removed since they name an answer", number(found.leaking)),
        ]
        yield Table(("neighbourhoods beside rows", "count"), rows)
