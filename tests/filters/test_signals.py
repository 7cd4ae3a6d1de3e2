"""Every signal against a twin in plain Python, written from its definition and not from the kernels."""

import math
import re
import statistics
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.tables import read_part, write_part
from gristmill.corpus.text._unicode_table import UNICODE_VERSION
from gristmill.filters.signals import _kernels_layout as layout
from gristmill.filters.signals import entropy
from gristmill.filters.signals.measure import NAMES, SCHEMA, measure
from gristmill.filters.signals.stage import SIGNALS
from gristmill.filters.signals.stop_words import STOP_WORDS
from tests.filters.naive import CJK, split_words

SAMPLES = Path(__file__).parents[2] / "samples"
PIECES = [
    "the ", "of and ", "have", " To be, or not to be.", "\n", "\n\n", "\n\n\n", " \n", "\r\n", "\t", ". ", "! ",
    "?", '."', "...", "....... ", "…", "…\n", "• item\n", "- item\n", "* item\n", "● item\n", " - item\n", "# ",
    "##\n", "a{b}\n", "x" * 70, "word " * 12, "JavaScript is on.\n", "We use cookies, see our Cookie Policy.\n",
    "Terms of Use\n", "privacy policy", "use of cookies uses cookies\n", "Lorem ipsum dolor", "中文句子。",
    "你好！？吗\n", "日本語の文章です。\n", "ｱｲｳ｡", "が年し", "в и на года\n", "también para él ", "à côté",
    "der und die\n", "hello, hello, world\n", "one two three four five six. ", "one two three four five six. ",
    "line again.\n", "line again.\n", "paragraph one.\n\nparagraph one.\n\n", "नमस्ते।\n", "سؤال؟\n", "é",
    "e\u0301", "😀", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u200b", "\x00", "\x1c", "\x85", "\u2028",
    "\xa0", "\u3000", "²½Ⅷ", "£€+=<", "W" * 1001 + " a b.\n", ". . .\n", "“quoted”\n", "(end.)", "end.)\n",
    "CafÃ© ", "â€œ", "ä½\xa0å¥½", "ÐŸÑ€Ð¸", "РџСЂРё", "Ïðèâåò", "\x9f", "\ufffd", "Ã", "é»", "Рік", "ÀÉÎ",
    "e.g. this", "J", "ja", "ok", "va", "ms", "ps",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"])
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(characters, max_size=5)), max_size=25).map("".join),
    st.text(characters, max_size=80),
    st.lists(st.sampled_from("ab c.\n"), max_size=120).map("".join),
)


def batch_of(documents: list[str]) -> pa.RecordBatch:
    ids = [f"{number:032x}" for number in range(len(documents))]
    return pa.record_batch({"doc_id": pa.array(ids, pa.string()), "text": pa.array(documents, pa.large_string())})


# ------------------------------------------------------------------------------------------------ the twin


def bits(counts: Counter) -> float:
    n = sum(counts.values())
    return math.log2(n) - math.fsum(c * math.log2(c) for c in counts.values()) / n if n else 0.0


def over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def has(word: str, kinds: str) -> bool:
    return any(unicodedata.category(c)[0] in kinds for c in word)


def in_category(text: str, start: str) -> float:
    return over(sum(unicodedata.category(c).startswith(start) for c in text), len(text))


def sizes_twin(text: str, words: list[str]) -> dict[str, float]:
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    stripped = text.strip()
    content = [word for word in words if has(word, "LNM")]
    return {
        "bytes": len(text.encode()),
        "chars": len(text),
        "words": len(words),
        "content_words": len(content),
        "distinct_words": len(set(words)),
        "sentences": sum(sentences(line.strip()) for line in lines if line.strip()),
        "lines": len(lines),
        "text_lines": sum(bool(line.strip()) for line in lines),
        "paragraphs": len(re.split(r"\n{2,}", stripped)) if stripped else 0,
        "mean_word_chars": over(sum(map(len, content)), len(content)),
        "median_word_chars": statistics.median(min(len(word), 63) for word in words) if words else 0,
    }


def chars_twin(text: str) -> dict[str, float]:
    return {
        "alpha_share": in_category(text, "L"),
        "upper_share": in_category(text, "Lu"),
        "digit_share": in_category(text, "N"),
        "punct_share": in_category(text, "P"),
        "symbol_share": in_category(text, "S"),
        "space_share": over(sum(c.isspace() for c in text), len(text)),
        "cjk_share": over(len(re.findall(CJK, text)), len(text)),
        "curly_brackets": text.count("{"),
        "mojibake_share": over(sum(len(found[0]) for found in MOJIBAKE.finditer(text)), len(text)),
    }


