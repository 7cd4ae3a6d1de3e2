"""Case folding of the characters U+0080 to U+1FFF whose folded form is one character of as many UTF-8 bytes.

That is Latin with its accents, Greek, Cyrillic, Armenian and Vietnamese letters; ASCII is folded where words are
hashed. Only characters that Unicode 3.2 had, both sides of the pair: Unicode promises never to change those, so that
the table is the same under every Python.
"""

import unicodedata

import numpy as np

LIMIT = 0x2000
_OLD = unicodedata.ucd_3_2_0


def _folded(point: int) -> int:
    folded = chr(point).casefold()
    same_length = len(folded.encode()) == len(chr(point).encode())
    known = all(_OLD.category(char) != "Cn" for char in (chr(point), folded[0]))
    return ord(folded) if len(folded) == 1 and same_length and known else point


FOLDED = np.array([_folded(point) for point in range(LIMIT)], np.uint16)
