"""Text kernels of every room: UTF-8, character classes, words, hashes. Arrays in, arrays out; nothing raised.

One calling convention: ``data uint8[n_bytes + 64]`` (padded), byte positions ``start``, ``stop`` of one valid UTF-8
document in it, ``offsets int64[n_docs + 1]``. Scratch for words is given by the caller and needs
``word_capacity(longest document)`` places, allocated once a batch.

Words come in two readings, both with every Han and kana character a word of its own:
``tokenise`` splits at white space (what filters count), ``words`` keeps runs of letters, digits and marks (labels, shingles).
"""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels_bits import (  # noqa: F401 - other rooms take the masks from here
    alpha_mask,
    clz,
    ctz,
    cyrillic_lead_mask,
    equal_mask,
    han_lead_mask,
    high_mask,
    lead_mask,
    letter_mask,
    load64,
    mixed_lead_mask,
    mulhi,
    mum,
    popc,
    prefetch,
    range_mask,
    space_mask,
    word_mask,
)
from gristmill.corpus.text._unicode import ALPHA, BLOCK_BITS, CJK, MARK, NUMBER, PUNCT, SPACE, SYMBOL, UPPER  # noqa: F401
from gristmill.corpus.text._unicode_table import BLOCKS, FLAGS

U64 = np.uint64
ZERO, ONE = U64(0), U64(1)
K0, K1, K2 = U64(0x9E3779B97F4A7C15), U64(0xD6E8FEB86659FD93), U64(0xA0761D6478BD642F)
SHINGLE_BASE = U64(0x5851F42D4C957F2D)
_LOW7, _HIGH1 = U64(0x7F7F7F7F7F7F7F7F), U64(0x8080808080808080)
_FROM_A, _BEYOND_Z = U64(0x3F3F3F3F3F3F3F3F), U64(0x2525252525252525)
_BYTES = U64(0x0101010101010101)
_WORD = ALPHA | NUMBER | MARK
_POINT_MASK = (1 << BLOCK_BITS) - 1


# ------------------------------------------------------------------------------------------------ characters


