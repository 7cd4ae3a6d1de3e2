"""The five published split patterns and normal form C: kernels against the tokenizers library, on hard characters."""

import json
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers

from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_patterns as kernels
from gristmill.tokenizer import encoder as encoders
from gristmill.tokenizer.composed_text import changing_characters, composed
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kernel_encoder import KernelEncoder, kernel_pattern
from gristmill.tokenizer.patterns import CL100K, GPT2, O200K, PATTERNS, QWEN2, asked_patterns, classes_of, pattern_of
from gristmill.tokenizer.reference_encoder import ReferenceEncoder
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.tokenizer.own_tokenizers import PATTERN_FILES, TEXTS

# cases, contractions in both cases and with a long s, marks, letters without case and in title case, other numbers
HARD = [*" \t\n\r\x0b\x1c\x85\xa0\u2028\u3000\u200b'’/!<_-$aZsStTmMdDlLrRvVeEſßéⅧ²½٣1ǅʰª한漢𝒳🙂"]
HARD += [*"\u0301\u0345\u1100\u1161\u0928\u093f\u0958\u212a\U00016d67\U000e0100\U0010ffff\x00"]
PIECES = [
    "'s",
    "'S",
    "'ſ",
    "'LL",
    "'Ve",
    "'re",
    "don't",
    " the",
    "HTTPServer",
    "camelCase",
    "12345",
    "\r\n",
    "  \n ",
    "!/",
]
pieces = st.one_of(st.sampled_from(PIECES), st.text(st.sampled_from(HARD), max_size=8), st.text(max_size=4))
texts = st.lists(pieces, max_size=10).map("".join)
SPLITS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K, "qwen": QWEN2}


def large(made):
    return pa.array(made, pa.large_string())


def saved(tokenizer, path):
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patterns")
    return {name: saved(make(), folder / f"{name}.json") for name, make in PATTERN_FILES.items()}


@pytest.fixture(scope="module")
def pairs(files):
    """Kernels and reference of each file."""
    found = {name: TextTokenizer(path) for name, path in files.items()}
    return {name: (KernelEncoder(t, kernel_pattern(t.for_text)), ReferenceEncoder(t)) for name, t in found.items()}


def same(pair, made):
    fast, reference = (encoder.encode(large(made)) for encoder in pair)
    return fast.ids.dtype == reference.ids.dtype and all(map(np.array_equal, fast, reference))


@pytest.mark.parametrize("number", sorted(PATTERNS.values()))
def test_every_class_is_the_one_that_the_library_gives_the_character_alone(number):
    """Hard characters, the ends of every run of one class, and every 997th."""
    found = classes_of(number)
    points = {*np.flatnonzero(np.diff(found.astype(int))).tolist(), *range(0, 0x110000, 997), *map(ord, HARD)}
    points -= set(range(0xD800, 0xE000))
    finders = [(pre_tokenizers.Split(Regex(one), "removed", invert=True), name) for one, name in asked_patterns(number)]
    for point in sorted(points):
        alone = [name for finder, name in finders if finder.pre_tokenize_str(chr(point))]
        expected = kernels.NEWLINE if chr(point) in "\r\n" else (alone or [kernels.OTHER])[0]
        assert (found[point], len(alone)) == (expected, min(len(alone), 1)), hex(point)


def scanned(text, number):
    """Words as the kernel cuts them."""
    data = text.encode()
    column, lengths = text_column(pa.record_batch({"text": large([text + "s\n"])})), np.empty(len(data), np.uint32)
    n = kernels.split(column.data, 0, len(data), number, classes_of(number), lengths)
    ends = np.cumsum(lengths[:n])
    return [data[end - length : end].decode() for end, length in zip(ends, lengths[:n], strict=True)]


@pytest.mark.parametrize("name", SPLITS)
def test_words_are_those_of_the_pattern(name):
    split = pre_tokenizers.Split(Regex(SPLITS[name]), "isolated")

    @given(texts)
    def equal(text):
        assert scanned(text, PATTERNS[SPLITS[name]]) == [word for word, _ in split.pre_tokenize_str(text)]

    equal()


@pytest.mark.parametrize("name", PATTERN_FILES)
def test_ids_equal_tokenizers(pairs, name):
    @given(st.lists(texts, max_size=5))
    def equal(made):
        assert same(pairs[name], made)

    equal()


@pytest.mark.parametrize("name", PATTERN_FILES)
def test_ids_equal_tokenizers_on_samples_and_on_hostile_runs(pairs, mill, name):
    runs = [
        "a" * 5_000,
        "aA" * 3_000,
        " " * 9_000,
        "\n" * 5_000,
        "漢" * 2_000,
        "\u0301" * 3_000,
        "!" * 4_096,
        "7" * 5_000,
    ]
    assert same(pairs[name], [*mill.texts("docs/gnome-help.parquet", 40), *mill.texts("code/code.parquet", 20), *runs])


