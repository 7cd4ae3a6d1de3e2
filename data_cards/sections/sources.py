"""What was read, under which licence, and how much of it stays."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table, share_of
from gristmill.data_cards.parts.sources import SourceRow
from gristmill.data_cards.wording import number, one_line, size

COLUMNS = ("source", "domain", "use", "format", "licence", "files", "on disk", "documents", "text", "kept")


def section(card: Card) -> Section:
    """Sources of the recipe, licences as documents state them, hosts."""
    stated = [
        (row.source, one_line(row.license), number(row.documents), size(row.bytes), number(row.kept))
        for row in card.licenses
    ]
    hosts = [(one_line(row.host), number(row.documents), size(row.bytes), number(row.kept)) for row in card.hosts]
    licences = ("source", "licence", "documents", "text", "kept")
    tables = [
        Table(COLUMNS, [_row(source) for source in card.sources], left=5),
        Table(licences, stated, "Licences as the documents state them", 2, True),
        Table(("host", "documents", "text", "kept"), hosts, "Hosts with most documents", 1, True),
    ]
    text = ["A licence given here is the one that the recipe states for documents that carry none."]
    return Section("sources", "Sources", text, tables=tables)


def _row(source: SourceRow) -> tuple:
    return (
        source.name,
        source.domain,
        source.use,
        one_line(source.format),
        one_line(source.license),
        number(source.files or None),
        size(source.file_bytes) if source.files else None,
        number(source.documents),
        size(source.text_bytes),
        share_of(source.kept, source.documents),
    )
