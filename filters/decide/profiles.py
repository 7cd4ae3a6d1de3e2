"""Profiles: published rule sets as data, each in a named reading.

The same rule name is not the same rule: on structured text the readings of "Gopher" disagree on every sixth document
(measured), so a profile is named ``recipe@reading`` and a card says which one it used. Common differences from all
sources: words are white-space words with every Han and kana character one of its own; lines end at line feeds alone.
Where words do not stand apart (Thai, Khmer, Lao, Burmese, Tibetan, at times Amharic), their number is not judged.
Rules that count letters of English words, ASCII sentence ends or characters a line judge English alone. Bounds "of
bench/languages.py" were set there on clean text of eleven languages and the same text damaged: books and desktop help
(GPL-2.0-or-later, CC-BY-SA-3.0), man pages (GPL, BSD, their own licences), encyclopaedia and treebank paragraphs
(CC-BY-SA-3.0, CC-BY-SA-4.0), German laws (public domain).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gristmill.filters.decide.rules import Profile, Rule

ENGLISH = ("en",)
# a sentence without a space is one word there, by white space; Amharic and Tigrinya may part words by \u1361 alone
UNSPACED = ("am", "bo", "dz", "km", "lo", "my", "th", "ti")
_WORDS = Rule("words", "content_words", 50, 100_000, "Gopher A1.1", not_for=UNSPACED)
_ALPHA = Rule("alpha_words", "alpha_word_share", at_least=0.8, source="Gopher A1.1")
_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_DUP = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_TABLE_A1 = "Gopher table A1"
_FITTED = "filters.entropy, fitted on samples/"
_MEASURED = "bench/languages.py"


def _at_most(
    signal: str, bound: float, source: str, languages: tuple[str, ...] = (), not_for: tuple[str, ...] = ()
) -> Rule:
    return Rule(signal, signal, at_most=bound, source=source, languages=languages, not_for=not_for)


def _at_least(signal: str, bound: float, source: str, languages: tuple[str, ...] = ()) -> Rule:
    return Rule(signal, signal, at_least=bound, source=source, languages=languages)


def _grams(
    reading: str,
    top: Mapping[int, float],
    dup: Mapping[int, float],
    source: str = _TABLE_A1,
    languages: tuple[str, ...] = (),
) -> tuple[Rule, ...]:
    tops = (_at_most(f"{reading}top_{n}gram_char_share", bound, source, languages) for n, bound in top.items())
    dups = (_at_most(f"{reading}dup_{n}gram_char_share", bound, source, languages) for n, bound in dup.items())
    return (*tops, *dups)


GOPHER_DATATROVE = Profile(
    "gopher@datatrove",
    "3",
    (
        _WORDS,
        Rule("mean_word_chars", "mean_word_chars", 3, 10, "Gopher A1.1", ENGLISH),
        _at_most("hash_word_ratio", 0.1, "Gopher A1.1"),
        _at_most("ellipsis_word_ratio", 0.1, "Gopher A1.1"),
        _at_most("bullet_line_share", 0.9, "Gopher A1.1"),
        _at_most("ellipsis_line_share", 0.3, "Gopher A1.1"),
        _ALPHA,
        _at_least("stop_words", 2, "Gopher A1.1", ENGLISH),
        _at_most("dup_line_share", 0.30, _TABLE_A1),
        _at_most("dup_paragraph_share", 0.30, _TABLE_A1),
        _at_most("dup_line_char_share", 0.20, _TABLE_A1),
        _at_most("dup_paragraph_char_share", 0.20, _TABLE_A1),
        *_grams("", _TOP, _DUP),
    ),
    "datatrove 0.10 GopherQualityFilter and GopherRepetitionFilter",
    "A content word has a letter, digit or mark; datatrove counts words outside a list of punctuation characters.",
)

GOPHER_DOLMA = Profile(
    "gopher@dolma",
    "3",
    (
        Rule("words", "words", 50, 100_000, "dolma gopher tagger", not_for=UNSPACED),
        Rule("median_word_chars", "median_word_chars", 3, 10, "dolma gopher tagger", ENGLISH),
        _at_most("dolma_symbol_word_share", 0.1, "dolma gopher tagger"),
        _at_most("dolma_bullet_line_share", 0.9, "dolma gopher tagger"),
        _at_most("dolma_ellipsis_line_share", 0.3, "dolma gopher tagger"),
        _ALPHA,
        _at_least("dolma_stop_words", 2, "dolma gopher tagger", ENGLISH),
        _at_most("dolma_dup_line_share", 0.30, "dolma 1.5 mixing configuration"),
        _at_most("dolma_dup_line_char_share", 0.30, "dolma 1.5 mixing configuration; the paper says 0.20"),
        *_grams("dolma_", _TOP, _DUP),
    ),
    "dolma gopher_v1 tagger with the bounds of the 1.5 mixing configuration",
    "The top n-gram rules apply; in the published configurations a misspelt attribute switched them off.",
)

GOPHER_DCLM = Profile(
    "gopher@dclm",
    "3",
    (
        _WORDS,
        Rule("mean_word_chars", "mean_word_chars", 3, 10, "dclm_baseline_refinedweb.yaml", ENGLISH),
        _at_most("hash_word_ratio", 0.1, "dclm_baseline_refinedweb.yaml"),
        _at_most("ellipsis_word_ratio", 0.1, "dclm_baseline_refinedweb.yaml"),
        _at_most("dclm_bullet_line_share", 0.9, "dclm_baseline_refinedweb.yaml"),
        _at_most("dclm_ellipsis_line_share", 0.3, "dclm_baseline_refinedweb.yaml"),
        _ALPHA,
        _at_least("dolma_stop_words", 2, "dclm_baseline_refinedweb.yaml, occurrences", ENGLISH),
        _at_most("dclm_dup_line_share", 0.30, _TABLE_A1),
        _at_most("dclm_dup_paragraph_share", 0.30, _TABLE_A1),
        _at_most("dclm_dup_line_char_share", 0.20, _TABLE_A1),
        _at_most("dclm_dup_paragraph_char_share", 0.20, _TABLE_A1),
        *_grams("dclm_", _TOP, _DUP),
    ),
    "dclm baselines/mappers/filters/content_filters.py",
    "Symbols are judged one kind at a time and not as their sum; words are white-space words and not uniseg's.",
)

C4 = Profile(
    "c4",
    "1",
    (
        _at_least("c4_sentences", 5, "C4 section 2.2", ENGLISH),
        _at_most("curly_brackets", 0, "C4 section 2.2"),
        _at_most("lorem_ipsum", 0, "C4 section 2.2"),
    ),
    "C4 (JMLR 21/140), datatrove 0.10 C4QualityFilter",
    "Judges documents and edits no lines, as c4@edited does: { and lorem ipsum count wherever they stand, sentences "
    "only in lines that C4 keeps. "
    "Sentences are counted by rule and not by nltk's punkt. No list of bad words.",
)

C4_EDITED = Profile(
    "c4@edited",
    "1",
    (
        _at_least("c4_sentences_left", 5, "C4 section 2.2"),
        _at_most("c4_curly_brackets_left", 0, "C4 section 2.2"),
        _at_most("c4_lorem_ipsum_left", 0, "C4 section 2.2"),
    ),
    "C4 (JMLR 21/140), datatrove 0.10 C4QualityFilter, on the lines that [line_edits] leaves",
    "Needs line_edits.rules = c4, which says how lines are read. Judges every language: what ends no line in . ! ? "
    "or a quote has nothing left. Sentences are counted by rule and not by nltk's punkt. No list of bad words.",
)

REFINEDWEB_DCLM = Profile(
    "refinedweb@dclm",
    "1",
    (
        *GOPHER_DCLM.rules,
        _at_most("refinedweb_cut_word_share", 0.05, "dclm_baseline_refinedweb.yaml"),
    ),
    "dclm baselines/baselines_configs/dclm_baseline_refinedweb.yaml",
    "Needs line_edits.rules = refinedweb@dclm. As gopher@dclm, then not more than 1 in 20 words cut. Addresses in the "
    "text stay, lists of hosts belong to [blocklist], English at 0.65 to lang_score.",
)


_FEEDS = {"zh": 0.25, "ja": 0.24}  # line feeds a word, where words are characters
_SPACED = """
ar az be bg bn bs ca cs cy da de el es et eu fa fi fr ga gl gu he hi hr hu hy id is it ka kk kn ko la lt lv mk ml mn mr
ms nb ne nl nn no pa pl pt ro ru sk sl sq sr sv sw ta te tl tr uk ur uz vi
"""  # languages whose words stand apart: a line of Thai, Khmer, Lao or Burmese is one word
_FINEWEB_ELSEWHERE = (  # what the English bounds would judge wrongly: 7 to 19 % of clean text in six languages
    _at_most("short_line_share", 0.95, _MEASURED, not_for=ENGLISH),
    _at_most("fineweb_dup_line_char_share", 0.2, "Gopher table A1", not_for=ENGLISH),
    _at_most("newline_word_ratio", 0.45, _MEASURED, tuple(_SPACED.split())),
    *(_at_most("newline_word_ratio", bound, _MEASURED, (language,)) for language, bound in _FEEDS.items()),
)


def _fineweb(name: str, duplicates: float, source: str) -> Profile:
    return Profile(
        name,
        "2",
        (
            _at_least("terminal_punct_line_share", 0.12, "FineWeb 3.6", ENGLISH),
            _at_most("short_line_share", 0.67, "FineWeb 3.6", ENGLISH),
            _at_most("fineweb_dup_line_char_share", duplicates, source, ENGLISH),
            _at_most("newline_word_ratio", 0.3, "datatrove 0.10", ENGLISH),
            *_FINEWEB_ELSEWHERE,
        ),
        "FineWeb (arXiv 2406.17557), datatrove 0.10 FineWebQualityFilter",
        "The paper's text says 0.1 for characters in duplicate lines, its code 0.01: two profiles. FineWeb's bounds "
        "judge English alone; other languages, and documents without one, have looser bounds.",
    )


class _Bounds(NamedTuple):
    score: float  # of the language model, at least
    punct: float  # lines that end a sentence, at least
    mean: tuple[float, float]  # characters a word
    alpha: float  # words with a letter, at least
    newline: float  # line feeds a word, at most
    line: float  # duplicate lines, at most
    top: tuple[float, ...]  # most frequent 2- to 4-gram, at most
    dup: tuple[float, ...]  # repeated 5- to 10-grams, at most


# ISO code of the language model -> bounds of the FineWeb-2 configuration of that language
_FINEWEB2 = {
    "zh": _Bounds(
        score=0.692, punct=0.106, mean=(1, 5), alpha=0.735, newline=0.178, line=0.287,
        top=(0.256, 0.201, 0.171), dup=(0.198, 0.182, 0.167, 0.154, 0.14, 0.127),
    ),
    "ja": _Bounds(
        score=0.886, punct=0.096, mean=(1, 6), alpha=0.759, newline=0.13, line=0.328,
        top=(0.239, 0.196, 0.172), dup=(0.243, 0.225, 0.207, 0.19, 0.175, 0.159),
    ),
    "ru": _Bounds(
        score=0.9, punct=0.231, mean=(3, 11), alpha=0.713, newline=0.139, line=0.322,
        top=(0.184, 0.164, 0.146), dup=(0.168, 0.156, 0.145, 0.133, 0.121, 0.109),
    ),
    "de": _Bounds(
        score=0.821, punct=0.0, mean=(0, 15), alpha=0.774, newline=0.152, line=0.263,
        top=(0.169, 0.153, 0.137), dup=(0.141, 0.134, 0.126, 0.117, 0.108, 0.098),
    ),
    "fr": _Bounds(
        score=0.824, punct=0.1, mean=(2, 11), alpha=0.812, newline=0.185, line=0.264,
        top=(0.161, 0.149, 0.134), dup=(0.15, 0.141, 0.131, 0.121, 0.111, 0.1),
    ),
    "es": _Bounds(
        score=0.84, punct=0.182, mean=(3, 14), alpha=0.825, newline=0.138, line=0.252,
        top=(0.156, 0.14, 0.125), dup=(0.145, 0.136, 0.127, 0.117, 0.108, 0.099),
    ),
}  # fmt: skip


def _by_size(sizes: Mapping[int, float], bounds: Sequence[float]) -> dict[int, float]:
    return dict(zip(sizes, bounds, strict=True))


def _fineweb2(language: str) -> Profile:
    bounds, only = _FINEWEB2[language], (language,)
    source = f"FineWeb-2 configuration of {language}"
    return Profile(
        f"fineweb2@{language}",
        "1",
        (
            _at_least("lang_score", bounds.score, source, only),
            Rule("words", "content_words", 50, 100_000, "Gopher A1.1", only),
            Rule("mean_word_chars", "mean_word_chars", bounds.mean[0], bounds.mean[1], source, only),
            _at_least("alpha_word_share", bounds.alpha, source, only),
            _at_least(f"stop_words_{language}", 2, source, only),
            _at_least("sentence_end_line_share", bounds.punct, source, only),
            _at_most("newline_word_ratio", bounds.newline, source, only),
            _at_most("dup_line_share", bounds.line, source, only),
            _at_most("fineweb_dup_line_char_share", 0.1, "FineWeb-2", only),
            *_grams("", _by_size(_TOP, bounds.top), _by_size(_DUP, bounds.dup), source, only),
        ),
        "FineWeb-2 (huggingface/fineweb-2, configs/ at d331bee)",
        "The bounds were found with another word splitter; for zh and ja words are characters here.",
    )


class _Residuals(NamedTuple):
    word: tuple[float, float]
    word_conditional: tuple[float, float]
    char_conditional: tuple[float, float]


# The table is fitted on letters with spaces, and on Han and kana: others lie elsewhere, and most of them narrower
_ELSEWHERE = _Residuals((-8, 6), (-12, 6), (-12, 6))
_RESIDUALS = {
    "zh": _Residuals((-8, 3.8), (-8, 6), (-20, 5.5)),
    "ja": _Residuals((-8, 3.7), (-9, 9), (-12, 3.6)),
    "ko": _Residuals((-8, 4.6), (-8, 4), (-12, 4.2)),
    "th": _Residuals((-8, 5), (-8, 4), (-12, 3.4)),
    "hi": _Residuals((-8, 3.2), (-4.5, 4.5), (-12, 2.2)),
    "ar": _Residuals((-8, 6), (-12, 6), (-12, 5)),
    "de": _Residuals((-8, 7), (-12, 6), (-12, 5)),
}


_LAO = _Residuals((-8, 6), (-12, 9), (-12, 6))
_OF_LAO = "spaces part clauses: 7 of 12 passages of a clean law lie above 6"


def _residuals() -> Iterator[Rule]:
    for kind in _Residuals._fields:
        signal, others = f"{kind}_entropy_residual", ("lo", *_RESIDUALS)
        yield Rule(signal, signal, *getattr(_LAO, kind), source=_OF_LAO, languages=("lo",))
        yield Rule(signal, signal, *getattr(_ELSEWHERE, kind), source=_FITTED, not_for=others)
        for language, bounds in _RESIDUALS.items():
            yield Rule(signal, signal, *getattr(bounds, kind), source=_MEASURED, languages=(language,))


ENTROPY_RESIDUAL = Profile(
    "entropy@residual",
    "4",
    (
        *_residuals(),
        _at_most("word_evenness_bits", 0.2, _MEASURED),
        _at_most("mean_word_chars", 1000, "no words to count: base64, keys; Thai without spaces has up to 400"),
        _at_most("mojibake_share", 0.01, f"{_MEASURED}: accents of German text read wrongly are 2 in 100 characters"),
    ),
    "length-conditioned entropies, see filters.entropy; text read in a wrong character set",
    "The bounds drop 14 in 1,000 documents of the reference in samples/: tables, lists, two languages mixed.",
)

ENTROPY_SCORE = Profile(
    "entropy@score",
    "1",
    (_at_most("entropy_score", 3.5, "bench/entropy.py: 0.7 % of clean text of other collections lies above"),),
    "n-grams of characters and tokens in 141 languages, see filters.entropy_score",
    "Needs [entropy]. Chat without accents, and Thai, lose more than others.",
)

ENTROPY_BITS = Profile(
    "entropy@3.5bits",
    "1",
    (_at_least("word_entropy_bits", 3.5, "common advice without a unit; in bits it stops degenerate text alone"),),
    "a bare bound on word entropy measures length: opt-in, never a default",
)

LENGTH = Profile(
    "length",
    "3",
    (Rule("words", "words", 5, source="too short to say anything", not_for=UNSPACED),),
    "for code, math and short text, where rules for prose do not fit",
)

DECONTAMINATED = Profile(
    "decontaminated",
    "1",
    (_at_most("contaminated_passages", 0, "docs/decisions/0041"),),
    "[decontaminate]: any passage of an evaluation set",
    "Judges every domain of a recipe that measures contamination, unless decontaminate.action is count.",
)

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        GOPHER_DATATROVE,
        GOPHER_DOLMA,
        GOPHER_DCLM,
        C4,
        C4_EDITED,
        REFINEDWEB_DCLM,
        _fineweb("fineweb@0.01", 0.01, "datatrove 0.10"),
        _fineweb("fineweb@0.1", 0.1, "FineWeb 3.6"),
        *(_fineweb2(language) for language in _FINEWEB2),
        ENTROPY_RESIDUAL,
        ENTROPY_SCORE,
        ENTROPY_BITS,
        LENGTH,
        DECONTAMINATED,
    )
}
