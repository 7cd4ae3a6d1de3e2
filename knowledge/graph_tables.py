"""Writing a graph's tables while its source is read, and the account of what was left out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from gristmill.corpus.errors import ConservationError
from gristmill.corpus.tables import PartWriter
from gristmill.knowledge.graph_source import GRAPH_FILES

ENTITIES = pa.schema(
    [
        pa.field("id", pa.string(), False),
        pa.field("label", pa.string(), False),
        pa.field("lang", pa.string(), False),
        pa.field("aliases", pa.list_(pa.string()), False),
        pa.field("description", pa.string(), False),
        pa.field("type", pa.string(), False),
    ]
)
TRIPLES = pa.schema([pa.field(name, pa.string(), False) for name in ("head", "relation", "tail")])
RELATIONS_FILE = "relations.parquet"
RELATIONS = pa.schema([pa.field(name, pa.string(), False) for name in ("id", "lang", "label")])  # names of relations
BATCH_ROWS = 1 << 16
EXAMPLES = 20  # of malformed lines, by place

Entity = tuple[str, str, str, Sequence[str], str, str]  # in the order of ENTITIES
Triple = tuple[str, str, str]


@dataclass
class GraphAccount:
    """Lines read, and why some gave nothing; statements in the lines that gave something, likewise."""

    lines: int = 0  # of the files; rows of tables
    used_lines: int = 0
    statements: int = 0
    triples: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # lines
    statements_left_out: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)  # file, line and reason of the first malformed lines

    def malformed(self, path: Path, line: int, reason: str, detail: str = "") -> None:
        """Count a line that is not of its form, and keep where it is."""
        self.left_out[reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{path.name}:{line}: {reason}{f' ({detail})' if detail else ''}")

    def check(self, path: Path) -> None:
        """Raise ConservationError where a line or statement is neither used nor counted."""
        if self.lines != self.used_lines + self.left_out.total():
            raise ConservationError(f"{path}: {self.lines} lines, {self.used_lines} used, {dict(self.left_out)}")
        if self.statements != self.triples + self.statements_left_out.total():
            raise ConservationError(
                f"{path}: {self.statements} statements, {self.triples} triples, {dict(self.statements_left_out)}"
            )


class GraphTables:
    """``with GraphTables(folder) as tables: tables.add(entities, triples)``; memory: one batch of each."""

    def __init__(self, folder: Path):
        schemas, names = (ENTITIES, TRIPLES, RELATIONS), (*GRAPH_FILES, RELATIONS_FILE)
        self._tables = [BufferedRows(folder / name, schema) for name, schema in zip(names, schemas, strict=True)]

    def add(
        self, entities: Iterable[Entity] = (), triples: Iterable[Triple] = (), relations: Iterable[Triple] = ()
    ) -> None:
        """Append rows: (id, lang, label) of relations."""
        for table, rows in zip(self._tables, (entities, triples, relations), strict=True):
            table.add(rows)

    @property
    def n_entity_rows(self) -> int:
        """Rows of entities so far, one for each entity and language."""
        return self._tables[0].rows

    def __enter__(self) -> "GraphTables":
        for table in self._tables:
            table.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for table in self._tables:
            table.__exit__(*error)


class BufferedRows:
    """``with BufferedRows(path, schema) as rows: rows.add([...])``: a table, written ``BATCH_ROWS`` at a time."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.rows = 0
        self._writer, self._schema, self._pending = PartWriter(path, schema), schema, list[Sequence[object]]()

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """Append rows."""
        before = len(self._pending)
        self._pending.extend(rows)
        self.rows += len(self._pending) - before
        if len(self._pending) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = list(zip(*self._pending, strict=True)) or [()] * len(self._schema)
        arrays = [pa.array(column, one.type) for column, one in zip(columns, self._schema, strict=True)]
        self._writer.write(pa.record_batch(arrays, schema=self._schema))
        self._pending = []

    def __enter__(self) -> "BufferedRows":
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
        self._writer.__exit__(*error)  # pyright: ignore[reportArgumentType]
