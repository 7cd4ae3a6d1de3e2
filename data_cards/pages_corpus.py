"""Sections on the kept text: languages, lengths and entropies, knowledge, uses, limits."""

from data_cards.pages import Card, Section, Share, Table, foreign
from data_cards.wording import number, size

LINKED = {
    "mentions": "mentions of an entity",
    "documents_with_entity": "documents with an entity",
    "documents_with_linked_pair": "documents with two entities that a triple joins",
    "triples": "triples joined to a document",
}
SHOWN_LANGUAGES = 12
USES = (
    "Training and studying language models, within the licences of the sources.",
    "Comparing curation choices: every verdict can be asked for (gristmill explain) and tried with other bounds "
    "(gristmill whatif).",
    "Not meant as a source of facts, for evaluation of models trained on it, or where a licence forbids it.",
)


def languages(card: Card) -> Section | None:
    """Documents and text by language, most documents first."""
    total = sum(row["documents"] for row in card["languages"])
    if not total:
        return None
    rows = [
        (
            foreign(row["lang"]),
            number(row["documents"]),
            Share(row["documents"] / total),
            size(row["bytes"]),
            number(row["kept"]),
        )
        for row in card["languages"]
    ]
    found = any(stage["stage"] == "language" for stage in card["stages"])
    text = ["Identified by model, on every document." if found else "As the inputs state them; no model was asked."]
    columns = ("language", "documents", "share", "text", "kept")
    tables = [Table(columns, rows[:SHOWN_LANGUAGES])]
    if len(rows) > SHOWN_LANGUAGES:
        tables.append(Table(columns, rows[SHOWN_LANGUAGES:], "Less frequent labels, many of them mistaken", 1, True))
    return Section("languages", "Languages", text, tables=tables)


def lengths(card: Card) -> Section | None:
    """Ranges of the shown signals, and the histogram of lengths."""
    rows = [
        (name.replace("_", " "), one["unit"] or "–", number(one["lowest"]), number(one["mean"]), number(one["highest"]))
        for name, one in card["signals"].items()
        if sum(one["documents"])
    ]
    tables = [Table(("signal", "unit", "lowest", "mean", "highest"), rows, "Over all documents, before any verdict", 2)]
    histograms = [_histogram(name, one) for name, one in card["signals"].items() if sum(one["documents"])]
    caption = "Documents by length: all of them, and those kept"
    return (
        Section("lengths", "Lengths and entropies", [], ("lengths.svg", caption), tables + histograms) if rows else None
    )


def _histogram(name: str, histogram: dict) -> Table:
    edges, total = histogram["edges"], sum(histogram["documents"])
    bins = zip(edges, edges[1:], histogram["documents"], histogram["kept"], strict=False)
    rows = [
        (f"{number(low)} to {number(high)}", number(documents), Share(documents / total), number(kept))
        for low, high, documents, kept in bins
        if documents
    ]
    return Table((name.replace("_", " "), "documents", "share", "kept"), rows, f"Histogram of {name}", 1, True)


def knowledge(card: Card) -> Section | None:
    """How much of the text the graph reaches."""
    facts = card["knowledge"]
    if facts is None:
        return None
    documents = facts["documents"]
    rows = [
        (label, number(facts[name]), Share(facts[name] / documents) if "documents_" in name and documents else None)
        for name, label in LINKED.items()
    ]
    types = [(foreign(row["type"]), number(row["mentions"])) for row in facts["top_types"]]
    tables = [
        Table(("joined", "count", "share of documents"), rows),
        Table(("entity type", "mentions"), types, folded=True),
    ]
    text = ["Entities of the knowledge graph were linked in every document, and its triples joined to the text."]
    return Section("knowledge", "Knowledge", text, tables=tables)


def uses(_: Card) -> Section:
    """What the corpus is for."""
    return Section("uses", "Uses", items=list(USES))


def limits(card: Card) -> Section:
    """Known limits, derived from the numbers."""
    return Section("limits", "Bias, risks and known limits", items=list(card["limits"]))
