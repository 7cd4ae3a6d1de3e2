"""What the recipe says of the knowledge graph, and the stage that joins text with it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gristmill.corpus.errors import SourceError, nearest
from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.corpus.stage import DOCUMENTS, Artefacts, CorpusStage, Label, PartStage, SideTable, Signal, StageSpec
from gristmill.knowledge.graph_source import GRAPH_FILES, Read, files_of, format_of


class Neighbours(Section):
    """What the graph says of the entities in packed rows, handed over beside these."""

    max_neighbours: Annotated[int, Field(ge=1, le=64)] = 8  # of an entity in a document, drawn from all that it has
    answers: Annotated[float, Field(ge=0, le=1)] = 0.15  # share of a document's entities that are to be guessed


class Verbalise(Section):
    """The graph as a source of text in several languages, for sources of the format graph."""

    languages: Annotated[tuple[str, ...], Field(min_length=1)]  # a document for each entity in each of them
    templates: dict[str, dict[str, str]] = {}  # sentences of one's own, by language and relation

    def mistakes(self) -> Iterator[Mistake]:
        """A sentence that does not hold the head once and the tails once."""
        for language, sentences in self.templates.items():
            for relation, text in sentences.items():
                if text.count("{head}") != 1 or text.count("{tails}") != 1:
                    yield Mistake(
                        (f"templates.{language}.{relation}",), "a sentence holds {head} once and {tails} once"
                    )


class Knowledge(Section):
    """The graph that text is joined with."""

    graph: str  # folder with entities.parquet and triples.parquet; or files to read, a pattern for several
    read: Read | None = None  # how files of another form are read: Wikidata's dump, N-Triples, CSV, Parquet
    languages: tuple[str, ...] = ()  # labels of these languages only; all when empty
    min_label_chars: Annotated[int, Field(ge=1)] = 4
    domains: dict[str, tuple[str, ...]] = {}  # kept documents whose main type is one of these belong to this domain
    quotas: dict[str, Annotated[int, Field(ge=1)]] = {}  # documents that name a type, drawn in a pass over the corpus
    quota_factor: Annotated[float, Field(ge=1, le=100)] = 4.0  # a document is drawn at most so much oftener for quotas
    support_bytes: Annotated[int, Field(ge=0)] = 200  # a triple has support where its ends stand so near each other
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.25  # probability; names without a likelier entity are left out
    benchmarks: dict[str, str] = {}  # by name: files of a benchmark's triples, counted where a document states them
    verbalise: Verbalise | None = None  # sources of the format graph in these languages; else one in English
    neighbours: Neighbours | None = None  # handed over beside rows, for a trainer that reads the graph

    def mistakes(self) -> Iterator[Mistake]:
        """A domain without types, and a type of two domains; files of an unknown form."""
        if self.read is not None and format_of(self.graph, self.read) is None:
            yield Mistake(("read.format", "graph"), f"the name {self.graph!r} does not tell its form")
        owners: dict[str, str] = {}
        for name, types in self.domains.items():
            if not types:
                yield Mistake((("domains", name),), "names no type of the graph")
            for kind in types:
                if owners.setdefault(kind, name) != name:
                    yield Mistake((("domains", name),), f"type {kind!r} belongs to the domain {owners[kind]!r} already")


def linking_options(section: Knowledge, seed: int) -> Knowledge:  # noqa: ARG001
    """What linking reads of the section: no text is linked again for what counts in decide or is read of rows."""
    later = ("domains", "quotas", "quota_factor", "neighbours", "read", "verbalise")
    return section.model_copy(update={name: Knowledge.model_fields[name].default for name in later})


def expect_types(section: Knowledge) -> None:
    """Every type that [knowledge.domains] and [knowledge.quotas] name is one of the graph's.

    Raises
    ------
    SourceError : names the key, the type and the nearest known one
    """
    named = _named_types(section)
    if not named or is_read(section):  # the types of a graph that is read are known once it is
        return
    check_types(section, f"{section.graph.rstrip('/')}/{GRAPH_FILES[0]}")


def check_types(section: Knowledge, entities: str | Path) -> None:
    """The same, of a file of entities."""
    import pyarrow.parquet as pq

    known = set(pq.read_table(entities, columns=["type"])["type"].to_pylist())
    for key, kind in _named_types(section):
        if kind not in known:
            near = nearest(kind, sorted(one for one in known if one))
            raise SourceError(f"knowledge.{key}: no entity of the graph has the type {kind!r}{near}")


def _named_types(section: Knowledge) -> list[tuple[str, str]]:
    """(key, type) of every type that the section names."""
    named = [(f"domains.{name}", kind) for name, types in section.domains.items() for kind in types]
    return named + [("quotas", kind) for kind in section.quotas]


def is_read(section: Knowledge) -> bool:
    """Whether the graph is read from files of another form; else its two tables are there."""
    return format_of(section.graph, section.read) is not None


def source_files(options: Knowledge) -> Artefacts:
    """The files that a graph is read from."""
    return {"graph": files_of(options.graph, options.read)}


def graph_files(options: Knowledge) -> Artefacts:
    """The two tables of the graph; nothing where they are made. And the triples of benchmarks."""
    benchmarks = {f"{BENCHMARKS}{name}": (path,) for name, path in options.benchmarks.items()}
    if is_read(options):
        return benchmarks
    if Path(options.graph).is_file():
        raise SourceError(
            f"knowledge.graph: the name {options.graph} does not tell what the file holds; set knowledge.read.format "
            "to wikidata, ntriples, csv, tsv or parquet"
        )
    return {"graph": [f"{options.graph.rstrip('/')}/{name}" for name in GRAPH_FILES], **benchmarks}


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


BENCHMARK_SIGNAL = Signal(
    "benchmark_triples", "triples", 0, None, "triples of benchmarks whose two entities are named close together"
)
BENCHMARKS = "benchmarks."  # begins the names of their artefacts


def chosen_signals(options: Knowledge) -> tuple[Signal, ...]:
    """Those of every graph, and that of benchmarks where the recipe names some."""
    return (*SIGNALS, BENCHMARK_SIGNAL) if options.benchmarks else SIGNALS


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
    benchmark_documents: dict[str, int] = field(default_factory=dict)  # that state a triple of each benchmark
    benchmark_stated: dict[str, int] = field(default_factory=dict)  # triples of it that documents state, together


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What was read of a graph's files: lines = used + left out."""

    lines: int  # or rows of tables
    used_lines: int
    entity_rows: int  # one for each entity and language
    triples: int
    left_out: dict[str, int]  # lines by reason
    statements_left_out: dict[str, int]  # statements of the lines that are used
    malformed: tuple[str, ...]  # where the first malformed lines stand


