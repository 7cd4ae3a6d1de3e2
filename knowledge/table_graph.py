"""A graph in tables of others: triples and entities as CSV, TSV or Parquet, columns of any name, row by row."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.knowledge.graph_lines import open_unpacked
from gristmill.knowledge.graph_source import ENTITY_COLUMNS, TRIPLE_COLUMNS, Read
from gristmill.knowledge.graph_tables import Entity, GraphAccount, GraphTables

MAX_CELL_BYTES = 2**31 - 1  # csv's own limit, 128 KiB, is one for the whole process
ALIAS_BORDER = "|"  # between the aliases in one cell of a CSV
Row = Mapping[str, Any]


def read_entity_table(path: Path, form: str, options: Read, tables: GraphTables, account: GraphAccount) -> set[str]:
    """Add the entities of a table; returns their ids."""
    known: set[str] = set()
    for row in _rows(path, form, options, ENTITY_COLUMNS, account):
        name, label, lang = (_text(row, key) for key in ("id", "label", "lang"))
        if not name or not label:
            account.left_out["no_label" if name else "no_id"] += 1
        elif options.languages and lang and lang not in options.languages:
            account.left_out["other_language"] += 1
        elif options.types and _text(row, "type") not in options.types:
            account.left_out["other_type"] += 1
        else:
            entity: Entity = (
                name,
                label,
                lang,
                _aliases(row.get("aliases")),
                _text(row, "description"),
                _text(row, "type"),
            )
            tables.add(entities=[entity])
            known.add(name)
            account.used_lines += 1
    return known


def read_triple_table(
    path: Path, form: str, options: Read, known: set[str], tables: GraphTables, account: GraphAccount
) -> None:
    """Add the triples of a table whose head is one of the entities ``known``."""
    for row in _rows(path, form, options, TRIPLE_COLUMNS, account):
        head, relation, tail = (_text(row, key) for key in TRIPLE_COLUMNS)
        if not (head and relation and tail):
            account.left_out["empty_cell"] += 1
        elif options.relations and relation not in options.relations:
            account.left_out["other_relation"] += 1
        elif head not in known:
            account.left_out["head_is_no_entity"] += 1
        else:
            tables.add(triples=[(head, relation, tail)])
            account.used_lines += 1
            account.statements += 1
            account.triples += 1


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value).strip()


def _aliases(value: Any) -> list[str]:
    found = value.split(ALIAS_BORDER) if isinstance(value, str) else value or ()
    return [one.strip() for one in found if one and one.strip()]


def _rows(path: Path, form: str, options: Read, names: Sequence[str], account: GraphAccount) -> Iterator[Row]:
    """Rows by our names; those of another length are counted and left out.

    Raises
    ------
    SourceError : the file cannot be read as what it should be; SchemaError : a column is missing
    """
    wanted = {options.columns.get(name, name): name for name in names}
    needed = {theirs for theirs, name in wanted.items() if name in (*TRIPLE_COLUMNS, "id", "label")}
    if form == "parquet":
        rows = _of_parquet(path, wanted, needed)
    else:
        rows = _of_csv(path, _Csv("\t" if form == "tsv" else ",", options.header, wanted, needed), account)
    for row in rows:
        account.lines += 1
        if row is not None:
            yield row


def _of_parquet(path: Path, wanted: Mapping[str, str], needed: set[str]) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            _expect(path, file.schema_arrow.names, needed)
            columns = [theirs for theirs in wanted if theirs in file.schema_arrow.names]
            for batch in file.iter_batches(columns=columns):
                yield from ({wanted[name]: value for name, value in row.items()} for row in batch.to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"knowledge.graph: {path} is no Parquet file ({error}); set knowledge.read.format") from None


class _Csv(NamedTuple):
    """What a file of text looks like; ``wanted``: our names by the file's, in our order; ``needed`` of the file's."""

    border: str
    header: bool
    wanted: Mapping[str, str]
    needed: set[str]


def _of_csv(path: Path, form: _Csv, account: GraphAccount) -> Iterator[Row | None]:
    csv.field_size_limit(MAX_CELL_BYTES)
    try:
        with open_unpacked(path) as raw:
            reader = csv.reader(io.TextIOWrapper(raw, "utf-8-sig", newline=""), delimiter=form.border)
            heads = next(reader, []) if form.header else list(form.wanted)
            if form.header:
                _expect(path, heads, form.needed)
            for cells in reader:
                if len(cells) == len(heads) or (not form.header and len(cells) < len(heads)):
                    named = zip(heads, cells, strict=False)
                    yield {form.wanted[head]: cell for head, cell in named if head in form.wanted}
                else:
                    account.malformed(path, reader.line_num, "other_length", f"{len(cells)} cells of {len(heads)}")
                    yield None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"knowledge.graph: {path} cannot be read as text cells: {error}; set knowledge.read.format"
        ) from None


def _expect(path: Path, found: Sequence[str], needed: set[str]) -> None:
    for name in sorted(needed - set(found)):
        raise SchemaError(
            f"knowledge.read.columns: {path} has no column {name!r}, it has {', '.join(found)}; say which of them it is"
        )
