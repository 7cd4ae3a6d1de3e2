"""How much of the text the knowledge graph reaches."""

from collections import Counter
from dataclasses import dataclass

from gristmill.data_cards.reading import Reading
from gristmill.knowledge.stage import MentionsFacts

LINKED = ("mentions", "triples", "documents_with_entity", "documents_with_linked_pair")


@dataclass(frozen=True, slots=True)
class EntityType:
    """Mentions of entities of one type."""

    type: str
    mentions: int


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Counts over all documents; the types are the most frequent ones of each part, added up."""

    documents: int
    mentions: int
    triples: int
    documents_with_entity: int
    documents_with_linked_pair: int
    top_types: tuple[EntityType, ...]


def knowledge(reading: Reading) -> Knowledge | None:
    """Most frequent types first; None when the recipe joins no graph."""
    if not reading.has("mentions"):
        return None
    parts = reading.facts("mentions", MentionsFacts)
    types: Counter[str] = Counter()
    for part in parts:
        types.update(part.top_types)
    ranked = sorted(types.items(), key=lambda item: (-item[1], item[0]))
    return Knowledge(
        documents=reading.manifest("mentions").rows,
        **{name: sum(getattr(part, name) for part in parts) for name in LINKED},
        top_types=tuple(EntityType(name, mentions) for name, mentions in ranked),
    )
