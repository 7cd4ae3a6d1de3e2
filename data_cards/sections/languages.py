"""Documents and text by language, most documents first."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.parts.judged_languages import JudgedRule
from gristmill.data_cards.wording import flat, number, one_line, size
from gristmill.filters.decide.language_notices import by_language

SHOWN = 12
BY = {"model": "Identified by model, on every document.", "input": "As the inputs state them; no model was asked."}


def section(card: Card) -> Section | None:
    """The most frequent ones, the others on demand."""
    total = sum(row.documents for row in card.languages)
    if not total:
        return None
    rows = [
        (one_line(row.lang), number(row.documents), Share(row.documents / total), size(row.bytes), number(row.kept))
        for row in card.languages
    ]
    columns = ("language", "documents", "share", "text", "kept")
    folded = Table(columns, rows[SHOWN:], "Less frequent labels, many of them mistaken", 1, True)
    text = [BY[card.languages_by], *_no_language(card)]
    return Section(
        "languages", "Languages", text, tables=[Table(columns, rows[:SHOWN]), folded, _rules(card), _judged(card)]
    )


def _no_language(card: Card) -> list[str]:
    n = card.judged_languages.no_language
    return [f"Documents whose label names no language: {number(n)}."] if n else []


def _rules(card: Card) -> Table:
    """Rules that judge some languages alone, or all but some; all others judge every document."""
    rows = [
        (
            one_line(rule.rule),
            _listed(rule) if len(rule.judges) <= SHOWN else f"{len(rule.judges)} languages",
            number(sum(rule.passed_over.values())),
            one_line(by_language(rule.passed_over)) if rule.passed_over else "",
        )
        for rule in card.judged_languages.rules
    ]
    return Table(("rule", "judges", "documents passed over", "by language"), rows, "Rules made for some languages", 2)


def _judged(card: Card) -> Table:
    """The lists that are too long for a cell of that table."""
    long = [rule for rule in card.judged_languages.rules if len(rule.judges) > SHOWN]
    rows = [(one_line(rule.rule), _listed(rule)) for rule in long]
    return Table(("rule", "judges"), rows, "All languages that a rule judges", 2, True)


def _listed(rule: JudgedRule) -> str:
    return flat(", ".join(rule.judges)) or "all others"
