"""Statements in any order, as N-Triples have them, brought together by subject."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from gristmill.corpus.tables import PartWriter
from gristmill.knowledge.graph_source import Read
from gristmill.knowledge.graph_tables import BATCH_ROWS, GraphAccount, GraphTables
from gristmill.knowledge.ntriples import ALIAS, DESCRIPTION, LABEL, TEXTS, TYPE_RELATION, Statement

_TEXT = pa.schema([(name, pa.string()) for name in ("id", "kind", "lang", "text")])
_LINK = pa.schema([(name, pa.string()) for name in ("head", "relation", "tail")])


def group_statements(
    statements: Iterable[Statement], options: Read, folder: Path, tables: GraphTables, account: GraphAccount
) -> None:
    """Add the entities and triples of all statements. Memory: the labels, aliases and descriptions that are wanted."""
    with TemporaryDirectory(dir=folder) as aside:
        texts, links = Path(aside, "texts.parquet"), Path(aside, "links.parquet")
        with _Rows(texts, _TEXT) as to_texts, _Rows(links, _LINK) as to_links:
            for one in statements:
                reason = _sort(one, options, to_texts, to_links)
                if reason:
                    account.used_lines -= 1
                    account.left_out[reason] += 1
        entities = _entities(pl.read_parquet(texts), _types(links, options), options)
        tables.add(entities=entities.rows())
        _add_links(links, entities["id"].unique(), options, tables, account)


def _sort(one: Statement, options: Read, texts: "_Rows", links: "_Rows") -> str:
    """Keep a statement among texts or links; why not, if not."""
    if one.tail is not None:
        kept = not options.relations or one.relation in (*options.relations, options.type_relation or TYPE_RELATION)
        if kept:
            links.add((one.head, one.relation, one.tail))
        return "" if kept else "other_relation"
    if one.relation not in TEXTS:
        return "literal"
    if options.languages and one.lang not in options.languages:
        return "other_language"
    if not (one.text or "").strip():
        return "empty_text"
    texts.add((one.head, TEXTS[one.relation], one.lang, one.text))
    return ""


def _types(links: Path, options: Read) -> pl.DataFrame:
    """(id, type): the first type that is wanted, or the first."""
    relation = options.type_relation or TYPE_RELATION
    found = pl.scan_parquet(links).filter(pl.col("relation") == relation).select(id="head", type="tail").collect()
    if options.types:
        found = found.filter(pl.col("type").is_in(options.types))
    return found.unique("id", keep="first", maintain_order=True)


def _entities(texts: pl.DataFrame, types: pl.DataFrame, options: Read) -> pl.DataFrame:
    """id, label, lang, aliases, description, type: one row an entity and language in which it has a label."""
    of = {kind: texts.filter(pl.col("kind") == kind).drop("kind") for kind in (LABEL, ALIAS, DESCRIPTION)}
    labels = of[LABEL].group_by("id", "lang", maintain_order=True).agg(pl.col("text"))
    labels = labels.select("id", "lang", label=pl.col("text").list.first(), more=pl.col("text").list.slice(1))
    aliases = of[ALIAS].group_by("id", "lang", maintain_order=True).agg(aliases="text")
    descriptions = of[DESCRIPTION].unique(["id", "lang"], keep="first", maintain_order=True)
    joined = labels.join(aliases, on=["id", "lang"], how="left", maintain_order="left")
    joined = joined.join(
        descriptions.rename({"text": "description"}), on=["id", "lang"], how="left", maintain_order="left"
    )
    joined = joined.join(types, on="id", how="left", maintain_order="left")
    if options.types:
        joined = joined.filter(pl.col("type").is_not_null())
    names = pl.concat_list("more", pl.col("aliases").fill_null([])).list.unique(maintain_order=True)
    columns = ("id", "label", "lang", names.alias("aliases"), pl.col("description", "type").fill_null(""))
    return joined.sort("id", "lang").select(*columns)


def _add_links(links: Path, known: pl.Series, options: Read, tables: GraphTables, account: GraphAccount) -> None:
    """Triples whose head is an entity; a relation that tells types alone is none where it was not asked for."""
    names = set(known.to_list())
    asked = set(options.relations)
    for batch in pl.read_parquet(links).iter_slices(BATCH_ROWS):
        for head, relation, tail in batch.iter_rows():
            account.statements += 1
            if asked and relation not in asked:
                account.statements_left_out["other_relation"] += 1
            elif head not in names:
                account.statements_left_out["head_is_no_entity"] += 1
            else:
                account.triples += 1
                tables.add(triples=[(head, relation, tail)])


class _Rows:
    """Rows written aside as they come."""

    def __init__(self, path: Path, schema: pa.Schema):
        self._writer, self._schema, self._pending = PartWriter(path, schema), schema, []

    def add(self, row: tuple) -> None:
        self._pending.append(row)
        if len(self._pending) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = list(zip(*self._pending, strict=True)) or [()] * len(self._schema)
        arrays = [pa.array(column, one.type) for column, one in zip(columns, self._schema, strict=True)]
        self._writer.write(pa.record_batch(arrays, schema=self._schema))
        self._pending = []

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
        self._writer.__exit__(*error)
