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


@leaf
def _list_pairs(data, start, stop, pairs):
    """Pairs of neighbours -> pairs uint16[bytes]; the text begins behind white space, a run of which is one symbol.

    Returns their number.
    """
    n, at, before = 0, start, _WHITE
    while at < stop:
        symbol, n_bytes = max(int(data[at]), _WHITE), 1
        if symbol >= 0x80:
            point, n_bytes = decode(data, at)
            symbol = 0x80 | (point & 0x7F)
        pairs[n] = before << 8 | symbol
        n += symbol != _WHITE or before != _WHITE
        before = symbol
        at += n_bytes
    return n


@kernel
def _conditional_entropy(data, start, stop, counts, firsts, pairs):
    """H(symbol | the one before) of one document, bits. counts int32[PAIRS] comes and leaves as zeros."""
    n = _list_pairs(data, start, stop, pairs)
    for k in range(n):
        counts[pairs[k]] += 1
    firsts[:] = 0
    joint, marginal = 0, 0
    for k in range(n):  # a pair met again adds 0: without a branch, which no processor could foresee
        count = counts[pairs[k]]
        joint += sum_of(count)
        firsts[pairs[k] >> 8] += count
        counts[pairs[k]] = 0
    for symbol in range(SYMBOLS):
        marginal += sum_of(firsts[symbol])
    return max(0.0, (marginal - joint) / UNIT / n) if n else 0.0


@kernel
def conditional_entropies(offsets, data, counts, firsts, pairs, out):
    """out[d] = H(character | the one before) of document d, bits a character.

    counts int32[PAIRS] of zeros, firsts int32[SYMBOLS], pairs uint16[bytes of the longest document] are scratch.
    """
    for doc in range(offsets.size - 1):
        out[doc] = _conditional_entropy(data, offsets[doc], offsets[doc + 1], counts, firsts, pairs)
