"""Statements in any order, as N-Triples have them, brought together by subject."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.knowledge.graph_source import Read
from gristmill.knowledge.graph_tables import BATCH_ROWS, BufferedRows, GraphAccount, GraphTables
from gristmill.knowledge.ntriples import ALIAS, DESCRIPTION, LABEL, TEXTS, TYPE_RELATION, Statement

_TEXT = pa.schema([(name, pa.string()) for name in ("id", "kind", "lang", "text")])
_LINK = pa.schema([(name, pa.string()) for name in ("head", "relation", "tail")])


def group_statements(
    statements: Iterable[Statement], options: Read, folder: Path, tables: GraphTables, account: GraphAccount
) -> None:
    """Add the entities and triples of all statements. Memory: the names, descriptions and types that are wanted."""
    with TemporaryDirectory(dir=folder) as aside:
        texts, links = Path(aside, "texts.parquet"), Path(aside, "links.parquet")
        with BufferedRows(texts, _TEXT) as to_texts, BufferedRows(links, _LINK) as to_links:
            for one in statements:
                reason = _sort(one, options, to_texts, to_links)
                if reason:
                    account.used_lines -= 1
                    account.left_out[reason] += 1
        entities = _entities(pl.read_parquet(texts), _types(links, options), options)
        tables.add(entities=entities.rows())
        _add_links(links, entities["id"].unique(), options, tables, account)


def _sort(one: Statement, options: Read, texts: BufferedRows, links: BufferedRows) -> str:
    """Keep a statement among texts or links; why not, if not."""
    if one.tail is not None:
        kept = not options.relations or one.relation in (*options.relations, options.type_relation or TYPE_RELATION)
        if kept:
            links.add([(one.head, one.relation, one.tail)])
        return "" if kept else "other_relation"
    if one.relation not in TEXTS:
        return "literal"
    if options.languages and one.lang not in options.languages:
        return "other_language"
    if not (one.text or "").strip():
        return "empty_text"
    texts.add([(one.head, TEXTS[one.relation], one.lang, one.text)])
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
    asked, names = pa.array(options.relations, pa.string()), known.to_arrow().cast(pa.string())
    with pq.ParquetFile(links) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            wanted = batch.filter(pc.is_in(batch["relation"], value_set=asked)) if len(asked) else batch
            kept = wanted.filter(pc.is_in(wanted["head"], value_set=names))
            tables.add(triples=zip(*(column.to_pylist() for column in kept.columns), strict=True))
            account.statements += batch.num_rows
            account.triples += kept.num_rows
            account.statements_left_out["other_relation"] += batch.num_rows - wanted.num_rows
            account.statements_left_out["head_is_no_entity"] += wanted.num_rows - kept.num_rows
