"""Signals of the text alone: names, units, ranges and sources, and the stage that measures them.

Words are white-space words as written, every Han and kana character a word of its own. Where systems read a rule
differently, each reading is a signal: no prefix = datatrove, ``dolma_``, ``dclm_``, ``fineweb_``. Nothing heavy is
imported here; the kernels stand in ``measure``.
"""

from collections.abc import Iterator

from gristmill.corpus.stage import PartStage, Signal
from gristmill.filters.signals._kernels_layout import LANGUAGES, NAMES

_GOPHER, _C4, _FINEWEB = "Gopher A1.1 (arXiv 2112.11446)", "C4 (JMLR 21/140)", "FineWeb (arXiv 2406.17557)"
_REPETITION = "Gopher table A1"
_RANGES = {  # by the first word or words of a unit; a count has no upper bound
    "share of": (0.0, 1.0),
    "bits/byte": (0.0, 8.0),
    "MADs": (None, None),
}
RESIDUALS = {  # residual -> the entropy and the length it is conditioned on
    "word_entropy_residual": ("word_entropy_bits", "words"),
    "word_conditional_entropy_residual": ("word_conditional_entropy_bits", "words"),
    "char_conditional_entropy_residual": ("char_conditional_entropy_bits", "chars"),
}


def _make(name: str, unit: str, text: str, source: str = "") -> Signal:
    if name == "word_evenness_bits":  # a difference of entropies
        return Signal(name, unit, None, None, text, source)
    low, high = next((found for start, found in _RANGES.items() if unit.startswith(start)), (0.0, None))
    return Signal(name, unit, low, high, text, source)


def _signals() -> Iterator[Signal]:
    yield _make("bytes", "bytes", "UTF-8 bytes")
    yield _make("chars", "characters", "Unicode code points")
    yield _make("words", "words", "white-space words; a Han or kana character is one", _GOPHER)
    yield _make("content_words", "words", "words with a letter, digit or mark", _GOPHER)
    yield _make("distinct_words", "words", "different words, case kept")
    yield _make("sentences", "sentences", "sentence ends, and lines that end without one", _C4)
    yield _make("lines", "lines", "lines ended by a line feed, and the rest")
    yield _make("text_lines", "lines", "lines with more than white space", _FINEWEB)
    yield _make("paragraphs", "paragraphs", "stretches between two or more line feeds", _GOPHER)
    for name, what in _CLASSES.items():
        yield _make(f"{name}_share", "share of characters", what, "Unicode general category")
    yield _make("byte_entropy_bits", "bits/byte", "Shannon entropy of the bytes", "Shannon 1948, section 6")
    yield _make("char_entropy_bits", "bits/character", "Shannon entropy of the code points", "Shannon 1948")
    yield _make("word_entropy_bits", "bits/word", "Shannon entropy of the words; grows with length", "Shannon 1948")
    yield _make("word_conditional_entropy_bits", "bits/word", "H(word | the word before)", "Shannon 1948, section 6")
    yield _make("mean_word_chars", "characters", "mean length of content words", _GOPHER)
    yield _make("median_word_chars", "characters", "median length of words; 63 stands for more", "dolma gopher tagger")
    yield _make("alpha_word_share", "share of words", "words with a letter", _GOPHER)
    yield _make("hash_word_ratio", "per word", "# characters", _GOPHER)
    yield _make("ellipsis_word_ratio", "per word", '"..." and the ellipsis character', _GOPHER)
    yield _make("newline_word_ratio", "per word", "line feeds", _FINEWEB)
    yield _make("dolma_symbol_word_share", "share of words", "words with # or the ellipsis character", "dolma")
    yield _make("dolma_stop_words", "words", "occurrences of the eight English stop words", "dolma")
    for language in LANGUAGES:
        name = "stop_words" if language == "en" else f"stop_words_{language}"
        where = _GOPHER if language == "en" else "FineWeb-2 configs"
        yield _make(name, "words", f"different stop words ({language})", where)
    yield from _line_signals()
    yield from _duplicate_signals()
    what = "H(character | the one before), in 256 symbols, a run of white space one of them"
    yield _make("char_conditional_entropy_bits", "bits/character", what, "Shannon 1948, section 6")
    what = "characters of text read in a wrong character set: UTF-8 as cp1252, Latin-1 or cp1251; C1 controls; U+FFFD"
    yield _make("mojibake_share", "share of characters", what, "WHATWG Encoding")
    for name, (entropy_bits, length) in RESIDUALS.items():
        yield _make(name, "MADs", f"{entropy_bits} against its median at so many {length}", "filters.entropy")
    what = "word entropy beyond that of Han and kana text with so many words, and so many different ones"
    yield _make("word_evenness_bits", "bits/word", what, "filters.entropy")


