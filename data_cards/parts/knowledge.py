"""How much of the text the knowledge graph reaches."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from gristmill.corpus.facts import add_facts
from gristmill.data_cards.reading import Reading
from gristmill.filters.decide.stage import DecideFacts
from gristmill.knowledge.stage import GraphFacts, MentionsFacts, NeighboursFacts

TYPES, RELATIONS = 20, 20  # that a card names
LINKED = ("mentions", "triples", "documents_with_entity", "documents_with_linked_pair")


@dataclass(frozen=True, slots=True)
class EntityType:
    """Mentions of entities of one type."""

    type: str
    mentions: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Documents that name so many different entities or more: of a type, of any where the type is empty."""

    type: str
    documents: dict[str, int]  # by 1, 3, 10


@dataclass(frozen=True, slots=True)
class Relation:
    """Triples of a relation that were joined to documents, and those whose ends a document names close together."""

    relation: str
    triples: int
    supported: int


@dataclass(frozen=True, slots=True)
class TypeQuota:
    """A quota of [knowledge.quotas], in documents that name the type and are drawn in a pass over the corpus."""

    type: str
    asked: int
    documents: int  # kept, not held out
    before: float  # drawn without the quotas
    drawn: float
    reached: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines, or statements of lines, of the graph's files that gave nothing, for one reason."""

    reason: str
    lines: int
    statements: int


@dataclass(frozen=True, slots=True)
class GraphSource:
    """What was read of a graph of another form: lines = used + left out."""

    lines: int
    used_lines: int
    entity_rows: int
    triples: int
    left_out: tuple[LeftOut, ...]
    malformed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Neighbourhoods handed over beside rows: mentions = placed + left out."""

    mentions: int
    placed: int
    answers: int
    edges: int
    leaking: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class BenchmarkStated:
    """A benchmark's triples in all documents, before any was dropped."""

    benchmark: str
    documents: int  # that state one
    stated: int  # triples that documents state, together


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Counts over all documents; the types are the most frequent ones of each part, added up."""

    documents: int
    mentions: int
    triples: int
    documents_with_entity: int
    documents_with_linked_pair: int
    top_types: tuple[EntityType, ...]
    coverage: tuple[Coverage, ...] = ()
    relations: tuple[Relation, ...] = ()
    quotas: tuple[TypeQuota, ...] = ()
    benchmarks: tuple[BenchmarkStated, ...] = ()
    source: GraphSource | None = None
    neighbours: Beside | None = None


def knowledge(reading: Reading) -> Knowledge | None:
    """Most frequent types first; None when the recipe joins no graph."""
    if not reading.has("mentions"):
        return None
    parts, (decided,) = reading.facts("mentions", MentionsFacts), reading.facts("decide", DecideFacts)
    total = add_facts(parts)
    types: dict[str, int] = total.top_types if total else {}
    ranked = sorted(types.items(), key=lambda item: (-item[1], item[0]))
    return Knowledge(
        documents=reading.manifest("mentions").rows,
        **{name: sum(getattr(part, name) for part in parts) for name in LINKED},
        top_types=tuple(EntityType(name, mentions) for name, mentions in ranked),
        coverage=tuple(_coverage(total)) if total else (),
        relations=tuple(_relations(total)) if total else (),
        quotas=tuple(TypeQuota(name, **asdict(one)) for name, one in sorted(decided.quotas.items())),
        benchmarks=tuple(_benchmarks(total)) if total else (),
        source=_source(reading),
        neighbours=_beside(reading),
    )


def _benchmarks(facts: MentionsFacts) -> Iterator[BenchmarkStated]:
    for name, documents in facts.benchmark_documents.items():
        yield BenchmarkStated(name, documents, facts.benchmark_stated[name])


def _source(reading: Reading) -> GraphSource | None:
    """None where the tables of the graph were there."""
    if not reading.has("graph"):
        return None
    (facts,) = reading.facts("graph", GraphFacts)
    names = sorted({*facts.left_out, *facts.statements_left_out})
    left_out = tuple(LeftOut(one, facts.left_out.get(one, 0), facts.statements_left_out.get(one, 0)) for one in names)
    counts = (facts.lines, facts.used_lines, facts.entity_rows, facts.triples)
    return GraphSource(*counts, left_out, tuple(facts.malformed))


def _beside(reading: Reading) -> Beside | None:
    if not reading.has("neighbours"):
        return None
    total = add_facts(reading.facts("neighbours", NeighboursFacts))
    assert total is not None
    return Beside(total.mentions, total.placed, total.answers, total.edges, total.leaking, dict(total.left_out))


def _coverage(facts: MentionsFacts) -> Iterator[Coverage]:
    """Of all types first, then those that most documents name."""
    if facts.documents_by_entities:
        yield Coverage("", facts.documents_by_entities)
    by_type = sorted(facts.documents_by_type.items(), key=lambda item: (-item[1]["1"], item[0]))
    yield from (Coverage(name, documents) for name, documents in by_type[:TYPES])


def _relations(facts: MentionsFacts) -> Iterator[Relation]:
    """Most triples first."""
    ranked = sorted(facts.triples_by_relation.items(), key=lambda item: (-item[1], item[0]))
    for name, triples in ranked[:RELATIONS]:
        yield Relation(name, triples, facts.supported_by_relation.get(name, 0))
