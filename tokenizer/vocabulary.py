"""What makes a tokenizer of ours: how text is cut into words, the bytes as symbols, the classes of characters.

The tokenizers library defines every answer (``text_tokenizer``); ``tokenizer.encoder`` gives the same ones faster.
"""

from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from gristmill.tokenizer._kernels_bpe import LETTER, MAX_RUN, NEWLINE, NUMBER, OTHER, SPACE

MAX_VOCAB_SIZE = 1 << 20  # the kernels keep an id in 20 bits

# GPT-4's cut with three changes. Marks count as letters, else every Devanagari or Thai vowel sign breaks its word. A
# digit is a token of its own: a vocabulary of some thousand has no room for 1,000 groups of three, and columns of
# numbers stay aligned. Runs end after 64 characters, so that a megabyte of one letter costs no quadratic time; on 4 MB
# of mixed text that adds 0.02 % words. English contractions need no rule: the apostrophe is a prefix of the letters.
_LETTER, _OTHER = r"[\p{L}\p{M}]", r"[^\s\p{L}\p{M}\p{N}]"
PATTERN = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{M}}\p{{N}}]?{_LETTER}{{1,{MAX_RUN}}}",
        r"\p{N}",
        rf" ?{_OTHER}{{1,{MAX_RUN}}}[\r\n]{{0,{MAX_RUN}}}",
        rf"\s{{0,{MAX_RUN - 1}}}[\r\n]",
        rf"\s{{1,{MAX_RUN}}}(?!\S)",
        r"\s",
    ]
)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide a tokenizer; part of the stage's key."""
    return {"tokenizers": version("tokenizers")}


def empty_tokenizer() -> Tokenizer:
    """A byte-level BPE without merges, ready for training."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

    >>> byte_symbols()[ord("a")], byte_symbols()[ord(" ")]
    ('a', 'Ġ')
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """Class of every code point, uint8 [0x110000], as the tokenizers library's own regular expressions see it.

    Asked of the library, because Unicode tables differ by version: the scanner then agrees with it on every
    character. Planes 4 to 13 are unassigned and 15 to 16 private, so neither letters nor numbers nor space; leaving
    them out makes this 0.4 CPU seconds a process instead of 1.6.
    """
    points = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000)]
    text = "".join(map(chr, points))
    classes = np.full(0x110000, OTHER, np.uint8)
    at = np.array(points)
    for pattern, number in ((r"[\p{L}\p{M}]+", LETTER), (r"\p{N}+", NUMBER), (r"\s+", SPACE)):
        finder = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
        for _, (start, stop) in finder.pre_tokenize_str(text):
            classes[at[start:stop]] = number
    classes[[ord("\r"), ord("\n")]] = NEWLINE
    return classes


def is_ours(config: dict[str, Any]) -> bool:
    """True when a parsed tokenizer.json cuts and merges as ``empty_tokenizer`` does, whatever its vocabulary."""
    options = {"dropout": None, "unk_token": None, "byte_fallback": False, "ignore_merges": False}
    expected = [
        {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ]
    return (
        config["normalizer"] is None
        and all(token["special"] for token in config["added_tokens"])
        and config["pre_tokenizer"] == {"type": "Sequence", "pretokenizers": expected}
        and config["post_processor"] is None
        and config["model"]["type"] == "BPE"
        and not config["model"]["continuing_subword_prefix"]
        and not config["model"]["end_of_word_suffix"]
        and {name: config["model"][name] for name in options} == options
        and len(config["model"]["vocab"]) <= MAX_VOCAB_SIZE
        and all(symbol in config["model"]["vocab"] for symbol in byte_symbols())
    )
