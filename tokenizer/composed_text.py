"""Texts in Unicode's normal form C, which some tokenizers ask for; the tokenizers library composes, where it must."""

from functools import lru_cache

import numpy as np
import pyarrow as pa
from tokenizers import Regex, normalizers, pre_tokenizers

from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_ready

_BEFORE, _BEHIND = "\u0345", "\u0334"  # marks of the highest and the lowest class: both move if one between has another


def composed(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """``texts``, each in normal form C: itself, uncopied, where no text holds a character that may change.

    About 500 MB of ASCII a CPU second; texts with such a character about 40.
    """
    column, marked = text_column(pa.record_batch({"text": texts})), np.zeros(len(texts), np.bool_)
    _kernels_ready.mark_characters(column.offsets, column.data, changing_characters(), marked)
    if not marked.any():
        return texts
    found, compose = texts.to_pylist(), normalizers.NFC().normalize_str
    for row in np.flatnonzero(marked):
        found[row] = compose(found[row])
    return pa.array(found, pa.large_string())


@lru_cache(maxsize=1)
def changing_characters() -> np.ndarray:
    """Bool [0x110000]: characters that normal form C may change, or join with the one before, or move behind one.

    Asked of the library, whose Unicode may be newer than Python's: marks, what it changes between two marks, and the
    second characters of all that it can take apart.
    """
    points = [*range(0x80, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000)]
    found = np.zeros(0x110000, np.bool_)
    asked = "\n".join(f"{_BEFORE}{chr(point)}{_BEHIND}" for point in points)
    answers = zip(asked.split("\n"), normalizers.NFC().normalize_str(asked).split("\n"), strict=True)
    found[[point for point, (before, after) in zip(points, answers, strict=True) if before != after]] = True
    apart = normalizers.NFD().normalize_str("\n".join(map(chr, points)))
    found[[ord(character) for one in apart.split("\n") for character in one[1:]]] = True
    text = "".join(map(chr, points))
    for marks, _ in pre_tokenizers.Split(Regex(r"\p{M}+"), "removed", invert=True).pre_tokenize_str(text):
        found[[ord(mark) for mark in marks]] = True
    return found
