"""Conditional entropy of characters: how well a character follows from the one before it.

Characters are read as 256 symbols, so that their pairs fit a table of counts: ASCII as it is, white space of ASCII and
control characters as one, others by the low 7 bits of their code point, which tell the letters of a 128-point block apart.
"""

from corpus._kernels import decode
from filters._kernels_entropy import UNIT, sum_of
from filters._kernels_jit import kernel, leaf

SYMBOLS = 256
PAIRS = SYMBOLS * SYMBOLS
_WHITE = 32


_WHITE_PAIR = _WHITE << 8 | _WHITE


@leaf
def _count_pairs(data, start, stop, counts, seen):
    """Count pairs of neighbours in ``counts``; the text begins behind white space.

    Lists each different pair in ``seen``. Returns (how many are listed, pairs in all). No branch but for characters
    beyond ASCII: whether a pair is new is a coin toss.
    """
    n_seen, n, at, before = 0, 0, start, _WHITE
    while at < stop:
        symbol, n_bytes = max(int(data[at]), _WHITE), 1
        if symbol >= 0x80:
            point, n_bytes = decode(data, at)
            symbol = 0x80 | (point & 0x7F)
        pair = before << 8 | symbol
        seen[n_seen] = pair
        n_seen += counts[pair] == 0
        counts[pair] += 1
        before = symbol
        at += n_bytes
        n += 1
    return n_seen, n


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
    """out[d] = H(character | the one before) of document d, bits a character.

    counts int32[PAIRS] of zeros, firsts int32[SYMBOLS], seen uint16[PAIRS + 1] are scratch.
    """
    for doc in range(offsets.size - 1):
        out[doc] = _conditional_entropy(data, offsets[doc], offsets[doc + 1], counts, firsts, seen)