_CLASSES = {
    "alpha": "letters (L)",
    "upper": "capital letters (Lu)",
    "digit": "digits and numbers (N)",
    "punct": "punctuation (P)",
    "symbol": "symbols (S)",
    "space": "white space",
    "cjk": "Han, kana and bopomofo",
}


def _line_signals() -> Iterator[Signal]:
    for reading, bullets, ends in (
        ("", "• or -", "... or the ellipsis character"),
        ("dolma_", "* or -, not indented", "the ellipsis character, nothing behind it"),
        ("dclm_", "●, •, * or -", "..., . . . or the ellipsis character"),
    ):
        source = f"{_GOPHER}, reading {reading.rstrip('_') or 'datatrove'}"
        yield _make(f"{reading}bullet_line_share", "share of lines", f"lines that begin with {bullets}", source)
        yield _make(f"{reading}ellipsis_line_share", "share of lines", f"lines that end with {ends}", source)
    yield _make("terminal_punct_line_share", "share of text lines", "lines whose last byte is . ! ? \" or '", _FINEWEB)
    yield _make("sentence_end_line_share", "share of text lines", "the same in any script, quotes too", "FineWeb-2")
    yield _make("short_line_share", "share of text lines", "lines of at most 30 characters", _FINEWEB)
    yield _make("c4_line_share", "share of text lines", "lines that C4 keeps", _C4)
    yield _make("c4_sentences", "sentences", "sentences in lines that C4 keeps", _C4)
    yield _make("javascript_lines", "lines", 'lines with "javascript"', _C4)
    yield _make("policy_lines", "lines", "lines with a cookie, terms of use or privacy phrase", _C4)
    yield _make("lorem_ipsum", "lines", 'lines with "lorem ipsum"', _C4)
    yield _make("curly_brackets", "characters", "{ characters", _C4)


def _duplicate_signals() -> Iterator[Signal]:
    for unit in ("line", "paragraph"):
        yield _make(f"dup_{unit}_share", f"share of {unit}s", f"{unit}s seen before", _REPETITION)
        yield _make(f"dup_{unit}_char_share", "share of characters", f"characters in {unit}s seen before", _REPETITION)
        what = f"{unit}s that occur more than once, all copies"
        yield _make(f"dclm_dup_{unit}_share", f"share of text {unit}s", what, "dclm")
        yield _make(f"dclm_dup_{unit}_char_share", f"share of characters in text {unit}s", what, "dclm")
    yield _make("fineweb_dup_line_char_share", "share of characters", "characters in text lines seen before", _FINEWEB)
    yield _make("dolma_dup_line_share", "share of lines", "lines that occur more than once, empty ones too", "dolma")
    yield _make("dolma_dup_line_char_share", "per word character", "characters in such lines", "dolma")
    for reading, top, dup in (
        ("", "one that occurs once counts; with spaces", "greedy from the left, later copies"),
        ("dolma_", "one that occurs once counts; without spaces", "every occurrence, overlaps counted again"),
        ("dclm_", "only if it repeats; the longest of equals", "words covered, first copy too"),
    ):
        for n in range(2, 5):
            what = f"characters of the most frequent {n}-gram over all, overlaps counted again ({top})"
            yield _make(f"{reading}top_{n}gram_char_share", "per character", what, _REPETITION)
        for n in range(5, 11):
            what = f"characters in repeated {n}-grams ({dup})"
            yield _make(f"{reading}dup_{n}gram_char_share", "share of characters", what, _REPETITION)


_BY_NAME = {signal.name: signal for signal in _signals()}
_ORDER = (*NAMES, "char_conditional_entropy_bits", "mojibake_share", *RESIDUALS, "word_evenness_bits")

SIGNALS = PartStage(
    name="signals",
    version="3",
    title="quality signals of the text alone",
    always=True,
    table="signals.parquet",
    measure="gristmill.filters.signals.measure:measure_batch",
    signals=tuple(_BY_NAME[name] for name in _ORDER),
)
