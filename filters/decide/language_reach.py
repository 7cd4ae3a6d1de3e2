"""Which documents no rule of a name judged, because no rule of that name is made for their language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gristmill.filters.decide.evidence import LanguageColumn
from gristmill.filters.decide.rules import Rule

UNKNOWN = ""  # the key of documents whose language is unknown


@dataclass(frozen=True, slots=True)
class LanguageReach:
    """By name of a rule: the languages that it judges, and how many documents of each other one it passed over.

    A rule that is made for all but some languages has none in ``judges``, and stands there if it passed any over.
    """

    judges: dict[str, tuple[str, ...]]
    passed_over: dict[str, dict[str, int]]


def language_reach(documents: pa.Table, rules: Mapping[str, Sequence[Rule]]) -> LanguageReach:
    """What language-bound rules judged and passed over.

    Rules of one name count together: where one judges English and another all other languages, nothing is passed over.

    Parameters
    ----------
    documents : domain, lang_id (primary subtag, null = unknown)
    rules : by domain

    >>> documents = pa.table({"domain": ["web"] * 3, "lang_id": ["en", "zh", None]})
    >>> language_reach(documents, {"web": [Rule("stops", "stop_words", 2, languages=("en",))]})
    LanguageReach(judges={'stops': ('en',)}, passed_over={'stops': {'': 1, 'zh': 1}})
    >>> language_reach(documents, {"web": [Rule("words", "words", 2, not_for=("zh",))]})
    LanguageReach(judges={'words': ()}, passed_over={'words': {'zh': 1}})
    """
    languages = LanguageColumn(documents["lang_id"])
    domains = documents["domain"].to_numpy()
    judges: dict[str, set[str]] = {}
    passed: dict[str, dict[str, int]] = {}
    for domain in sorted(set(domains)):
        rows = np.flatnonzero(domains == domain)
        for name, group in _bound(rules[domain]).items():
            judged = np.any([languages.judged_by(rule, rows) for rule in group], axis=0)
            left, few = languages.count(rows[~judged]), all(rule.languages for rule in group)
            if left or few:
                made_for = (language for rule in group for language in rule.languages) if few else ()
                judges.setdefault(name, set()).update(made_for)
            counts = passed.setdefault(name, {})
            for language, n in left.items():
                counts[language or UNKNOWN] = counts.get(language or UNKNOWN, 0) + n
    return LanguageReach(
        {name: tuple(sorted(found)) for name, found in sorted(judges.items())},
        {name: dict(sorted(counts.items())) for name, counts in sorted(passed.items()) if counts},
    )


def _bound(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """Rules by name, where none of a name is made for every language."""
    groups: dict[str, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.name, []).append(rule)
    return {name: group for name, group in groups.items() if all(rule.languages or rule.not_for for rule in group)}
