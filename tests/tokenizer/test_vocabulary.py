"""Which tokenizer.json the kernels may read, and the classes of characters."""

import json

import pytest

from gristmill.tokenizer._kernels_patterns import LETTER, NEWLINE, NUMBER, OTHER, OURS, SPACE
from gristmill.tokenizer.kernel_encoder import kernel_pattern
from gristmill.tokenizer.patterns import character_classes
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.vocabulary import empty_tokenizer


@pytest.fixture
def config(tokenizer):
    return json.loads(json.dumps(TextTokenizer(tokenizer).for_text))


def test_what_training_writes_is_ours(config):
    assert kernel_pattern(config) == OURS


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "dropout", 0.1),
        ("model", "type", "Unigram"),
        ("model", "end_of_word_suffix", "</w>"),
        ("model", "continuing_subword_prefix", "##"),
        ("pre_tokenizer", "pretokenizers", []),
    ],
)
def test_what_the_kernels_do_not_do_is_left_to_the_library(config, section, key, value):
    config[section][key] = value
    assert kernel_pattern(config) is None


def test_another_normalizer_than_composition_is_not_ours(config):
    config["normalizer"] = {"type": "NFKC"}
    assert kernel_pattern(config) is None


def test_a_vocabulary_without_a_byte_is_not_ours(config):
    del config["model"]["vocab"]["Ġ"]
    assert kernel_pattern(config) is None


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("a", LETTER),
        ("漢", LETTER),
        ("\u0301", LETTER),
        ("7", NUMBER),
        ("Ⅷ", NUMBER),
        (" ", SPACE),
        ("\u3000", SPACE),
        ("\n", NEWLINE),
        ("\r", NEWLINE),
        ("\u2028", SPACE),
        ("!", OTHER),
        ("\x00", OTHER),
        ("🙂", OTHER),
    ],
)
def test_classes(character, expected):
    assert character_classes()[ord(character)] == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it's 2024!", ["it", "'s", " ", "2", "0", "2", "4", "!"]),
        ("a  b\n\n  c", ["a", " ", " b", "\n\n", " ", " c"]),
        ("x = f(y);\n\n", ["x", " =", " f", "(y", ");\n\n"]),
        ("नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ("<|endoftext|>", ["<|", "endoftext", "|>"]),
        ("a" * 65, ["a" * 64, "a"]),
    ],
)
def test_words_by_example(text, words):
    split = empty_tokenizer().pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:stop] for _, (start, stop) in split] == words
