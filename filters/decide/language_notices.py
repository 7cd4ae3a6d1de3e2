"""What a person reads of documents that rules made for other languages passed over."""

from collections.abc import Iterator, Mapping, Sequence

from gristmill.filters.decide.stage import DecideFacts

TOLD_FROM = 0.01  # of the documents: fewer are in the receipt and on the card alone
_SHOWN = 5
_NO_LANGUAGE = "no language"


def language_notices(facts: DecideFacts, documents: int) -> tuple[str, ...]:
    """Sentences, none where every rule judged what it could.

    Parameters
    ----------
    documents : how many were decided

    >>> reach = {"judges": {"stop_words": ("en",)}, "passed_over": {"stop_words": {"zh": 30, "": 2}}}
    >>> language_notices(DecideFacts(**reach), 100)
    ('stop_words judges en alone and passed over 32 of 100 documents: 30 zh, 2 no language.',)
    >>> language_notices(DecideFacts(**reach), 32_000)
    ()
    """
    return (*_passed_over(facts, documents), *_no_language(facts, documents))


def _passed_over(facts: DecideFacts, documents: int) -> Iterator[str]:
    together: dict[str, list[str]] = {}  # rules that judge the same languages and passed over the same documents
    for rule, counts in facts.passed_over.items():
        total = sum(counts.values())
        if total > TOLD_FROM * documents:
            notice = f"{_languages(facts.judges[rule])} and passed over {total:,} of {documents:,} documents"
            if set(counts) == {""} and total == documents:
                notice += ": no language is known. Add [language] or sources.lang"
            else:
                notice += f": {by_language(counts)}"
            together.setdefault(notice, []).append(rule)
    for notice, rules in together.items():
        yield f"{', '.join(rules)} {'judges' if len(rules) == 1 else 'judge'} {notice}."


def _languages(judged: Sequence[str]) -> str:
    if not judged:
        return "all other languages"
    return f"{', '.join(judged) if len(judged) <= _SHOWN else f'{len(judged)} languages'} alone"


def _no_language(facts: DecideFacts, documents: int) -> Iterator[str]:
    if facts.no_language > TOLD_FROM * documents and facts.judges:
        what = "got no language from the model" if facts.languages_by == "stage" else "state what is no language"
        yield f"{facts.no_language:,} of {documents:,} documents {what}, so that no rule made for one judged them."


def by_language(counts: Mapping[str, int]) -> str:
    """Documents by language as text, most first.

    >>> by_language({"": 2, "de": 1_500, "fr": 1_500})
    '1,500 de, 1,500 fr, 2 no language'
    """
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    n_shown = _SHOWN if len(ranked) > _SHOWN + 1 else len(ranked)  # a single other one takes no more room by name
    shown = [f"{n:,} {language or _NO_LANGUAGE}" for language, n in ranked[:n_shown]]
    rest = sum(n for _, n in ranked[n_shown:])
    return ", ".join([*shown, *([f"{rest:,} of {len(ranked) - n_shown} others"] if rest else [])])
