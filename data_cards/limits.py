"""Known limits of a corpus, each a sentence that follows from the card's own numbers and from what ran."""

from collections.abc import Callable

from gristmill.data_cards.card import Card
from gristmill.data_cards.parts.dedup import NearScheme
from gristmill.data_cards.wording import percent
from gristmill.filters.decide.language_notices import language_notices
from gristmill.filters.decide.stage import DecideFacts


def known_limits(card: Card) -> tuple[str, ...]:
    """Sentences, in a fixed order; only those that hold for this corpus."""
    return tuple(sentence for limit in LIMITS if (sentence := limit(card)))


def _missing(card: Card) -> str | None:
    return f"Not part of this run: {'; '.join(card.not_done)}." if card.not_done else None


def _language(card: Card) -> str | None:
    total = sum(row.documents for row in card.languages)
    unknown = sum(row.documents for row in card.languages if row.lang in (None, "und"))
    if card.languages_by == "input":
        return (
            f"Languages are those that the inputs state, which no model has checked; {unknown:,} of {total:,} "
            "documents state none."
        )
    return (
        f"Languages were identified by a statistical model ({len(card.languages)} labels on {total:,} documents, "
        f"{unknown:,} of them without one); short and mixed texts, and code, get unreliable labels."
    )


def _judged(card: Card) -> str | None:
    """Documents that a rule made for other languages did not judge."""
    total = sum(row.documents for row in card.languages)
    judged = card.judged_languages
    rules = judged.rules
    facts = DecideFacts(
        languages_by=judged.by,
        no_language=judged.no_language,
        judges={rule.rule: rule.judges for rule in rules},
        passed_over={rule.rule: dict(rule.passed_over) for rule in rules if rule.passed_over},
    )
    return " ".join(language_notices(facts, total)) or None


def _licences(card: Card) -> str | None:
    documents = sum(row.documents for row in card.licenses)
    silent = sum(row.documents for row in card.licenses if not row.license)
    if not silent:
        return "Licences are those that documents or the recipe state; none of them was checked."
    return (
        f"{silent:,} of {documents:,} documents ({percent(silent / documents)}) come without a licence; "
        "none of those that are stated was checked."
    )


def _near_duplicates(card: Card) -> str | None:
    near: NearScheme = card.dedup.scheme
    if near.off:
        return "Near duplicates were not looked for; only documents of equal text were merged."
    return (
        f"Near duplicates are found with the probability of the curve above: pairs whose similarity lies just over "
        f"{near.threshold:g} can be missed."
    )


def _rejected(card: Card) -> str | None:
    rejected = sum(source.rejected for source in card.sources)
    records = sum(source.records for source in card.sources)
    if not rejected:
        return None
    return (
        f"{rejected:,} of {records:,} input records ({percent(rejected / records)}) could not be read or were skipped."
    )


def _contaminated(card: Card) -> str | None:
    """Documents that hold benchmark passages and were kept all the same: finding them drops none."""
    held = [one for one in card.screens.contamination or () if one.kept]
    if not held:
        return None
    listed = ", ".join(f"{one.kept:,} documents with passages of {one.benchmark}" for one in held)
    return f"The kept text holds evaluation passages: {listed}."


def _retention(card: Card) -> str | None:
    losses = {source.name: 1 - source.kept / source.documents for source in card.sources if source.documents}
    if not losses:
        return None
    name, loss = max(losses.items(), key=lambda item: item[1])
    if not loss:
        return None
    return f"The source {name} lost {percent(loss)} of its documents, dropped or merged, more than any other."


def _rules(card: Card) -> str | None:
    profiles = sorted({rule.profile for rule in card.drops if rule.profile not in (None, "recipe")} - {None})
    if not profiles:
        return None
    return (
        f"Published rules are read in more than one way; the readings used here are {', '.join(map(str, profiles))}. "
        "Bounds that were set on English web text fit other languages and kinds of text less well."
    )


LIMITS: tuple[Callable[[Card], str | None], ...] = (
    _language,
    _judged,
    _licences,
    _near_duplicates,
    _rules,
    _rejected,
    _retention,
    _contaminated,
    _missing,
)