@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k", "qwen3"])
def test_every_character_counts_as_in_tokenizers(pairs, name):
    """Behind an apostrophe, a word, a number, a line end; before a small and a capital letter."""
    points = [*range(1, 0xD800), *range(0xE000, 0x3400), *range(0xF900, 0x17000), *range(0x1D000, 0x20000)]
    made = [f"'{one} x{one}y{one}Z 1{one}2\n{one}" for one in map(chr, points)]
    assert same(pairs[name], made[::11])


@pytest.mark.parametrize("name", PATTERN_FILES)
def test_a_file_goes_to_the_kernels_and_one_read_wrongly_to_the_library(files, name, monkeypatch):
    made = large([*TEXTS, "don'T 12345 !/\n/ HTTPServer  x", "e\u0301 a\u0301b"])
    expected = ReferenceEncoder(TextTokenizer(files[name])).encode(made)
    encoder = CheckedEncoder(files[name])
    assert all(map(np.array_equal, encoder.encode(made), expected))
    assert encoder.engine == "kernels"
    engines = set()
    for wrong in {kernels.GPT2, kernels.CL100K, kernels.QWEN2, kernels.O200K} - {kernel_pattern(encoder.text.for_text)}:
        monkeypatch.setattr(encoders, "kernel_pattern", lambda config, wrong=wrong: wrong)
        misled = CheckedEncoder(files[name])
        assert all(map(np.array_equal, misled.encode(made), expected))
        engines.add(misled.engine)
    assert "tokenizers" in engines


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern=CL100K, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([split(), BYTES], kernels.CL100K),
        ([split(QWEN2, "Removed", True), BYTES], kernels.QWEN2),
        ([split(O200K, "Isolated", True), BYTES], kernels.O200K),
        ([split(GPT2), BYTES], kernels.GPT2),
        ([BYTES | {"use_regex": True}], kernels.GPT2),
        ([BYTES], None),  # the whole text is one word
        ([split(), BYTES | {"use_regex": True}], None),  # split twice
        ([split(), BYTES | {"add_prefix_space": True}], None),
        ([split(), split(), BYTES], None),
        ([split(CL100K + "|x"), BYTES], None),
        ([split(behavior="Removed"), BYTES], None),
        ([split(behavior="MergedWithPrevious"), BYTES], None),
        ([split(kind="String"), BYTES], None),
        ([{"type": "Digits", "individual_digits": True}, BYTES], None),
        ([split()], None),
        ([], None),
    ],
)
def test_what_a_file_says_of_its_words(steps, expected):
    assert pattern_of({"type": "Sequence", "pretokenizers": steps}) == expected
    if len(steps) == 1:
        assert pattern_of(steps[0]) == expected
    assert pattern_of(None) is None


def test_an_older_file_has_merges_in_one_string_and_no_kind_of_model(files, tmp_path):
    config = json.loads(files["gpt2"].read_text(encoding="utf-8"))
    config["model"]["merges"] = [" ".join(pair) for pair in config["model"]["merges"]]
    del config["model"]["type"], config["pre_tokenizer"]["use_regex"]
    (tmp_path / "old.json").write_text(json.dumps(config), encoding="utf-8")
    (old, new), made = (CheckedEncoder(path) for path in (tmp_path / "old.json", files["gpt2"])), large(TEXTS)
    assert all(map(np.array_equal, old.encode(made), new.encode(made)))
    assert old.engine == "kernels"


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("name", ["llama3", "qwen3"])
def test_added_tokens_that_are_not_special_are_found_in_texts(files, tmp_path, name, normalized):
    tokenizer = Tokenizer.from_file(str(files[name]))
    made = [AddedToken(text, normalized=normalized, lstrip=True) for text in ("<tool>", "  ", "\u1100\u1161", "é")]
    tokenizer.add_tokens(made)
    text = TextTokenizer(saved(tokenizer, tmp_path / "added.json"))
    pair = KernelEncoder(text, kernel_pattern(text.for_text)), ReferenceEncoder(text)
    made = ["a <tool>b", "a  b", "e\u0301", "é", "가", "\u1100\u1161", "", "x <tool", "<endoftext>", "<|pad|>"]
    assert same(pair, made)
    assert tokenizer.token_to_id("<tool>") in pair[0].encode(large(["a <tool>b"])).ids


marks = st.text(st.characters(min_codepoint=0x300, max_codepoint=0x11FF), max_size=6)


@given(st.lists(st.one_of(texts, marks), max_size=4))
def test_texts_are_composed_as_by_the_library(made):
    assert composed(large(made)).to_pylist() == [normalizers.NFC().normalize_str(text) for text in made]


def test_what_cannot_change_is_not_asked():
    made = large(["plain", "déjà vu 漢字 кот", ""])
    assert composed(made) is made
    changing = changing_characters()
    characters = [chr(point) for point in range(0x30000)]
    assert changing[[ord(one) for one in characters if unicodedata.combining(one)]].all()
    assert changing[[ord(one) for one in characters if unicodedata.normalize("NFC", one) != one]].all()
    assert changing[[0x1161, 0x11A8, 0x9BE]].all()
    assert not changing[[*range(0x250), 0x1100, 0x4E2D, 0xAC00]].any()
