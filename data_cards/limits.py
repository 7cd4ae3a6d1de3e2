"""Known limits of a corpus, each a sentence that follows from the card's own numbers."""

from collections.abc import Callable
from typing import Any

from gristmill.data_cards.wording import percent

Card = dict[str, Any]


def known_limits(card: Card) -> list[str]:
    """Sentences, in a fixed order; only those that hold for this corpus."""
    return [sentence for limit in LIMITS if (sentence := limit(card))]


def _language(card: Card) -> str | None:
    if not any(stage["stage"] == "language" for stage in card["stages"]):
        return (
            "Languages are those that the inputs state: no language was identified, and rules for a language "
            "applied to no document."
        )
    total = sum(row["documents"] for row in card["languages"])
    unknown = sum(row["documents"] for row in card["languages"] if row["lang"] in (None, "und"))
    return (
        f"Languages were identified by a statistical model ({len(card['languages'])} labels on {total:,} documents, "
        f"{unknown:,} of them without one); short and mixed texts, and code, get unreliable labels."
    )


def _licences(card: Card) -> str | None:
    documents = sum(row["documents"] for row in card["licenses"])
    silent = sum(row["documents"] for row in card["licenses"] if not row["license"])
    if not silent:
        return "Licences are those that documents or the recipe state; the mill checks none of them."
    return (
        f"{silent:,} of {documents:,} documents ({percent(silent / documents)}) come without a licence; "
        "the mill checks none of those that are stated."
    )


def _near_duplicates(card: Card) -> str | None:
    near = card["dedup"]["scheme"]
    if near["off"]:
        return "Near duplicates were not looked for; only documents of equal text were merged."
    return (
        f"Near duplicates are found with the probability of the curve above: pairs whose similarity lies just over "
        f"{near['threshold']:g} can be missed, and repeated passages inside different documents are not looked for."
    )


def _rejected(card: Card) -> str | None:
    rejected = sum(source["rejected"] for source in card["sources"])
    records = sum(source["records"] for source in card["sources"])
    if not rejected:
        return None
    return (
        f"{rejected:,} of {records:,} input records ({percent(rejected / records)}) could not be read or were skipped."
    )


def _personal(card: Card) -> str | None:
    done = {stage["stage"] for stage in card["stages"]}
    missing = [what for stage, what in UNSCANNED.items() if stage not in done]
    return f"Not part of this run: {'; '.join(missing)}." if missing else None


UNSCANNED = {
    "pii": "removal of personal data",
    "blocklist": "lists of blocked addresses and words",
    "contamination": "a search for public benchmark items",
}


def _retention(card: Card) -> str | None:
    losses = {
        source["name"]: 1 - source["kept"] / source["documents"] for source in card["sources"] if source["documents"]
    }
    if not losses:
        return None
    name, loss = max(losses.items(), key=lambda item: item[1])
    return (
        f"The source {name} lost {percent(loss)} of its documents, dropped or merged, more than any other."
        if loss
        else None
    )


def _rules(card: Card) -> str | None:
    profiles = sorted({rule["profile"] for rule in card["drops"] if rule["profile"] not in (None, "recipe")})
    if not profiles:
        return None
    return (
        f"Published rules are read in more than one way; the readings used here are {', '.join(profiles)}. "
        "Bounds that were set on English web text fit other languages and kinds of text less well."
    )


LIMITS: tuple[Callable[[Card], str | None], ...] = (
    _language,
    _licences,
    _near_duplicates,
    _rules,
    _rejected,
    _retention,
    _personal,
)
