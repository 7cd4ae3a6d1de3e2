"""The kernels against the tokenizers library, id by id, and the round trip of any text."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from gristmill.corpus.errors import SourceError
from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_patterns, vocabulary
from gristmill.tokenizer._kernels_bpe import AHEAD
from gristmill.tokenizer._kernels_patterns import OURS
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kernel_encoder import KernelEncoder
from gristmill.tokenizer.patterns import character_classes
from gristmill.tokenizer.reference_encoder import ReferenceEncoder
from gristmill.tokenizer.stage import END, END_ID, PAD
from gristmill.tokenizer.text_tokenizer import TextTokenizer, load_reference
from gristmill.tokenizer.tokenizer_json import SETTINGS
from gristmill.tokenizer.vocabulary import PATTERN

# characters where two readings of "letter", "number" or "space" could part, and all that PATTERN names
HARD = [*" \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2028\u3000\u200b\ufeff'’.,!<|>_-~$a1Zéß²½Ⅷ٣\u0301नि한漢字カ𝒳🙂"]
HARD += ["\U0001f1e9", "\U000e0100", "\U0010ffff", "\x00"]
words = st.sampled_from(["the", " the", "endoftext", END, PAD, "\r\n", "    ", "123", "help", " GNOME", "def ", "''"])
texts = st.lists(st.one_of(words, st.text(max_size=5), st.text(st.sampled_from(HARD), max_size=9)), max_size=12).map(
    "".join
)
long_runs = st.builds(lambda text, n, tail: text * n + tail, st.sampled_from(HARD), st.integers(60, 140), texts)


@pytest.fixture(scope="module")
def encoders(tokenizer):
    text = TextTokenizer(tokenizer)
    return KernelEncoder(text, OURS), ReferenceEncoder(text)


def large(texts):
    return pa.array(texts, pa.large_string())


def same(encoders, texts):
    fast, reference = (encoder.encode(large(texts)) for encoder in encoders)
    return fast.ids.dtype == reference.ids.dtype and all(map(np.array_equal, fast, reference))


def scanned(text):
    """Words as the kernel cuts them."""
    column, data = text_column(pa.record_batch({"text": large([text])})), text.encode()
    lengths = np.empty(len(data), np.uint32)
    n = _kernels_patterns.split(column.data, 0, len(data), OURS, character_classes(), lengths)
    ends = np.cumsum(lengths[:n])
    return [data[end - length : end].decode() for end, length in zip(ends, lengths[:n], strict=True)]


@given(st.one_of(texts, long_runs))
def test_words_are_those_of_the_pattern(text):
    expected = pre_tokenizers.Split(Regex(PATTERN), "isolated").pre_tokenize_str(text)
    assert scanned(text) == [word for word, _ in expected]


@given(st.lists(st.one_of(texts, long_runs), max_size=6))
def test_ids_equal_tokenizers(encoders, made):
    assert same(encoders, made)


@given(st.lists(st.one_of(texts, long_runs, st.text()), max_size=4))
def test_decoding_gives_the_text_back(encoders, tokenizer, made):
    tokens = encoders[0].encode(large(made))
    for text, start, stop in zip(made, tokens.offsets, tokens.offsets[1:], strict=False):
        assert tokens.ids[stop - 1] == END_ID
        assert (
            load_reference(tokenizer).decode(tokens.ids[start : stop - 1].tolist(), skip_special_tokens=False) == text
        )


def test_ids_equal_tokenizers_on_every_sample_language(encoders, mill):
    for name in ("docs/gnome-help.parquet", "docs/man-pages.parquet", "code/code.parquet"):
        assert same(encoders, mill.texts(name, 60))


def test_every_character_has_the_class_that_tokenizers_gives_it(encoders):
    points = [point for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    blocks = [" ".join(f"a{chr(point)}1" for point in points[at : at + 4096]) for at in range(0, len(points), 4096)]
    assert same(encoders, blocks)


def test_unprobed_planes_are_neither_letters_numbers_nor_space():
    text = "".join(map(chr, [*range(0x40000, 0xE0000, 0x101), *range(0xE1000, 0x110000, 0x101)]))
    assert re.fullmatch(r"[^\w\s]*", text)
    split = pre_tokenizers.Split(Regex(r"[\p{L}\p{M}\p{N}\s]"), "removed", invert=True)
    assert split.pre_tokenize_str(text) == []


@given(st.lists(texts, max_size=6), st.integers(0, 6))
def test_tokens_of_a_slice_are_the_slice_of_the_tokens(encoders, made, first):
    whole, part = encoders[0].encode(large(made)), encoders[0].encode(large(made)[first:])
    start = whole.offsets[min(first, len(made))]
    assert np.array_equal(part.ids, whole.ids[start:])


def test_the_cache_of_words_changes_nothing(tokenizer, mill):
    made = mill.texts("docs/gnome-help.parquet", 40)
    text = TextTokenizer(tokenizer)
    warm, tiny, fresh = (KernelEncoder(text, OURS) for _ in range(3))
    warm.encode(large(mill.texts("code/code.parquet", 40)))
    tiny._words = np.zeros((1, 8), np.uint64)
    fresh = fresh.encode(large(made))
    for encoder in (warm, tiny):
        assert np.array_equal(encoder.encode(large(made)).ids, fresh.ids)


@pytest.mark.parametrize("n_words", [AHEAD - 1, AHEAD, AHEAD + 1, 3 * AHEAD + 2])
def test_every_word_has_its_own_tokens_however_many_are_looked_up_together(encoders, n_words):
    short = " ".join(f"w{number}" for number in range(n_words))
    assert same(encoders, [short, "", " ".join("abcdefghijklmnop"[: 1 + n % 16] * 2 for n in range(n_words)), short])


@pytest.mark.parametrize("text", [END, f"a{END}b", PAD, f"{END}{END}", f" {END} {PAD}\n", f"{'!' * 63}{END}"])
def test_special_tokens_in_a_text_are_text(encoders, text):
    for encoder in encoders:
        ids = encoder.encode(large([text])).ids
        assert ids[-1] == END_ID
        assert (ids[:-1] > 1).all()
    assert same(encoders, [text])


def test_hostile_runs_take_linear_space_and_equal_tokenizers(encoders):
    runs = ["a" * 50_000, " " * 50_000, "\n" * 50_000, "漢" * 20_000, "\u0301" * 20_000, "!" * 50_000, "=\r\n" * 9_000]
    assert same(encoders, runs)


def test_empty_batches_and_texts(encoders):
    assert same(encoders, [])
    assert encoders[0].encode(large(["", ""])).ids.tolist() == [END_ID, END_ID]


def test_wide_ids_where_the_vocabulary_asks_for_them(tokenizer, tmp_path):
    config = json.loads(tokenizer.read_text(encoding="utf-8"))
    config["model"]["vocab"]["unused"] = 70_000
    (tmp_path / "wide.json").write_text(json.dumps(config), encoding="utf-8")
    assert KernelEncoder(TextTokenizer(tmp_path / "wide.json"), OURS).encode(large(["a"])).ids.dtype == np.uint32


def test_checked_encoder_takes_the_kernels_for_our_tokenizers(tokenizer):
    encoder = CheckedEncoder(tokenizer)
    encoder.encode(large(["some text"]))
    assert encoder.engine == "kernels"


def test_checked_encoder_falls_back_when_the_answers_differ(tokenizer, monkeypatch, caplog):
    encoder = CheckedEncoder(tokenizer)
    monkeypatch.setattr(
        encoder._kernels, "encode", lambda texts: ReferenceEncoder.encode(encoder._reference, texts[:0])
    )
    tokens = encoder.encode(large(["some text"]))
    assert encoder.engine == "tokenizers"
    assert tokens.ids[-1] == END_ID
    assert "differ" in caplog.text


def test_checked_encoder_falls_back_for_a_foreign_tokenizer(tokenizer, tmp_path):
    config = json.loads(tokenizer.read_text(encoding="utf-8"))
    config["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\s+"
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps(config), encoding="utf-8")
    encoder = CheckedEncoder(foreign)
    assert encoder.engine == "tokenizers"
    text = "two words"
    ids = encoder.encode(large([text])).ids
    assert load_reference(foreign).decode(ids[:-1].tolist()) == text


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]"])
def test_a_broken_tokenizer_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match="is no tokenizer"):
        CheckedEncoder(path)


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(SourceError, match="none"):
        CheckedEncoder(tmp_path / "none.json")


def test_the_end_token_must_be_there(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.read_text(encoding="utf-8").replace(END, "<|eos|>"), encoding="utf-8")
    with pytest.raises(SourceError, match=r"no token '<\|endoftext\|>'; its special tokens are '<\|eos\|>', '<\|pad"):
        CheckedEncoder(path)
    path.with_name(SETTINGS).write_text(json.dumps({"eos_token": "<|eos|>", "additional_special_tokens": []}))
    assert CheckedEncoder(path).encode(large(["a"])).ids[-1] == END_ID


def test_byte_symbols_are_256_distinct_printable_characters():
    symbols = vocabulary.byte_symbols()
    assert len(set(symbols)) == 256
    assert sorted(symbols) == sorted(pre_tokenizers.ByteLevel.alphabet())
