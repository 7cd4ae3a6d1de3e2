"""Where a graph comes from: the two tables of ``gristmill.knowledge.graph``, or files that are read into such tables.

Here are the recipe's names of formats and files; what reads them stands in ``read_graph``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from gristmill.corpus.errors import SourceError
from gristmill.corpus.recipe_values import Mistake, Section

GRAPH_FILES = ("entities.parquet", "triples.parquet")
SUFFIXES = {
    ".json": "wikidata",
    ".jsonl": "wikidata",
    ".nt": "ntriples",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
PACKED = (".gz", ".bz2")
TABLES = ("csv", "tsv", "parquet")
TRIPLE_COLUMNS = ("head", "relation", "tail")
ENTITY_COLUMNS = ("id", "label", "lang", "aliases", "description", "type")


class Read(Section):
    """How a graph of another form is read: a Wikidata dump, N-Triples, or tables with other columns."""

    format: Literal["wikidata", "ntriples", "csv", "tsv", "parquet"] | None = None  # from the file's name when left out
    entities: str | None = None  # tables: the file of entities, where graph is that of triples
    header: bool = True  # csv, tsv: the first line names the columns; else head, relation, tail and id, label ...
    columns: dict[str, str] = Field(default_factory=dict)  # tables: our name = the file's
    languages: tuple[str, ...] = ()  # of labels, aliases and descriptions; knowledge.languages when empty
    relations: tuple[str, ...] = ()  # triples of these alone; all when empty
    types: tuple[str, ...] = ()  # entities of these types alone; all when empty
    type_relation: str | None = None  # tells an entity's type; P31, or rdf:type, when left out
    best_rank: bool = True  # wikidata: the preferred statements where a property has such; deprecated ones never

    def mistakes(self) -> Iterator[Mistake]:
        """Names of columns that no table has."""
        for name in self.columns:
            if name not in (*TRIPLE_COLUMNS, *ENTITY_COLUMNS):
                text = f"{name!r} is none of {', '.join((*TRIPLE_COLUMNS, *ENTITY_COLUMNS))}"
                yield Mistake(("columns",), text)


def format_of(graph: str, read: Read | None) -> str | None:
    """The form of the files; None for a folder with entities.parquet and triples.parquet, or a name that tells nothing.

    >>> format_of("latest-all.json.bz2", None), format_of("graph", None), format_of("x.txt", Read(format="tsv"))
    ('wikidata', None, 'tsv')
    """
    if read is not None and read.format is not None:
        return read.format
    name = graph.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return SUFFIXES.get(Path(name).suffix)


def files_of(graph: str, read: Read | None) -> tuple[str, ...]:
    """The files to read, that of entities last; empty where the tables are there already.

    Raises
    ------
    SourceError : a pattern that no file fits, or triples without a file of entities
    """
    form = format_of(graph, read)
    if form is None:
        return ()
    paths = _matching(graph) if any(one in graph for one in "*?[") else [graph]
    if not paths:
        raise SourceError(f"knowledge.graph: no file fits {graph}")
    if form in TABLES:
        if read is None or read.entities is None:
            raise SourceError(
                f"knowledge.graph: {graph} holds triples, and their labels stand elsewhere; name the file of entities "
                "with knowledge.read.entities"
            )
        paths.append(read.entities)
    return tuple(paths)


def _matching(pattern: str) -> list[str]:
    """Files that a pattern fits, sorted; pathlib takes only patterns that begin where it stands."""
    root = Path(pattern).anchor
    return sorted(map(str, Path(root).glob(pattern.removeprefix(root))))