GRAPH = CorpusStage(
    facts=GraphFacts,
    name="graph",
    key="knowledge",
    version="1",
    title="a knowledge graph of another form read into tables of entities and triples",
    section=Knowledge,
    asked=is_read,
    artefacts=source_files,
    run="gristmill.flows.pipeline.graph_entries:read_graph",
)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """A graph as it is linked to."""

    entities: int
    names: int  # labels and aliases that are looked for, and those added to them
    candidates: int  # entities of all names
    triples: int  # distinct, with entities at both ends
    dangling_triples: int

    def to_json(self) -> dict[str, int]:
        """Plain JSON."""
        return asdict(self)


INDEX = CorpusStage(
    facts=IndexFacts,
    name="names",
    key="knowledge",
    version="2",
    reads=("graph",),
    title="names of the graph's entities as an index in files, which every process that links maps",
    section=Knowledge,
    run="gristmill.flows.pipeline.graph_entries:index_names",
)
MENTIONS = PartStage(
    facts=MentionsFacts,
    name="mentions",
    key="knowledge",
    version="4",
    reads=(DOCUMENTS, "names"),
    made=("index", "graph.json"),
    title="entities of the graph in the text, and the triples that join them",
    section=Knowledge,
    artefacts=graph_files,
    options=linking_options,
    ready="gristmill.knowledge.stage:expect_types",
    table="knowledge.parquet",
    measure="gristmill.knowledge.mentions:measure",
    prepare="gristmill.knowledge.mentions:prepare",
    conclude="gristmill.knowledge.mentions:conclude",
    signals=(*SIGNALS, BENCHMARK_SIGNAL),
    chosen=chosen_signals,
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
    reads=("names", "documents", "mentions", "decide", "edits", "tokenizer", "tokens", "shards", "heldout"),
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
