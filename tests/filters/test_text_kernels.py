"""Kernels of words, lines, phrases, pairs and repetition by themselves, each against its twin in plain Python."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.corpus.text.columns import PAD_BYTES
from gristmill.filters.signals import (
    _kernels_lines,
    _kernels_pairs,
    _kernels_phrases,
    _kernels_repetition,
    _kernels_words,
)
from gristmill.filters.signals._kernels_layout import LANGUAGES
from gristmill.filters.signals.stop_words import STOP_WORDS, stop_table

PHRASES = {
    "javascript": 1, "terms of use": 2, "privacy policy": 2, "cookie policy": 2, "uses cookies": 2,
    "use of cookies": 2, "use cookies": 2, "lorem ipsum": 4,
}  # fmt: skip
characters = st.one_of(
    st.sampled_from("aZ09_-.'é÷жЖ中々〇が²½٣ा😀"), st.characters(exclude_categories=["Cs", "Z", "Cc"])
)
words = st.text(characters, min_size=1, max_size=40)
LOWER = {code: code + 32 for code in range(65, 91)}


def padded(text: str, behind: bytes = b"") -> np.ndarray:
    return np.frombuffer(text.encode() + behind + bytes(PAD_BYTES), np.uint8).copy()


def describe(word: str, behind: bytes = b"") -> tuple:
    return _kernels_words.describe_word(padded(word, behind), 0, len(word.encode()))


def has(word: str, kinds: str) -> bool:
    return any(unicodedata.category(character)[0] in kinds for character in word)


# ------------------------------------------------------------------------------------------------ words


@given(words)
@example("a" * 16)
@example("a" * 17)
@example("中" * 6)
@example("12345678é")
@example("÷×")
@example("." * 40 + "٣")
def test_a_word_is_described_as_its_twin_says(word):
    _, chars, alpha, content = describe(word)
    assert chars == len(word)
    assert bool(alpha) == has(word, "L")
    assert bool(content) == has(word, "LNM")


@given(words, st.binary(max_size=20))
def test_the_hash_of_a_word_does_not_see_what_follows(word, behind):
    assert describe(word)[0] == describe(word, behind)[0]


@given(st.lists(st.text(st.sampled_from("ab\x00é"), min_size=1, max_size=36), unique=True, max_size=40))
def test_different_words_have_different_hashes(several):
    assert len({describe(word)[0] for word in several}) == len(several)


def test_hashes_of_numbers_fill_a_small_table_evenly():
    slots = np.array([int(describe(str(number))[0]) % 1024 for number in range(20_000)])
    counts = np.bincount(slots, minlength=1024)
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 1024 + 5 * (2 * 1024) ** 0.5  # chi squared


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stop_word_is_found_and_counts_for_its_language(language):
    table = stop_table()
    for word in STOP_WORDS[language]:
        key = describe(word)[0]
        place = int(table.places[int(key) >> int(table.shift) & (len(table.places) - 1)])
        assert table.keys[place] == key
        row = table.languages[LANGUAGES.index(language)]
        assert int(row[place // 64]) >> place % 64 & 1
        assert (place < table.n_english) == (word in STOP_WORDS["en"])


def test_languages_of_stop_words_hold_no_other_words():
    rows = stop_table().languages
    found = [int(row[0]).bit_count() + int(row[1]).bit_count() for row in rows]
    assert found == [len(set(STOP_WORDS[language])) for language in LANGUAGES]


# ------------------------------------------------------------------------------------------------ lines


@given(st.text(max_size=90), st.text(max_size=90))
def test_a_line_is_hashed_and_counted_wherever_it_stands(line, before):
    data, start = padded(before + line, b"x"), len(before.encode())
    key, chars = _kernels_lines.hash_and_count(data, start, start + len(line.encode()))
    assert chars == len(line)
    assert key == _kernels_lines.hash_and_count(padded(line), 0, len(line.encode()))[0]


@given(st.lists(st.binary(max_size=40), unique=True, max_size=30))
def test_different_lines_have_different_hashes(lines):
    found = {
        _kernels_lines.hash_and_count(np.frombuffer(line + bytes(PAD_BYTES), np.uint8).copy(), 0, len(line))[0]
        for line in lines
    }
    assert len(found) == len(lines)


pieces = st.sampled_from(
    [*PHRASES, *map(str.upper, PHRASES), "ja", "ms", "use of ", "cookie", "\n", " ", "x" * 31, "é"]
)


@given(st.lists(pieces, max_size=14).map("".join))
def test_phrases_are_found_in_order_across_blocks(text):
    data = padded(text)
    places, kinds = np.empty(len(data), np.int64), np.empty(len(data), np.uint32)
    n = _kernels_phrases.find_phrases(data, 0, len(text.encode()), places, kinds)
    lower = text.translate(LOWER)
    expected = Counter(PHRASES[name] for name in PHRASES for _ in re.finditer(f"(?={name})", lower))
    found = [bit for kind in kinds[:n].tolist() for bit in (1, 2, 4) if kind & bit]
    assert set(found) == set(expected)
    assert len(found) <= sum(expected.values())
    assert places[:n].tolist() == sorted(places[:n].tolist())


# ------------------------------------------------------------------------------------------------ repetition


@given(st.lists(st.integers(1, 6), max_size=60))
def test_candidates_are_the_neighbours_that_both_repeat(tokens):
    hashes = np.array(tokens, np.uint64) << np.uint64(40)
    n = len(tokens)
    places, slots = np.empty(n + 1, np.uint32), np.empty(n + 1, np.uint32)
    table = np.empty(_kernels_repetition.table_size(n), np.uint64)
    _, distinct, highest, _ = _kernels_repetition.count_words(hashes, n, places, table, slots)
    counts = Counter(tokens)
    assert distinct == len(counts)
    assert highest == max(counts.values(), default=0)
    kept = _kernels_repetition.keep_candidates(places, n, table, slots)
    both = [at for at in range(n - 1) if counts[tokens[at]] > 1 and counts[tokens[at + 1]] > 1]
    assert places[:kept].tolist() == both


# ------------------------------------------------------------------------------------------------ pairs


@given(st.lists(st.text(st.sampled_from("ab \n\té中"), max_size=30), min_size=1, max_size=4))
def test_the_table_of_pairs_is_left_empty_for_the_next_document(documents):
    text = "".join(documents)
    offsets = np.cumsum([0, *(len(document.encode()) for document in documents)])
    counts, firsts = np.zeros(_kernels_pairs.PAIRS, np.int32), np.empty(_kernels_pairs.SYMBOLS, np.int32)
    seen, together = np.empty(_kernels_pairs.PAIRS + 1, np.uint16), np.empty(len(documents))
    _kernels_pairs.conditional_entropies(offsets, padded(text), counts, firsts, seen, together)
    assert not counts.any()
    for number, document in enumerate(documents):
        alone = np.empty(1)
        ends = np.array([0, len(document.encode())])
        _kernels_pairs.conditional_entropies(ends, padded(document), counts, firsts, seen, alone)
        assert alone[0] == together[number]
