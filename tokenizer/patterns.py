"""The split patterns that kernels know, how a tokenizer.json states them, and the classes of characters in each.

The regular expressions are those of the published files, to the character: any other goes to the tokenizers library.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from tokenizers import Regex, normalizers

from gristmill.tokenizer import _kernels_patterns as kernels
from gristmill.tokenizer._kernels_patterns import LETTER, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER
from gristmill.tokenizer.vocabulary import PATTERN

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_CAPITAL, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
CL100K = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}{{1,3}}|{_OTHERS}|{_SPACES}"  # Llama 3's too
QWEN2 = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}|{_OTHERS}|{_SPACES}"  # Qwen 3's too
O200K = "|".join(
    [
        f"{_PREFIX}{_CAPITAL}*{_SMALL}+{_CONTRACTION}?",
        f"{_PREFIX}{_CAPITAL}+{_SMALL}*{_CONTRACTION}?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        _SPACES,
    ]
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # what ByteLevel does by itself
PATTERNS = {
    GPT2: kernels.GPT2,
    PATTERN: kernels.OURS,
    CL100K: kernels.CL100K,
    QWEN2: kernels.QWEN2,
    O200K: kernels.O200K,
}

_FOR_ALL = ((r"\p{N}+", NUMBER), (r"\s+", SPACE))
_CASED = ((r"[\p{Lu}\p{Lt}]+", UPPER), (r"\p{Ll}+", LOWER), (r"[\p{Lm}\p{Lo}]+", LETTER), (r"\p{M}+", MARK))
_CLASSES = {kernels.OURS: ((r"[\p{L}\p{M}]+", LETTER),), kernels.O200K: _CASED}


def pattern_of(pre_tokenizer: Any) -> int | None:
    """The kernel of a byte-level pre_tokenizer; None where there is none.

    >>> pattern_of({"type": "ByteLevel", "add_prefix_space": False}) == kernels.GPT2
    True
    """
    steps = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer or {}])
    *splits, last = steps or [{}]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        return None
    whole = last.get("use_regex", True)
    if whole or len(splits) != 1:
        return kernels.GPT2 if whole and not splits else None
    return _split_pattern(splits[0])


def _split_pattern(split: dict[str, Any]) -> int | None:
    """Each pattern covers every character, so what is matched may as well be kept as what is not be removed."""
    how = (split.get("behavior"), split.get("invert"))
    if split.get("type") != "Split" or how not in {("Isolated", False), ("Isolated", True), ("Removed", True)}:
        return None
    return PATTERNS.get(split["pattern"].get("Regex"))


@lru_cache(maxsize=4)
def classes_of(pattern: int) -> np.ndarray:
    r"""Class of every code point, uint8 [0x110000], in a pattern's kernel."""
    return _asked(asked_patterns(pattern))


def asked_patterns(pattern: int) -> tuple[tuple[str, int], ...]:
    """Regular expressions of runs of one class, and the class; no character is in two, and the others are OTHER."""
    return (*_CLASSES.get(pattern, ((r"\p{L}+", LETTER),)), *_FOR_ALL)


def character_classes() -> np.ndarray:
    """Those of our own pattern, in which marks are letters."""
    return classes_of(kernels.OURS)


def _asked(patterns: Sequence[tuple[str, int]]) -> np.ndarray:
    """Classes as the tokenizers library's own regular expressions see them: what it takes out of all characters.

    Asked of the library, because Unicode tables differ by version: the scanner then agrees with it on every
    character. Planes 4 to 13 are unassigned and 15 to 16 private, so neither letters nor numbers nor space; leaving
    them out makes this four times cheaper. Taking out is ten times cheaper than asking where the matches are.
    """
    left = np.array([*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000)], "<u4")
    classes = np.full(0x110000, OTHER, np.uint8)
    for pattern, number in patterns:
        text = normalizers.Replace(Regex(pattern), "").normalize_str(left.tobytes().decode("utf-32-le"))
        others = np.frombuffer(text.encode("utf-32-le"), "<u4")
        classes[np.setdiff1d(left, others, assume_unique=True)] = number
        left = others
    classes[[ord("\r"), ord("\n")]] = NEWLINE
    return classes
