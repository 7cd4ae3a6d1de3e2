"""The triples of a graph as sentences in several languages: one document for each entity and language.

Head, tails and sentence are all of the document's language. What has no label in it is counted and left out, and so is
a relation without a template: nothing is put into another language. Each document names its triples.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from gristmill.corpus.account import passed_on
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.corpus.tables import write_part
from gristmill.knowledge.graph import read_tables
from gristmill.knowledge.sentence_templates import ALIKE, LISTINGS, PLAIN, SENTENCES, Listing
from gristmill.knowledge.stage import Verbalise
from gristmill.knowledge.verbalise import TEMPLATES, fill
from gristmill.knowledge.worded_documents import worded_documents

ENGLISH = {name: text for name, text in TEMPLATES.items() if name not in ("instance_of", "subclass_of")} | {
    "instance_of": "{head}, kind: {tails}.",  # an article would have to fit the tail
    "subclass_of": "{head}, kind of: {tails}.",
}


def verbalise_languages(
    graph: Path,
    folder: Path,
    *,
    source: str,
    domain: str,
    license: str | None,  # noqa: A002  the column's name
    asked: Verbalise,
) -> Outcome:
    """Write the facts of every entity in every language asked for.

    Parameters
    ----------
    graph : folder with entities.parquet and triples.parquet
    folder : filled with documents.parquet and an empty rejects.parquet
    source, domain, license : columns of every document

    Returns
    -------
    Outcome : rows = documents; facts: triples put into words, and skipped by language and reason: entities without a
        label (no_label) or a triple to put into words (no_triple), triples whose tail has no label (no_tail_label) or
        whose relation has no template (no_template)

    Raises
    ------
    SourceError, SchemaError : the graph is not as agreed
    """
    entities, triples = read_tables(graph)
    worded, skipped = [], dict[str, int]()
    for language in asked.languages:
        labels = entities.filter(pl.col("lang") == language).unique("id", keep="first", maintain_order=True)
        found, counts = _in_language(labels, triples.unique(), language, templates_of(language, asked.templates))
        counts["no_label"] = entities["id"].n_unique() - labels.height
        worded.append(found)
        skipped |= {f"{reason}: {language}": n for reason, n in sorted(counts.items()) if n}
    documents = pl.concat(worded)
    locators = [f"{name}#{lang}" for name, lang in documents.select("id", "lang").rows()]
    meta = documents.select("type", "triples", entity="id").to_dicts()
    table = worded_documents(documents, locators, meta, source=source, domain=domain, licence=license)
    rows = write_part(folder / "documents.parquet", DOCUMENTS, table.to_batches())
    write_part(folder / "rejects.parquet", REJECTS, [])
    n_bytes = int(documents["text"].str.len_bytes().sum())
    n_triples = int(documents["triples"].list.len().sum())
    facts = {"rejects": {}, "skipped": skipped, "text_bytes": n_bytes, "triples": n_triples}
    return Outcome(rows, {source: passed_on(rows, n_bytes)}, facts)


def templates_of(language: str, own: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Sentences by relation, in the order of telling: of the recipe, then ours, under Wikidata's names as well.

    >>> templates_of("de", {"de": {"P36": "{tails} ist die Hauptstadt von {head}."}})["P36"]
    '{tails} ist die Hauptstadt von {head}.'
    """
    ours = ENGLISH if language == "en" else SENTENCES.get(language, {})
    alike = {number: ours[name] for number, name in ALIKE.items() if name in ours}
    mine = own.get(language, {})
    return {name: mine.get(name, text) for name, text in (ours | alike).items()} | dict(mine)


def _in_language(
    labels: pl.DataFrame, triples: pl.DataFrame, language: str, templates: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """(id, lang, type, triples list<list<string>>, text) of one language, sorted by id; what was left out."""
    listing, names = LISTINGS.get(language, PLAIN), labels.select("id", label=_clean("label"))
    heads = triples.join(names, left_on="head", right_on="id")
    with_template = heads.filter(pl.col("relation").is_in(list(templates)))
    known = with_template.join(names.rename({"label": "tail_label"}), left_on="tail", right_on="id")
    counts = {"no_template": heads.height - with_template.height, "no_tail_label": with_template.height - known.height}
    sentences = _sentences(known, templates, listing)
    worded = sentences.group_by("head", maintain_order=True).agg(
        pl.col("sentence").str.join(listing.between),
        pl.col("triples").list.explode(keep_nulls=False, empty_as_null=False),
    )
    joined = labels.join(worded, left_on="id", right_on="head").sort("id")
    counts["no_triple"] = labels.height - joined.height
    described = pl.concat_str(
        _clean("label"), pl.lit(listing.after_label), _clean("description").str.strip_chars_end(".。")
    )
    opening = pl.when(_clean("description") == "").then(_clean("label")).otherwise(described)
    text = pl.concat_str(opening, pl.lit(f"{listing.stop}\n"), "sentence").str.normalize("NFC")
    return joined.select("id", "lang", "type", "triples", text=text), counts


def _clean(name: str) -> pl.Expr:
    return pl.col(name).str.normalize("NFC").str.strip_chars()


def _sentences(triples: pl.DataFrame, templates: Mapping[str, str], listing: Listing) -> pl.DataFrame:
    """(head, sentence, triples), one row a head and relation, in the order of telling."""
    order = {relation: place for place, relation in enumerate(templates)}
    place = pl.col("relation").replace_strict(order, return_dtype=pl.Int64)
    ordered = triples.with_columns(place=place).sort("head", "place", "relation", "tail_label", "tail")
    grouped = ordered.group_by("head", "label", "relation", maintain_order=True).agg(
        pl.col("tail_label").unique(maintain_order=True), triples=pl.concat_list("head", "relation", "tail")
    )
    sentence = pl.col("relation").replace_strict(dict(templates), return_dtype=pl.String)
    names, n = pl.col("tail_label"), pl.col("tail_label").list.len()
    most = names.list.head(n - 1).list.join(listing.comma)
    several = pl.concat_str(most, pl.lit(listing.last), names.list.last())
    listed = pl.when(n > 1).then(several).otherwise(names.list.last())
    return grouped.select("head", "triples", sentence=fill(sentence, pl.col("label"), listed))
