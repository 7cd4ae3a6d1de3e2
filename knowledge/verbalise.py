"""The graph as a source: one document an entity, its facts in English sentences.

A document is the entity's label and description, then one sentence a relation, its tails listed. Sentences are
English; labels come in the first of the wanted languages that has one. The whole graph is held in memory.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gristmill.corpus.account import passed_on
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.corpus.tables import write_part
from gristmill.knowledge.graph import read_tables
from gristmill.knowledge.worded_documents import worded_documents

ARTICLED = ("instance_of", "subclass_of")  # their tails are common nouns
TEMPLATES = {  # in the order in which a document tells them
    "instance_of": "{head} is {tails}.",
    "subclass_of": "Every {head} is {tails}.",
    "country": "{head} lies in {tails}.",
    "part_of": "{head} is part of {tails}.",
    "continent": "{head} belongs to the continent of {tails}.",
    "capital": "The capital of {head} is {tails}.",
    "borders": "{head} borders {tails}.",
    "official_language": "Official language of {head}: {tails}.",
    "currency": "Currency of {head}: {tails}.",
    "member_of": "{head} is a member of {tails}.",
    "domain_region": "{head} is a term connected with {tails}.",
    "domain_topic": "{head} is a term of {tails}.",
}


def verbalise_part(
    graph: Path,
    folder: Path,
    *,
    source: str,
    domain: str,
    languages: Sequence[str] = (),
    license: str | None = None,  # noqa: A002  the column's name
) -> Outcome:
    """Write every entity of a graph as a document.

    Parameters
    ----------
    graph : folder with entities.parquet and triples.parquet
    folder : filled with documents.parquet and an empty rejects.parquet
    source, domain, license : columns of every document
    languages : of labels and descriptions, first choice first; English before all others when empty

    Returns
    -------
    Outcome : rows = entities; the account of ``source`` keeps all, its bytes are bytes of text

    Raises
    ------
    SourceError, SchemaError : the graph is not as agreed
    """
    entities, triples = read_tables(graph)
    verbalised = _documents(best_labels(entities, languages or ("en",)), triples)
    meta = verbalised.select("type", "facts").to_dicts()
    table = worded_documents(
        verbalised, verbalised["id"].to_list(), meta, source=source, domain=domain, licence=license
    )
    rows = write_part(folder / "documents.parquet", DOCUMENTS, table.to_batches())
    write_part(folder / "rejects.parquet", REJECTS, [])
    text_bytes = int(verbalised["text"].str.len_bytes().sum())
    facts = {"rejects": {}, "skipped": {}, "text_bytes": text_bytes, "triples": int(verbalised["facts"].sum())}
    return Outcome(rows, {source: passed_on(rows, text_bytes)}, facts)


def template(relation: str) -> str:
    """The sentence of a relation, with ``{head}`` and ``{tails}``.

    >>> template("capital")
    'The capital of {head} is {tails}.'
    >>> template("place_of_birth"), template("bornIn")
    ('{head}: place of birth: {tails}.', '{head}: born in: {tails}.')
    """
    if relation in TEMPLATES:
        return TEMPLATES[relation]
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in relation).replace("_", " ")
    words = " ".join(spaced.replace("{", "").replace("}", "").split())
    return f"{{head}}: {words}: {{tails}}."


def best_labels(entities: pl.DataFrame, languages: Sequence[str]) -> pl.DataFrame:
    """One row an entity (id, label, lang, description, type), its best language first, sorted by id."""
    rank = pl.col("lang").replace_strict(
        {lang: i for i, lang in reversed(list(enumerate(languages)))}, default=len(languages), return_dtype=pl.Int64
    )
    ranked = entities.with_columns(rank=rank).sort("id", "rank", "lang", maintain_order=True)
    best = ranked.unique("id", keep="first", maintain_order=True)
    return best.with_columns(
        pl.col("label").str.normalize("NFC").str.strip_chars(),
        pl.col("description").str.normalize("NFC").str.strip_chars().str.strip_chars_end("."),
    )


def _documents(entities: pl.DataFrame, triples: pl.DataFrame) -> pl.DataFrame:
    """(id, lang, type, facts, text) sorted by id."""
    sentences = _sentences(entities, triples)
    verbalised = sentences.group_by("head", maintain_order=True).agg(
        pl.col("sentence").str.join(" "), pl.col("facts").sum()
    )
    joined = entities.join(verbalised, left_on="id", right_on="head", how="left").sort("id")
    opening = pl.when(pl.col("description") == "").then(pl.col("label") + ".")
    opening = opening.otherwise(pl.col("label") + ": " + pl.col("description") + ".")
    text = pl.concat_str(opening, "sentence", separator="\n", ignore_nulls=True)
    return joined.select("id", "lang", "type", pl.col("facts").fill_null(0), text.str.normalize("NFC").alias("text"))


def _sentences(entities: pl.DataFrame, triples: pl.DataFrame) -> pl.DataFrame:
    """(head, facts, sentence), one row a head and relation, in the order of telling; an unknown tail is its id."""
    labels = entities.select("id", "label")
    order = {relation: i for i, relation in enumerate(TEMPLATES)}
    known = triples.unique().join(labels, left_on="tail", right_on="id", how="left")
    tail = pl.col("label").fill_null(pl.col("tail"))
    article = pl.when(tail.str.contains(r"^(?i:[aeio])") & ~tail.str.contains(r"^(?i:eu|one\b)"))
    with_article = pl.concat_str(article.then(pl.lit("an ")).otherwise(pl.lit("a ")), tail)
    named = pl.when(pl.col("relation").is_in(ARTICLED)).then(with_article).otherwise(tail)
    tails = known.with_columns(tail_label=named).drop("label")
    heads = tails.join(labels, left_on="head", right_on="id").with_columns(
        place=pl.col("relation").replace_strict(order, default=len(order), return_dtype=pl.Int64)
    )
    ordered = heads.sort("head", "place", "relation", "tail_label", "tail")
    grouped = ordered.group_by("head", "label", "relation", maintain_order=True).agg(
        pl.col("tail_label").unique(maintain_order=True), facts=pl.len()
    )
    shape = {relation: template(relation) for relation in triples["relation"].unique().to_list()}
    sentence = pl.col("relation").replace_strict(shape, return_dtype=pl.String)
    return grouped.select("head", "facts", sentence=fill(sentence, pl.col("label"), _listed(pl.col("tail_label"))))


def fill(sentence: pl.Expr, head: pl.Expr, tails: pl.Expr) -> pl.Expr:
    """Templates with their two places filled; what is filled in is never read as a template."""
    pieces = []
    for side in (0, 1):  # before the tails, and after them; the head stands once, in either
        around = sentence.str.split("{tails}").list.get(side).str.split("{head}")
        named = pl.when(around.list.len() > 1).then(head).otherwise(pl.lit(""))
        pieces.append((around.list.get(0), named, around.list.get(1, null_on_oob=True).fill_null("")))
    return pl.concat_str(*pieces[0], tails, *pieces[1])


def _listed(names: pl.Expr) -> pl.Expr:
    """A list of names as English: a, b and c."""
    most = names.list.head(names.list.len() - 1).list.join(", ")
    last = names.list.last()
    return pl.when(names.list.len() > 1).then(pl.concat_str(most, pl.lit(" and "), last)).otherwise(last)
