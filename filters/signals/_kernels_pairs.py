"""Conditional entropy of characters: how well a character follows from the one before it.

Characters are read as 256 symbols, so that their pairs fit a table of counts: ASCII as it is, white space of ASCII and
control characters as one, others by the low 7 bits of their code point, which tell the letters of a 128-point block apart.
"""

import numpy as np

from gristmill.corpus.text._kernels import U64, ZERO, decode, load64
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_entropy import UNIT, sum_of

SYMBOLS = 256
PAIRS = SYMBOLS * SYMBOLS
_WHITE, _FIRST_HIGH, _EIGHT, _BYTE = U64(32), U64(0x80), U64(8), U64(255)
_WHITE_PAIR = 32 << 8 | 32
_HIGH = U64(0x8080808080808080)


@leaf
def _count_pair(pair, counts, seen, n_seen):
    """Count a pair, and list it in ``seen`` when it is new, which is a coin toss: no branch. Returns how many are listed."""
    count = counts[pair]
    counts[pair] = count + 1
    seen[n_seen] = pair
    return n_seen + U64(count == 0)


@leaf
def _count_pairs(data, start, stop, counts, seen):
    """Count pairs of neighbours in ``counts``; the text begins behind white space. 8 bytes of ASCII are one step.

    Lists each different pair in ``seen``. Returns (how many are listed, pairs in all).
    """
    n_seen, n, at, before = ZERO, 0, start, _WHITE
    while at < stop:
        word = load64(data, at)
        if word & _HIGH == ZERO and at + 8 <= stop:
            for byte in range(8):
                symbol = max((word >> U64(8 * byte)) & _BYTE, _WHITE)
                n_seen = _count_pair(before << _EIGHT | symbol, counts, seen, n_seen)
                before = symbol
            at += 8
            n += 8
            continue
        symbol, n_bytes = max(word & _BYTE, _WHITE), 1
        if symbol >= _FIRST_HIGH:
            point, n_bytes = decode(data, at)
            symbol = _FIRST_HIGH | U64(point & 0x7F)
        n_seen = _count_pair(before << _EIGHT | symbol, counts, seen, n_seen)
        before = symbol
        at += n_bytes
        n += 1
    return np.int64(n_seen), n


@kernel
def _conditional_entropy(data, start, stop, counts, firsts, seen):
    """H(symbol | the one before) of one document, bits. counts int32[PAIRS] comes and leaves as zeros."""
    n_seen, n = _count_pairs(data, start, stop, counts, seen)
    n -= counts[_WHITE_PAIR]  # a run of white space is one symbol
    counts[_WHITE_PAIR] = 0
    firsts[:] = 0
    joint, marginal = 0, 0
    for k in range(n_seen):
        pair = seen[k]
        joint += sum_of(counts[pair])
        firsts[pair >> 8] += counts[pair]
        counts[pair] = 0
    for symbol in range(SYMBOLS):
        marginal += sum_of(firsts[symbol])
    return max(0.0, (marginal - joint) / UNIT / n) if n else 0.0


@kernel
def conditional_entropies(offsets, data, counts, firsts, seen, out):
    """out[d] = H(character | the one before) of document d, bits per character.

    counts int32[PAIRS] of zeros, firsts int32[SYMBOLS], seen uint16[PAIRS + 1] are scratch.
    """
    for doc in range(offsets.size - 1):
        out[doc] = _conditional_entropy(data, offsets[doc], offsets[doc + 1], counts, firsts, seen)