def entropies_twin(text: str, words: list[str]) -> dict[str, float]:
    conditional = bits(Counter(pairwise(words))) - bits(Counter(words[:-1]))
    return {
        "byte_entropy_bits": bits(Counter(text.encode())),
        "char_entropy_bits": bits(Counter(text)),
        "word_entropy_bits": bits(Counter(words)),
        "char_conditional_entropy_bits": char_conditional_entropy(text),
        "word_conditional_entropy_bits": max(0.0, conditional),
    }


def words_twin(text: str, words: list[str]) -> dict[str, float]:
    stops = {f"stop_words_{lang}": len(set(words) & set(listed)) for lang, listed in STOP_WORDS.items()}
    return {
        "alpha_word_share": over(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "hash_word_ratio": over(text.count("#"), len(words)),
        "ellipsis_word_ratio": over(text.count("...") + text.count("…"), len(words)),
        "newline_word_ratio": over(text.count("\n"), len(words)),
        "dolma_symbol_word_share": over(sum("#" in word or "…" in word for word in words), len(words)),
        "dolma_stop_words": sum(word in STOP_WORDS["en"] for word in words),
        "stop_words": stops.pop("stop_words_en"),
        **stops,
    }


def _of_bytes(charset: str, last: int) -> str:
    """Characters of the bytes 80 to ``last`` in a character set, and the bytes that it lacks as they are."""
    made = ((chr(byte), bytes([byte]).decode(charset, "replace")) for byte in range(0x80, last + 1))
    return re.escape("".join(byte + ("" if found == "\ufffd" else found) for byte, found in made))


_NEXT = f"[\ufffd{_of_bytes('cp1252', 0xBF)}]"
_NEXT_1251 = re.escape("".join(bytes([byte]).decode("cp1251", "replace") for byte in range(0x80, 0xC0))).replace(
    "\ufffd", "\x98"
)
MOJIBAKE = re.compile(
    f"[\u00c2-\u00df]{_NEXT}|[\u00e0-\u00ef]{_NEXT}{{2}}|[\u00f0-\u00f4]{_NEXT}{{3}}|(?:[РС][{_NEXT_1251}]){{2,}}"
    "|[\u00c0-\u00ff]{4,}|[\u0080-\u0084\u0086-\u009f\ufffd]"
)
WIDE_ENDS = "。！？｡"
PHRASES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
LOWER = {code: code + 32 for code in range(65, 91)}


def char_conditional_entropy(text: str) -> float:
    """H(symbol | the one before) over the text behind white space; runs of white space are one symbol."""
    points = [ord(character) for character in " " + text]
    symbols = [max(point, 32) if point < 128 else 128 + point % 128 for point in points]
    found = [pair for pair in pairwise(symbols) if pair != (32, 32)]
    return bits(Counter(found)) - bits(Counter(first for first, _ in found))


def sentences(line: str) -> int:
    """Of a stripped line with text: sentence ends, and one more when text follows the last."""
    found, behind = 0, 0
    for at, character in enumerate(line):
        end = -1
        if character in WIDE_ENDS:
            end = at + 1 if line[at + 1 : at + 2] not in tuple(WIDE_ENDS) else -1
        elif character in ".!?":
            end = at + 2 if line[at + 1 : at + 2] in tuple("\"')]") else at + 1
            following = line[end : end + 1]
            end = end if following == "" or (following.isascii() and following.isspace()) else -1
        if end >= 0:
            found, behind = found + 1, end
    return found + (behind < len(line))


def c4_keeps(line: str) -> bool:
    lower, words = line.translate(LOWER), split_words(line)
    banned = "javascript" in lower or any(phrase in lower for phrase in PHRASES)
    ends = line.endswith((".", "?", "!", '"', "'")) and not line.endswith("...")
    return ends and not banned and len(words) >= 3 and all(len(word) <= 1000 for word in words)


def lines_twin(text: str) -> dict[str, float]:
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    full = [line for line in lines if line.strip()]
    stripped = [line.strip() for line in full]
    lower = [line.translate(LOWER) for line in stripped]
    kept = [line for line in stripped if c4_keeps(line)]
    enders = tuple(".!?\"'…。！？｡”’」』।॥؟۔")

    def share(what, of, whole) -> float:
        return over(sum(map(what, of)), len(whole))

    return {
        "bullet_line_share": share(lambda line: line.startswith(("•", "-")), stripped, lines),
        "dolma_bullet_line_share": share(lambda line: line.startswith(("*", "-")), full, lines),
        "dclm_bullet_line_share": share(lambda line: line.startswith(("●", "•", "*", "-")), stripped, lines),
        "ellipsis_line_share": share(lambda line: line.endswith(("...", "…")), stripped, lines),
        "dolma_ellipsis_line_share": share(lambda line: line.endswith("…"), full, lines),
        "dclm_ellipsis_line_share": share(lambda line: line.endswith(("...", "…", ". . .")), stripped, lines),
        "terminal_punct_line_share": share(lambda line: line.endswith(tuple(".!?\"'")), full, full),
        "sentence_end_line_share": share(lambda line: line.endswith(enders), stripped, full),
        "short_line_share": share(lambda line: len(line) <= 30, full, full),
        "c4_line_share": over(len(kept), len(full)),
        "c4_sentences": sum(map(sentences, kept)),
        "javascript_lines": sum("javascript" in line for line in lower),
        "policy_lines": sum(any(phrase in line for phrase in PHRASES) for line in lower),
        "lorem_ipsum": sum("lorem ipsum" in line for line in lower),
    }


def surplus(parts: list[str]) -> tuple[int, int]:
    again = [part for number, part in enumerate(parts) if part in parts[:number]]
    return len(again), sum(map(len, again))


def all_copies(parts: list[str]) -> tuple[int, int]:
    counts = Counter(parts)
    again = [part for part in parts if counts[part] > 1]
    return len(again), sum(map(len, again))


def duplicates_twin(text: str, words: list[str]) -> dict[str, float]:
    elements, chars = re.split("\n+", text), len(text)
    paragraphs = re.split("\n{2,}", text.strip()) if text.strip() else []
    lines = text.split("\n")
    full = [line for line in lines if line.strip()]
    word_chars = sum(map(len, words))
    return {
        "dup_line_share": over(surplus(elements)[0], len(elements)),
        "dup_line_char_share": over(surplus(elements)[1], chars),
        "dup_paragraph_share": over(surplus(paragraphs)[0], len(paragraphs)),
        "dup_paragraph_char_share": over(surplus(paragraphs)[1], chars),
        "fineweb_dup_line_char_share": over(surplus(full)[1], len(text.replace("\n", ""))),
        "dolma_dup_line_share": over(all_copies(lines)[0], len(lines)) if text else 0.0,
        "dolma_dup_line_char_share": over(all_copies(lines)[1], word_chars),
        "dclm_dup_line_share": over(all_copies(full)[0], len(full)),
        "dclm_dup_line_char_share": over(all_copies(full)[1], sum(map(len, full))),
        "dclm_dup_paragraph_share": over(all_copies(paragraphs)[0], len(paragraphs)),
        "dclm_dup_paragraph_char_share": over(all_copies(paragraphs)[1], sum(map(len, paragraphs))),
    }


def greedy(words: list[str], n: int) -> int:
    seen, chars, at = set(), 0, 0
    while at <= len(words) - n:
        gram = tuple(words[at : at + n])
        chars += sum(map(len, gram)) if gram in seen else 0
        at += n if gram in seen else 1
        seen.add(gram)
    return chars


def grams_twin(text: str, words: list[str]) -> dict[str, float]:
    found, word_chars = {}, sum(map(len, words))
    for n in range(2, 11):
        grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
        counts = Counter(grams)
        length = {gram: sum(map(len, gram)) for gram in grams}
        if n <= 4:
            top, count = counts.most_common(1)[0] if grams else ((), 0)
            chars = length.get(top, 0)
            longest = max((length[gram] for gram in grams if counts[gram] == count), default=0)
            found[f"top_{n}gram_char_share"] = over((chars + n - 1) * count, len(text))
            found[f"dolma_top_{n}gram_char_share"] = over(chars * count, word_chars)
            found[f"dclm_top_{n}gram_char_share"] = over(longest * count, word_chars) if count > 1 else 0.0
        else:
            covered = {at + i for at, gram in enumerate(grams) if counts[gram] > 1 for i in range(n)}
            every = sum(length[gram] for gram in grams if counts[gram] > 1)
            found[f"dup_{n}gram_char_share"] = over(greedy(words, n), len(text))
            found[f"dolma_dup_{n}gram_char_share"] = over(every, sum(length[gram] for gram in grams))
            found[f"dclm_dup_{n}gram_char_share"] = over(sum(len(words[at]) for at in covered), word_chars)
    return found


def twin(text: str) -> dict[str, float]:
    words = split_words(text)
    found = sizes_twin(text, words) | chars_twin(text) | entropies_twin(text, words) | words_twin(text, words)
    return found | lines_twin(text) | duplicates_twin(text, words) | grams_twin(text, words)


def assert_equal_to_twin(documents: list[str]) -> None:
    signals = measure(batch_of(documents))
    for number, text in enumerate(documents):
        for name, expected in twin(text).items():
            value = signals[name][number].as_py()
            allowed = 1e-9 if "entropy" in name else 1e-13
            assert abs(value - expected) <= allowed, f"{name}: {value}, the twin says {expected}, of {text!r}"


# ------------------------------------------------------------------------------------------------ tests

same_unicode = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION, reason="the twin asks this Python's Unicode database"
)


