"""Stages with their content keys and code versions, inputs with their digests, libraries."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.lock_facts import libraries, plugins, source_files
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.wording import number, one_line, size


def section(card: Card) -> Section:
    """Everything that decides the bytes of the corpus."""
    stages = [
        (stage.stage, stage.key, stage.version or "–", number(stage.parts), number(stage.rows), size(stage.bytes))
        for stage in card.stages
    ]
    inputs = [
        (source, one_line(file.path), one_line(file.digest), size(file.bytes))
        for source, files in source_files(card.lock).items()
        for file in files
    ]
    versions = sorted({**card.environment, **libraries(card.lock)}.items())
    tables = [
        Table(("stage", "content key", "code", "parts", "rows", "bytes"), stages, left=2),
        Table(("source", "file", "digest", "bytes"), inputs, "Input files", 3, True),
        Table(
            ("library", "version"),
            [(one_line(name), one_line(found)) for name, found in versions],
            "Libraries",
            2,
            True,
        ),
        Table(("plug-in", "version", "sha256"), _plugins(card), "Code from outside", 3),
    ]
    text = ["A stage's key names its input, its code and its parameters: the same key is the same bytes."]
    identity = card.identity
    text += [f"Collected: {identity.collected}."] if identity.collected else []
    text += [f"How it was collected: {identity.collection}"] if identity.collection else []
    return Section("provenance", "Provenance", text, tables=tables)


def _plugins(card: Card) -> list[tuple[str, ...]]:
    """What the recipe names or an installed package announced: its stages and readers decide bytes as well."""
    return [
        (one_line(name), one_line(plugin.version), one_line(plugin.sha256))
        for name, plugin in sorted(plugins(card.lock).items())
    ]
