"""Sections on the kept text: languages, lengths and entropies, knowledge, uses, limits."""

from gristmill.data_cards.pages import Card, Section, Share, Table, foreign
from gristmill.data_cards.wording import number, size

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


def references(card: Card) -> Section | None:
    """The references by name and digest, and where good text lies under each."""
    rows = [
        (
            foreign(one["name"]),
            one["sha256"][:16],
            *(number(one[key]) if key in one else "given" for key in ("fitted_on", "heldout", "ngrams")),
            *(_lies(one.get(signal)) for signal in ("cross_entropy", "word_order")),
        )
        for one in card.get("references", ())
    ]
    if not rows:
        return None
    text = [
        "Every document was scored by these character n-gram models. Cross-entropy is in bits a character; word order "
        "is what the words before a word save on it, in bits a word. The last columns give the 5th to 95th percentile "
        "of held-out text. A language that a model was not fitted on is as surprising to it as noise."
    ]
    columns = ("reference", "sha256", "texts", "held out", "n-grams", "cross-entropy", "word order")
    return Section("references", "References", text, tables=[Table(columns, rows, left=2)])


def _lies(spread: dict[str, float | None] | None) -> str:
    low, high = (spread or {}).get("p5"), (spread or {}).get("p95")
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


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