@njit(cache=True, nogil=True, inline="always")
def decode(data, at):
    """(code point, bytes) of the character at ``at``."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    second = np.int64(data[at + 1]) & 63
    if lead < 0xE0:
        return (lead & 31) << 6 | second, 2
    third = np.int64(data[at + 2]) & 63
    if lead < 0xF0:
        return (lead & 15) << 12 | second << 6 | third, 3
    return (lead & 7) << 18 | second << 12 | third << 6 | np.int64(data[at + 3]) & 63, 4


@njit(cache=True, nogil=True, inline="always")
def char_class(code_point):
    """Flags of a code point, see ``_unicode``; 0 for control characters and unassigned ones."""
    return np.int64(FLAGS[(np.int64(BLOCKS[code_point >> BLOCK_BITS]) << BLOCK_BITS) + (code_point & _POINT_MASK)])


@njit(cache=True, nogil=True, inline="always")
def below(n):
    """The n lowest bits set, 0 <= n <= 64."""
    return (ONE << U64(n)) - ONE if n < 64 else ~ZERO


@njit(cache=True, nogil=True, inline="always")
def continuations(word):
    """How many of the 8 bytes of ``word`` continue a character."""
    return popc((word >> U64(7)) & ~(word >> U64(6)) & _BYTES)


@njit(cache=True, nogil=True, inline="always")
def chars_in(word):
    """How many of the 8 bytes of ``word`` begin a character."""
    return 8 - continuations(word)


@njit(cache=True, nogil=True)
def count_chars(data, start, stop):
    """Characters of data[start:stop]."""
    chars = stop - start
    for at in range(start, stop, 8):
        word = load64(data, at) & below(8 * min(stop - at, 8))
        chars -= 8 - chars_in(word)
    return chars


@njit(cache=True, nogil=True, inline="always")
def _block_errors(data, at, inside, twos, threes, fours):
    """Bits of a block with characters beyond ASCII that break UTF-8 (Unicode standard, table 3-7).

    A lead byte calls for continuations behind it; E0, ED, F0 and F4 narrow the first of them. ``twos``, ``threes`` and
    ``fours`` hold the bits 1, 2 and 3 bytes behind leads of the block before. Returns (errors, those of this block).
    """
    two = range_mask(data, at, 0xC2, 0xDF) & inside
    three, four = range_mask(data, at, 0xE0, 0xEF) & inside, range_mask(data, at, 0xF0, 0xF4) & inside
    any_lead = two | three | four
    wanted = any_lead << ONE | (three | four) << U64(2) | four << U64(3) | twos | threes | fours
    found = range_mask(data, at, 0x80, 0xBF) & inside
    bad = range_mask(data, at, 0xC0, 0xC1) | range_mask(data, at, 0xF5, 0xFF)
    errors = (wanted ^ found) | bad & inside
    return errors, any_lead >> U64(63), (three | four) >> U64(62), four >> U64(61)


@njit(cache=True, nogil=True, inline="always")
def _narrow_errors(data, at, inside):
    """Bits of leads E0, ED, F0 and F4 whose next byte is none of theirs: overlong forms, surrogates, beyond U+10FFFF."""
    low, high = range_mask(data, at + 1, 0x80, 0x9F), range_mask(data, at + 1, 0xA0, 0xBF)
    lowest = range_mask(data, at + 1, 0x80, 0x8F)
    errors = equal_mask(data, at, 0xE0) & low | equal_mask(data, at, 0xED) & high
    errors |= equal_mask(data, at, 0xF0) & lowest | equal_mask(data, at, 0xF4) & (low | high) & ~lowest
    return errors & inside


@njit(cache=True, nogil=True)
def _is_valid(data, start, stop):
    """Whether data[start:stop] is valid UTF-8 by itself, 64 bytes a step."""
    twos, threes, fours = ZERO, ZERO, ZERO
    for at in range(start, stop, 64):
        inside = below(min(stop - at, 64))
        if (high_mask(data, at) & inside) | twos | threes | fours:
            errors, twos, threes, fours = _block_errors(data, at, inside, twos, threes, fours)
            if errors | _narrow_errors(data, at, inside):
                return False
    return twos | threes | fours == ZERO


@njit(cache=True, nogil=True)
def first_invalid_utf8(offsets, data):
    """Index of the first document that is not valid UTF-8 by itself, -1 when all are."""
    for doc in range(offsets.size - 1):
        if not _is_valid(data, offsets[doc], offsets[doc + 1]):
            return doc
    return -1


# ------------------------------------------------------------------------------------------------ words


@njit(cache=True, nogil=True)
def word_capacity(offsets):
    """Places that the words of the longest document can need: one a two bytes."""
    longest = 0
    for doc in range(offsets.size - 1):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    return longest // 2 + 2


@njit(cache=True, nogil=True, inline="always")
def _split_high(data, at, high, by_class):
    """Bits of the block at ``at`` that characters beyond ASCII add, and what they spill into the next block.

    Han letters of U+5000 to U+9FFF are cut out all at once; of the others only those are decoded that may separate or cut.
    Returns (separators, their spill, cuts, their spill); a cut is a byte where a word begins whatever stands before.
    """
    han = han_lead_mask(data, at) & high
    cuts, cuts_next = han | han << U64(3), han >> U64(61)
    separators, separators_next = ZERO, ZERO
    leads = lead_mask(data, at) & ~(han | cyrillic_lead_mask(data, at)) if by_class else mixed_lead_mask(data, at)
    leads &= high
    while leads:
        bit = ctz(leads)
        leads &= leads - ONE
        point, n_bytes = decode(data, at + bit)
        flags = char_class(point)
        place = U64(bit)
        separates = not flags & _WORD if by_class else flags & SPACE
        if separates:
            separators |= below(n_bytes) << place
            separators_next |= below(max(bit + n_bytes - 64, 0))
        elif flags & CJK:
            cuts |= ONE << place
            if bit + n_bytes < 64:
                cuts |= ONE << U64(bit + n_bytes)
            else:
                cuts_next |= ONE << U64(bit + n_bytes - 64)
    return separators, separators_next, cuts, cuts_next


@njit(cache=True, nogil=True, inline="always")
def _emit(bits, at, out, n):
    """Append at + k to out for each set bit k; returns the new number of entries. Unsigned: numba would wrap a sign."""
    while bits:
        out[n] = at + ctz(bits)
        n += ONE
        bits &= bits - ONE
    return n


@njit(cache=True, nogil=True, inline="always")
def _split(data, start, stop, by_class, starts, ends):
    """Word boundaries from 64-byte masks: a word begins where text follows a separator, or at a cut."""
    n_starts, n_ends = ZERO, ZERO
    in_word, spilled, cut_spilled = ZERO, ZERO, ZERO
    for at in range(start, stop, 64):
        inside = below(min(stop - at, 64))
        high = high_mask(data, at) & inside
        separators = ~(word_mask(data, at) | high) if by_class else space_mask(data, at)
        separators |= ~inside | spilled
        cuts, spilled, next_cuts = cut_spilled, ZERO, ZERO
        if high:
            more, spilled, more_cuts, next_cuts = _split_high(data, at, high, by_class)
            separators |= more
            cuts |= more_cuts
        cut_spilled = next_cuts
        text = ~separators
        before = text << ONE | in_word
        n_starts = _emit(text & (~before | cuts), at, starts, n_starts)
        n_ends = _emit(before & (separators | cuts), at, ends, n_ends)
        in_word = text >> U64(63)
    if n_ends < n_starts:
        ends[n_ends] = stop
    return np.int64(n_starts)


@njit(cache=True, nogil=True)
def tokenise(data, start, stop, starts, ends):
    """White-space words of one document -> starts, ends (byte positions in data). Returns their number."""
    return _split(data, start, stop, False, starts, ends)


@njit(cache=True, nogil=True)
def words(data, start, stop, starts, ends):
    """Runs of letters, digits and marks in any script -> starts, ends. Returns their number."""
    return _split(data, start, stop, True, starts, ends)


# ------------------------------------------------------------------------------------------------ hashes


@njit(cache=True, nogil=True, inline="always")
def lower8(word):
    """ASCII lower case of 8 bytes."""
    low = word & _LOW7
    capitals = ((low + _FROM_A) ^ (low + _BEYOND_Z)) & _HIGH1 & ~word
    return word | capitals >> U64(2)


@njit(cache=True, nogil=True, inline="always")
def load_upto8(data, at, n):
    """The first n bytes at ``at`` (1 to 8, or 0) as an integer."""
    return load64(data, at) & below(8 * min(n, 8))


@njit(cache=True, nogil=True, inline="always")
def hash_bytes(data, start, stop, fold):
    """64-bit hash of data[start:stop], of its ASCII lower case when ``fold``. Not for storage: may change by version."""
    left = stop - start
    length = U64(left)
    state = K0 ^ length * K1
    at = start
    while left > 8:
        word = load64(data, at)
        state = mum((lower8(word) if fold else word) ^ state, K2)
        at += 8
        left -= 8
    word = load_upto8(data, at, left)
    return mum((lower8(word) if fold else word) ^ state, K1 ^ U64(left)) ^ state


@njit(cache=True, nogil=True)
def hash_tokens(data, starts, ends, n, fold, hashes):
    """hashes[t] = hash of word t, for t < n."""
    for t in range(n):
        hashes[t] = hash_bytes(data, starts[t], ends[t], fold)


@njit(cache=True, nogil=True)
def hash_shingles(hashes, n, width, out):
    """out[s] = hash of words s .. s + width - 1, order kept. Returns their number.

    A text of fewer words is one shingle of all of them; no words, no shingle. Polynomial in SHINGLE_BASE, rolled.
    """
    if n == 0:
        return 0
    width = min(width, n)
    state, leading = ZERO, ONE
    for t in range(width):
        state = state * SHINGLE_BASE + hashes[t]
        leading *= SHINGLE_BASE
    out[0] = mum(state ^ K0, K1)
    for t in range(width, n):
        state = state * SHINGLE_BASE + hashes[t] - leading * hashes[t - width]
        out[t - width + 1] = mum(state ^ K0, K1)
    return n - width + 1


@njit(cache=True, nogil=True)
def hash_documents(offsets, data, fold, out):
    """out[d] = hash of document d: looks up short strings (stop words, labels) by the hash of their words."""
    for doc in range(offsets.size - 1):
        out[doc] = hash_bytes(data, offsets[doc], offsets[doc + 1], fold)
