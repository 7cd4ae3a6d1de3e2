"""Which languages the rules judged: from the receipt of decide."""

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.filters.decide.stage import DecideFacts


@dataclass(frozen=True, slots=True)
class JudgedRule:
    """A rule made for some languages, and the documents of others that it passed over; "" is no language."""

    rule: str
    judges: tuple[str, ...]
    passed_over: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JudgedLanguages:
    """Whose word decide took for the language (stage, record), documents whose tag names none, and the rules."""

    by: str
    no_language: int
    rules: tuple[JudgedRule, ...]


def judged_languages(decided: DecideFacts) -> JudgedLanguages:
    """One row for each rule made for some languages alone."""
    rules = (JudgedRule(rule, judges, decided.passed_over.get(rule, {})) for rule, judges in decided.judges.items())
    return JudgedLanguages(decided.languages_by, decided.no_language, tuple(rules))