@same_unicode
@settings(max_examples=400)
@given(st.lists(texts, min_size=1, max_size=3))
@example(["", "\n", "\n\n", " ", "a", "中"])
@example(["。。！", "a.)", ". . .", "..\n...", "\u2028"])
@example(["no\nno\nno\n", "x\n \n \ny", "\n\na\n\n\na\n\n"])
def test_every_signal_equals_its_twin(documents):
    assert_equal_to_twin(documents)


@same_unicode
@pytest.mark.parametrize("name", ["docs/gnome-help.parquet", "legal/debian-policy.parquet", "code/code.parquet"])
def test_every_signal_equals_its_twin_on_real_text(name):
    found = pq.read_table(SAMPLES / name, columns=["text"])["text"].to_pylist()
    assert_equal_to_twin([text[:6000] for text in found[:: max(1, len(found) // 12)]])


def test_the_twin_covers_every_signal():
    assert {*twin("a"), *entropy.RESIDUALS, "word_evenness_bits"} == set(NAMES)
    assert SCHEMA.names == ["doc_id", *NAMES]
    assert SCHEMA.field("word_entropy_bits").metadata[b"unit"] == b"bits/word"


def test_every_signal_says_what_it_is():
    assert len(set(NAMES)) == len(SIGNALS.signals)
    for signal in SIGNALS.signals:
        assert signal.unit
        assert signal.text


@given(st.lists(texts, min_size=1, max_size=6), st.data())
def test_a_slice_is_measured_as_the_slice(documents, data):
    start = data.draw(st.integers(0, len(documents)))
    stop = data.draw(st.integers(start, len(documents)))
    batch = batch_of(documents)
    assert measure(batch.slice(start, stop - start)).equals(measure(batch).slice(start, stop - start))


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_batches_one_after_the_other_are_one_batch(left, right):
    apart = pa.Table.from_batches([measure(batch_of(left)), measure(batch_of(right))]).drop(["doc_id"])
    together = pa.Table.from_batches([measure(batch_of(left + right))]).drop(["doc_id"])
    assert apart.combine_chunks().equals(together.combine_chunks())


def test_long_documents_keep_their_counts():
    text = "word " * 40_000 + "中" * 40_000 + "ab. " * 10
    signals = measure(batch_of([text])).to_pylist()[0]
    assert signals["words"] == 80_010
    assert signals["distinct_words"] == 3
    assert signals["word_entropy_bits"] == pytest.approx(bits(Counter(split_words(text))), abs=1e-9)
    assert signals["byte_entropy_bits"] == pytest.approx(bits(Counter(text.encode())), abs=1e-9)


def test_log2_of_an_array_is_that_of_each_number():
    from gristmill.filters.signals._kernels_entropy import log2_all

    values = np.random.default_rng(1).random(999) * 10.0 ** np.arange(-30, 30).repeat(17)[:999]
    found = log2_all(values)
    assert found == pytest.approx([math.log2(value) for value in values], rel=1e-14, abs=1e-15)
    assert found.tolist() == [log2_all(np.array([value]))[0] for value in values]


def test_log2_is_exact_to_the_last_bits():
    from gristmill.filters.signals._kernels_entropy import log2

    for n in [1, 2, 3, 7, 1000, 1 << 24, (1 << 25) - 1, *range(1, 3000, 7)]:
        assert log2(n) == pytest.approx(math.log2(n), rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("name", entropy.RESIDUALS)
def test_residual_is_zero_at_the_median_and_counts_mads(name):
    knots = entropy.table()["tables"][name]["spaced"]
    median, mad = knots["median_bits"][3], knots["mad_bits"][3]
    bits_column, length_column = entropy.RESIDUALS[name]
    signals = {
        length_column: np.array([knots["length"][3]] * 2 + [5]),
        bits_column: np.array([median, median - 2 * mad, 0.1]),
    }
    assert entropy.residual(name, {**signals, "cjk_share": np.zeros(3)}) == pytest.approx([0, -2, 0])


def test_residual_between_knots_is_interpolated():
    knots = entropy.table()["tables"]["word_entropy_residual"]["cjk"]
    middle = (knots["length"][0] + knots["length"][1]) / 2
    expected = (knots["median_bits"][0] + knots["median_bits"][1]) / 2
    signals = {"words": np.array([middle]), "word_entropy_bits": np.array([expected]), "cjk_share": np.ones(1)}
    assert entropy.residual("word_entropy_residual", signals) == pytest.approx([0])


@given(st.lists(texts, max_size=4))
def test_evenness_equals_its_twin(documents):
    found = measure(batch_of(documents))["word_evenness_bits"].to_pylist()
    first, by_words, by_distinct = entropy.table()["evenness"]["fitted"]
    for text, value in zip(documents, found, strict=True):
        words = split_words(text)
        expected = first + by_words * math.log2(len(words) + 1) + by_distinct * math.log2(len(set(words)) + 1)
        is_cjk = bool(words) and over(len(re.findall(CJK, text)), len(text)) >= entropy.CJK_SHARE
        assert value == pytest.approx(bits(Counter(words)) - expected if is_cjk else 0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Grüße über Österreich", "cp1252"),
        ("привет, мир", "latin-1"),
        ("привет, мир", "cp1251"),
        ("你好世界", "cp1252"),
    ],
)
def test_text_read_in_a_wrong_character_set_is_seen(text, charset):
    clean, misread = measure(batch_of([text, text.encode().decode(charset, "replace")]))["mojibake_share"].to_pylist()
    assert clean == 0
    assert misread > 0.2


def test_accents_signs_and_quotes_are_no_mojibake():
    clean = [
        "Öl für Ämter — “ja”, «non», ¿qué?",
        "þjóðfélagið æðir",
        "Річка і Січень",
        "50 °C ± 2 · § 7 ©",
        "",
        "İstanbul’da",
    ]
    assert measure(batch_of(clean))["mojibake_share"].to_pylist() == [0.0] * len(clean)


def test_lengths_of_the_fitted_table_ascend():
    for kinds in entropy.table()["tables"].values():
        for knots in kinds.values():
            assert knots["length"] == sorted(set(knots["length"]))
            assert min(knots["mad_bits"]) > 0


def test_residual_tells_text_from_repetition_and_from_word_salad():
    text = (SAMPLES / "legal" / "state-of-the-union.parquet").as_posix()
    speech = " ".join(pq.read_table(text, columns=["text"])["text"][0].as_py().split()[:400])
    salad = " ".join(f"w{number}" for number in range(400))
    residuals = measure(batch_of([speech, "buy it now " * 130, salad])).column("word_entropy_residual").to_pylist()
    assert abs(residuals[0]) < 4
    assert residuals[1] < -10
    assert residuals[2] > 6


def test_text_that_is_not_utf8_is_refused():
    broken = pa.Array.from_buffers(pa.large_string(), 1, [None, pa.py_buffer(np.array([0, 2])), pa.py_buffer(b"a\xff")])
    with pytest.raises(SourceError, match=r"document x is not valid UTF-8.*sources\.encoding"):
        measure(pa.record_batch([pa.array(["x"]), broken], ["doc_id", "text"]))


def test_a_document_beyond_the_limit_is_refused():
    with pytest.raises(SourceError, match=r"33554433 bytes.*limits\.document_bytes"):
        measure(batch_of(["a" * (1 << 25) + "b"]))


def test_a_batch_without_text_is_refused():
    with pytest.raises(SchemaError, match="no column 'text'"):
        measure(pa.record_batch({"doc_id": ["a"]}))


def test_a_part_is_measured_row_by_row_and_accounted(tmp_path):
    documents = pa.record_batch(
        {
            "doc_id": ["a", "b", "c"],
            "source": ["web", "books", "web"],
            "text": pa.array(["one two", "", "três"], pa.large_string()),
        }
    )
    write_part(tmp_path / "documents.parquet", documents.schema, [documents])
    outcomes = []
    for folder in ("first", "again"):
        (tmp_path / folder).mkdir()
        outcomes.append(measure_part(SIGNALS, tmp_path / "documents.parquet", tmp_path / folder))
    signals = read_part(tmp_path / "first" / "signals.parquet")
    assert signals["doc_id"].to_pylist() == ["a", "b", "c"]
    assert signals["words"].to_pylist() == [2, 0, 1]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].rows == 3
    assert outcomes[0].accounts["web"].bytes_kept == 12
    assert list(outcomes[0].accounts) == ["books", "web"]
    first, again = ((tmp_path / folder / "signals.parquet").read_bytes() for folder in ("first", "again"))
    assert first == again


def test_kernel_columns_are_declared_once():
    assert len(set(layout.NAMES)) == len(layout.NAMES)
