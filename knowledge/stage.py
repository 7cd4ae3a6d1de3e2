"""What the recipe says of the knowledge graph, and the stage that joins text with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from gristmill.corpus.errors import SourceError, nearest
from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.corpus.stage import Artefacts, CorpusStage, Label, PartStage, SideTable, Signal, StageSpec

GRAPH_FILES = ("entities.parquet", "triples.parquet")


class Neighbours(Section):
    """What the graph says of the entities in packed rows, handed over beside these."""

    max_neighbours: Annotated[int, Field(ge=1, le=64)] = 8  # of an entity in a document, drawn from all that it has
    answers: Annotated[float, Field(ge=0, le=1)] = 0.15  # share of a document's entities that are to be guessed


class Knowledge(Section):
    """The graph that text is joined with."""

    graph: str  # folder with entities.parquet and triples.parquet
    languages: tuple[str, ...] = ()  # labels of these languages only; all when empty
    min_label_chars: Annotated[int, Field(ge=1)] = 4
    domains: dict[str, tuple[str, ...]] = {}  # kept documents whose main type is one of these belong to this domain
    quotas: dict[str, Annotated[int, Field(ge=1)]] = {}  # documents that name a type, drawn in a pass over the corpus
    quota_factor: Annotated[float, Field(ge=1, le=100)] = 4.0  # a document is drawn at most so much oftener for quotas
    support_bytes: Annotated[int, Field(ge=0)] = 200  # a triple has support where its ends stand so near each other
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.25  # probability; names without a likelier entity are left out
    neighbours: Neighbours | None = None  # handed over beside rows, for a trainer that reads the graph

    def mistakes(self) -> Iterator[Mistake]:
        """A domain without types, and a type of two domains."""
        owners: dict[str, str] = {}
        for name, types in self.domains.items():
            if not types:
                yield Mistake((("domains", name),), "names no type of the graph")
            for kind in types:
                if owners.setdefault(kind, name) != name:
                    yield Mistake((("domains", name),), f"type {kind!r} belongs to the domain {owners[kind]!r} already")


def linking_options(section: Knowledge, seed: int) -> Knowledge:  # noqa: ARG001
    """What linking reads of the section: no text is linked again for what counts in decide or is read of rows."""
    later = ("domains", "quotas", "quota_factor", "neighbours")
    return section.model_copy(update={name: Knowledge.model_fields[name].default for name in later})


def expect_types(section: Knowledge) -> None:
    """Every type that [knowledge.domains] and [knowledge.quotas] name is one of the graph's.

    Raises
    ------
    SourceError : names the key, the type and the nearest known one
    """
    named = [(f"domains.{name}", kind) for name, types in section.domains.items() for kind in types]
    named += [("quotas", kind) for kind in section.quotas]
    if not named:
        return
    import pyarrow.parquet as pq

    known = set(pq.read_table(f"{section.graph.rstrip('/')}/{GRAPH_FILES[0]}", columns=["type"])["type"].to_pylist())
    for key, kind in named:
        if kind not in known:
            near = nearest(kind, sorted(one for one in known if one))
            raise SourceError(f"knowledge.{key}: no entity of the graph has the type {kind!r}{near}")


def graph_files(options: Knowledge) -> Artefacts:
    """The files of the graph."""
    return {"graph": [f"{options.graph.rstrip('/')}/{name}" for name in GRAPH_FILES]}


SIGNALS = (
    Signal("entities", "mentions", 0, None, "mentions of entities"),
    Signal("distinct_entities", "entities", 0, None, "different entities mentioned"),
    Signal("entity_types", "types", 0, None, "different types of the entities mentioned"),
    Signal("entities_per_kilobyte", "mentions/1000 bytes", 0, None, "mentions in 1000 bytes of text"),
    Signal("ambiguous_share", "share of mentions, 0 to 1", 0, 1, "mentions whose name more than one entity has"),
    Signal("linked_pairs", "pairs of entities that share a triple", 0, None, "pairs that a triple of the graph joins"),
    Signal("supported_triples", "triples", 0, None, "triples whose two entities are named close together"),
    Signal("new_pairs", "pairs of entities", 0, None, "pairs named close together twice or more that no triple joins"),
    Signal(
        "mean_log_degree",
        "bits: log2(1 + triples) over distinct entities",
        0,
        None,
        "how well connected the entities are, on average",
    ),
)


@dataclass(frozen=True, slots=True)
class MentionsFacts:
    """What was linked."""

    mentions: int
    unwitnessed: int  # names found whose likeliest entity scores below min_score
    triples: int
    documents_with_entity: int
    documents_with_linked_pair: int
    dangling_triples: int  # of the graph: they name an entity that it does not have
    top_types: dict[str, int]  # mentions by type of the entity, the most frequent ones
    documents_by_entities: dict[str, int] = field(default_factory=dict)  # with 1, 3, 10 different entities or more
    documents_by_type: dict[str, dict[str, int]] = field(default_factory=dict)  # the same of each type
    triples_by_relation: dict[str, int] = field(default_factory=dict)
    supported_by_relation: dict[str, int] = field(default_factory=dict)  # with both ends close together


MENTIONS = PartStage(
    facts=MentionsFacts,
    name="mentions",
    key="knowledge",
    version="3",
    title="entities of the graph in the text, and the triples that join them",
    section=Knowledge,
    artefacts=graph_files,
    options=linking_options,
    ready="gristmill.knowledge.stage:expect_types",
    table="knowledge.parquet",
    measure="gristmill.knowledge.mentions:measure",
    prepare="gristmill.knowledge.mentions:prepare",
    conclude="gristmill.knowledge.mentions:conclude",
    signals=SIGNALS,
    tables=(
        SideTable("mentions.parquet", "gristmill.corpus.schema:MENTIONS", aligned=True),
        SideTable("triples.parquet", "gristmill.corpus.schema:TRIPLES"),
        SideTable("types.parquet", "gristmill.corpus.schema:ENTITY_TYPES", aligned=True),
    ),
    labels=(Label("main_type", "type of most mentions; empty where none is linked"),),
)


@dataclass(frozen=True, slots=True)
class NeighboursFacts:
    """Mentions of one domain's kept documents and what its rows hold of them: mentions = placed + left out."""

    mentions: int
    placed: int  # in a row, whole
    answers: int  # of these: to be guessed, without neighbours
    left_out: dict[str, int]  # mentions by reason
    edges: int  # neighbours handed over, once for each document and entity
    leaking: int  # neighbours removed: they are, or their name holds, an answer of the document
    beyond: int  # neighbours more than max_neighbours


NEIGHBOURS = CorpusStage(
    name="neighbours",
    key="knowledge.neighbours",
    version="1",
    reads=("documents", "mentions", "decide", "edits", "tokenizer", "tokens", "shards", "heldout"),
    title="entities in packed rows and their neighbours in the graph, beside the rows",
    section=Neighbours,
    facts=NeighboursFacts,
    run="gristmill.flows.pipeline.row_neighbours:export_neighbours",
)
VERBALISE = StageSpec(
    name="verbalise",
    version="1",
    title="the graph put into words; its documents are those of a source of the format graph",
)
