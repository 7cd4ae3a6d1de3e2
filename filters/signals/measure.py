"""Signals: numbers measured once a document, stored as columns, and judged later by rules.

Here are their names, units and sources, and the stage that measures them. Words are white-space words as written,
every Han and kana character a word of its own. Where systems read a rule differently, each reading is a signal:
no prefix = datatrove, ``dolma_``, ``dclm_``, ``fineweb_``. No signal decides anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.errors import SourceError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.tables import read_batches, write_part
from gristmill.corpus.text._kernels import first_invalid_utf8, word_capacity
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.signals import _kernels, _kernels_pairs
from gristmill.filters.signals.entropy import RESIDUALS, residual
from gristmill.filters.signals.kernel_scratch import make_scratch
from gristmill.filters.signals.stop_words import stop_table

VERSION = "2"
MAX_DOCUMENT_BYTES = 1 << 25  # counts and fixed-point sums of the kernels hold to here
_GROUP_DOCUMENTS = 1 << 16
_GOPHER, _C4, _FINEWEB = "Gopher A1.1 (arXiv 2112.11446)", "C4 (JMLR 21/140)", "FineWeb (arXiv 2406.17557)"
_REPETITION = "Gopher table A1"


@dataclass(frozen=True, slots=True)
class Signal:
    """One number a document."""

    name: str
    unit: str
    description: str
    source: str = ""


def _signals() -> Iterator[Signal]:
    yield Signal("bytes", "bytes", "UTF-8 bytes")
    yield Signal("chars", "characters", "Unicode code points")
    yield Signal("words", "words", "white-space words; a Han or kana character is one", _GOPHER)
    yield Signal("content_words", "words", "words with a letter, digit or mark", _GOPHER)
    yield Signal("distinct_words", "words", "different words, case kept")
    yield Signal("sentences", "sentences", "sentence ends, and lines that end without one", _C4)
    yield Signal("lines", "lines", "lines ended by a line feed, and the rest")
    yield Signal("text_lines", "lines", "lines with more than white space", _FINEWEB)
    yield Signal("paragraphs", "paragraphs", "stretches between two or more line feeds", _GOPHER)
    for name, what in _CLASSES.items():
        yield Signal(f"{name}_share", "share of characters", what, "Unicode general category")
    yield Signal("byte_entropy_bits", "bits/byte", "Shannon entropy of the bytes", "Shannon 1948, section 6")
    yield Signal("char_entropy_bits", "bits/character", "Shannon entropy of the code points", "Shannon 1948")
    yield Signal("word_entropy_bits", "bits/word", "Shannon entropy of the words; grows with length", "Shannon 1948")
    yield Signal("word_conditional_entropy_bits", "bits/word", "H(word | the word before)", "Shannon 1948, section 6")
    yield Signal("mean_word_chars", "characters", "mean length of content words", _GOPHER)
    yield Signal("median_word_chars", "characters", "median length of words; 63 stands for more", "dolma gopher tagger")
    yield Signal("alpha_word_share", "share of words", "words with a letter", _GOPHER)
    yield Signal("hash_word_ratio", "per word", "# characters", _GOPHER)
    yield Signal("ellipsis_word_ratio", "per word", '"..." and the ellipsis character', _GOPHER)
    yield Signal("newline_word_ratio", "per word", "line feeds", _FINEWEB)
    yield Signal("dolma_symbol_word_share", "share of words", "words with # or the ellipsis character", "dolma")
    yield Signal("dolma_stop_words", "words", "occurrences of the eight English stop words", "dolma")
    for language in _kernels.LANGUAGES:
        name = "stop_words" if language == "en" else f"stop_words_{language}"
        where = _GOPHER if language == "en" else "FineWeb-2 configs"
        yield Signal(name, "words", f"different stop words ({language})", where)
    yield from _line_signals()
    yield from _duplicate_signals()
    what = "H(character | the one before), in 256 symbols, a run of white space one of them"
    yield Signal("char_conditional_entropy_bits", "bits/character", what, "Shannon 1948, section 6")
    for name, (entropy_bits, length) in RESIDUALS.items():
        yield Signal(name, "MADs", f"{entropy_bits} against its median at so many {length}", "filters.entropy")


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
        yield Signal(f"{reading}bullet_line_share", "share of lines", f"lines that begin with {bullets}", source)
        yield Signal(f"{reading}ellipsis_line_share", "share of lines", f"lines that end with {ends}", source)
    yield Signal("terminal_punct_line_share", "share of text lines", "lines whose last byte is . ! ? \" or '", _FINEWEB)
    yield Signal("sentence_end_line_share", "share of text lines", "the same in any script, quotes too", "FineWeb-2")
    yield Signal("short_line_share", "share of text lines", "lines of at most 30 characters", _FINEWEB)
    yield Signal("c4_line_share", "share of text lines", "lines that C4 keeps", _C4)
    yield Signal("c4_sentences", "sentences", "sentences in lines that C4 keeps", _C4)
    yield Signal("javascript_lines", "lines", 'lines with "javascript"', _C4)
    yield Signal("policy_lines", "lines", "lines with a cookie, terms of use or privacy phrase", _C4)
    yield Signal("lorem_ipsum", "lines", 'lines with "lorem ipsum"', _C4)
    yield Signal("curly_brackets", "characters", "{ characters", _C4)


def _duplicate_signals() -> Iterator[Signal]:
    for unit in ("line", "paragraph"):
        yield Signal(f"dup_{unit}_share", f"share of {unit}s", f"{unit}s seen before", _REPETITION)
        yield Signal(f"dup_{unit}_char_share", "share of characters", f"characters in {unit}s seen before", _REPETITION)
        what = f"{unit}s that occur more than once, all copies"
        yield Signal(f"dclm_dup_{unit}_share", f"share of text {unit}s", what, "dclm")
        yield Signal(f"dclm_dup_{unit}_char_share", f"share of characters in text {unit}s", what, "dclm")
    yield Signal("fineweb_dup_line_char_share", "share of characters", "characters in text lines seen before", _FINEWEB)
    yield Signal("dolma_dup_line_share", "share of lines", "lines that occur more than once, empty ones too", "dolma")
    yield Signal("dolma_dup_line_char_share", "per word character", "characters in such lines", "dolma")
    for reading, top, dup in (
        ("", "one that occurs once counts; with spaces", "greedy from the left, later copies"),
        ("dolma_", "one that occurs once counts; without spaces", "every occurrence, overlaps counted again"),
        ("dclm_", "only if it repeats; the longest of equals", "words covered, first copy too"),
    ):
        for n in range(2, 5):
            what = f"characters of the most frequent {n}-gram ({top})"
            yield Signal(f"{reading}top_{n}gram_char_share", "share of characters", what, _REPETITION)
        for n in range(5, 11):
            what = f"characters in repeated {n}-grams ({dup})"
            yield Signal(f"{reading}dup_{n}gram_char_share", "share of characters", what, _REPETITION)


_BY_NAME = {signal.name: signal for signal in _signals()}
_NAMES = (*_kernels.NAMES, "char_conditional_entropy_bits", *RESIDUALS)
SIGNALS: dict[str, Signal] = {name: _BY_NAME[name] for name in _NAMES}
SCHEMA = signals_schema({name: signal.unit for name, signal in SIGNALS.items()})


def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
    """All signals of a batch.

    Parameters
    ----------
    batch : ``doc_id`` and ``text``, n_docs rows, no nulls; valid UTF-8, documents up to 32 MiB

    Returns
    -------
    RecordBatch of ``SCHEMA``, n_docs rows: doc_id and one double a signal; 0 for an empty document

    Raises
    ------
    SourceError : text that is not valid UTF-8, or a document beyond 32 MiB
    SchemaError : a column is missing or has nulls

    >>> signals = measure(pa.record_batch({"doc_id": ["d"], "text": ["To be, or not to be."]}))
    >>> signals["words"][0].as_py(), signals["sentences"][0].as_py()
    (6.0, 1.0)
    """
    text = text_column(batch)
    _check(text, batch.column("doc_id"))
    columns = measure_columns(text)
    columns |= {name: residual(name, columns) for name in RESIDUALS}
    arrays = [batch.column("doc_id").cast(pa.string()), *(pa.array(columns[name]) for name in SIGNALS)]
    return pa.record_batch(arrays, schema=SCHEMA)


def measure_columns(text: TextColumn) -> dict[str, np.ndarray]:
    """What the text alone says: double[n_docs] by name, every signal but the residuals, which need a fitted table."""
    values = np.empty((text.n_docs, len(_kernels.NAMES)))
    _kernels.measure(*text, stop_table(), make_scratch(word_capacity(text.offsets)), values)
    columns = dict(zip(_kernels.NAMES, values.T, strict=True))
    columns["char_conditional_entropy_bits"] = _char_conditional_entropies(text)
    return columns


def _char_conditional_entropies(text: TextColumn) -> np.ndarray:
    counts, firsts = np.zeros(_kernels_pairs.PAIRS, np.int32), np.empty(_kernels_pairs.SYMBOLS, np.int32)
    seen = np.empty(_kernels_pairs.PAIRS + 1, np.uint16)
    found = np.empty(text.n_docs)
    _kernels_pairs.conditional_entropies(*text, counts, firsts, seen, found)
    return found


def measure_part(documents: Path, folder: Path) -> Outcome:
    """Measure one part: ``folder/signals.parquet``, row-aligned with the ``documents`` file.

    Returns
    -------
    Outcome with the rows and, by source, documents and bytes passed on

    Cost
    ----
    One pass over the text; memory is a row group of text and its signals.
    """
    accounts: list[dict[str, Account]] = []

    def measured() -> Iterator[pa.RecordBatch]:
        for batch in read_batches(documents, ["doc_id", "source", "text"]):
            signals = measure(batch)
            accounts.append(passed_by_source(batch.column("source"), signals.column("bytes")))
            yield signals

    rows = write_part(folder / "signals.parquet", SCHEMA, measured())
    return Outcome(rows, add_up(accounts))


def _check(text: TextColumn, doc_ids: pa.Array) -> None:
    sizes = np.diff(text.offsets)
    if sizes.size and sizes.max() > MAX_DOCUMENT_BYTES:
        at = int(sizes.argmax())
        raise SourceError(
            f"document {doc_ids[at]} has {sizes[at]} bytes; signals hold up to {MAX_DOCUMENT_BYTES}. "
            "Lower limits.document_bytes, or split such documents at their source."
        )
    invalid = first_invalid_utf8(text.offsets, text.data)
    if invalid >= 0:
        raise SourceError(
            f"the text of document {doc_ids[invalid]} is not valid UTF-8; give its encoding as sources.encoding"
        )
