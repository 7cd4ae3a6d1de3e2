"""Phrases that C4 looks for, in either ASCII case: two rare letters find the place, the bytes decide."""

import numpy as np

from gristmill.corpus.text._kernels import ONE, below, ctz, letter_mask
from gristmill.corpus.text._kernels_jit import kernel, leaf

JAVASCRIPT, POLICY, LOREM = 1, 2, 4
# (phrase, what it is, offset of the pair of letters that finds it); the pairs are seldom in text of any kind
_PHRASES = (
    ("javascript", JAVASCRIPT, 0),  # ja
    ("terms of use", POLICY, 3),  # ms
    ("privacy policy", POLICY, 3),  # va
    ("cookie policy", POLICY, 2),  # ok
    ("uses cookies", POLICY, 7),
    ("use of cookies", POLICY, 9),
    ("use cookies", POLICY, 6),
    ("lorem ipsum", LOREM, 7),  # ps
)
_TEXT = np.zeros((len(_PHRASES), 16), np.uint8)
for _row, (_phrase, _, _) in enumerate(_PHRASES):
    _TEXT[_row, : len(_phrase)] = np.frombuffer(_phrase.encode(), np.uint8)
_LENGTH = np.array([len(phrase) for phrase, _, _ in _PHRASES])
_KIND = np.array([kind for _, kind, _ in _PHRASES])
_OFFSET = np.array([offset for _, _, offset in _PHRASES])


@leaf
def _pair(data, at, first, second):
    """Bits where the two letters stand side by side, in either case."""
    return letter_mask(data, at, first) & letter_mask(data, at, second) >> ONE


@leaf
def _phrase_bits(data, at):
    """Bits of the 63 bytes at ``at`` where a phrase may have its pair of rare letters: ja, ms, va, ok, ps."""
    found = _pair(data, at, 106, 97) | _pair(data, at, 109, 115) | _pair(data, at, 118, 97)
    return found | _pair(data, at, 111, 107) | _pair(data, at, 112, 115)


@kernel
def _phrase_at(data, pair, start, stop):
    """Kinds of the phrases inside data[start:stop] whose pair of letters stands at ``pair``."""
    kinds = 0
    for phrase in range(_KIND.size):
        first = pair - _OFFSET[phrase]
        if first < start or first + _LENGTH[phrase] > stop:
            continue
        k = 0
        while k < _LENGTH[phrase] and _folded(data[first + k]) == _TEXT[phrase, k]:
            k += 1
        if k == _LENGTH[phrase]:
            kinds |= _KIND[phrase]
    return kinds


@leaf
def _folded(byte):
    """ASCII lower case of a byte."""
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel
def find_phrases(data, start, stop, places, kinds):
    """Where in data[start:stop] a phrase stands, and its kinds, in order; no phrase crosses a line. Returns their number.

    places int64, kinds int32: a place a two bytes is enough, for a pair of letters takes as many.
    """
    n = 0
    for at in range(start, stop, 62):  # of 64: the last two bytes are left to the next block
        pairs = _phrase_bits(data, at) & below(min(stop - at, 62))
        while pairs:
            pair = at + ctz(pairs)
            pairs &= pairs - ONE
            places[n], kinds[n] = pair, _phrase_at(data, pair, start, stop)
            n += kinds[n] != 0
    return n


@kernel
def phrase_kinds(data, start, stop):
    """Kinds of all phrases in data[start:stop], or-ed together."""
    found = 0
    for at in range(start, stop, 62):
        pairs = _phrase_bits(data, at) & below(min(stop - at, 62))
        while pairs:
            found |= _phrase_at(data, at + ctz(pairs), start, stop)
            pairs &= pairs - ONE
    return found
