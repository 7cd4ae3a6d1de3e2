"""Words of a document: hashes, lengths, letters, stop words. Everything later reads the hashes and their prefix sums."""

import numpy as np

from corpus._kernels import (
    ALPHA,
    K0,
    K1,
    K2,
    MARK,
    NUMBER,
    ONE,
    U64,
    ZERO,
    below,
    char_class,
    chars_in,
    ctz,
    decode,
    equal_mask,
    load64,
    load_upto8,
    mum,
)
from filters._kernels_jit import kernel, leaf

GRAM_BASE = U64(0x5851F42D4C957F2D)
LENGTHS = 64  # word lengths of 63 characters and more share one place
_HIGH = U64(0x8080808080808080)
_LOW = U64(0x7F7F7F7F7F7F7F7F)
_CASE = U64(0x2020202020202020)
_FROM_A, _BEYOND_Z = U64(0x1F1F1F1F1F1F1F1F), U64(0x0505050505050505)
_FROM_0, _BEYOND_9 = U64(0x5050505050505050), U64(0x4646464646464646)


@leaf
def letter_bits(word):
    """Top bit of each byte of ``word`` that is an ASCII letter."""
    folded = (word | _CASE) & _LOW
    return ((folded + _FROM_A) ^ (folded + _BEYOND_Z)) & _HIGH & ~word


@leaf
def digit_bits(word):
    """Top bit of each byte of ``word`` that is an ASCII digit."""
    low = word & _LOW
    return ((low + _FROM_0) ^ (low + _BEYOND_9)) & _HIGH & ~word


@kernel
def _classes_beyond_ascii(data, start, stop):
    """Classes of the characters beyond ASCII together; a letter ends the search."""
    flags, at = 0, start
    while at < stop and not flags & ALPHA:
        point, n_bytes = decode(data, at)
        if n_bytes > 1:
            flags |= char_class(point)
        at += n_bytes
    return flags


@leaf
def describe_word(data, start, stop):
    """Returns (hash as hash_bytes, characters, has a letter, has a letter, digit or mark); one walk for all of them."""
    left, at = stop - start, start
    state = K0 ^ U64(left) * K1
    chars, letters, digits, high = 0, ZERO, ZERO, ZERO
    while left > 8:
        word = load64(data, at)
        state = mum(word ^ state, K2)
        chars += chars_in(word)
        letters |= letter_bits(word)
        digits |= digit_bits(word)
        high |= word
        at += 8
        left -= 8
    word = load_upto8(data, at, left)
    key = mum(word ^ state, K1 ^ U64(left)) ^ state
    chars += chars_in(word) - 8 + left
    letters |= letter_bits(word)
    digits |= digit_bits(word)
    if letters != ZERO or (high | word) & _HIGH == ZERO:
        return key, chars, letters != ZERO, (letters | digits) != ZERO
    flags = _classes_beyond_ascii(data, start, stop)
    return key, chars, flags & ALPHA != 0, digits != ZERO or flags & (ALPHA | NUMBER | MARK) != 0


@leaf
def find_key(keys, key):
    """Slot of ``key`` in an open-addressing table, -1 when it is not there. 0 marks an empty slot."""
    mask = U64(keys.size - 1)
    slot = (key >> U64(20)) & mask
    while keys[slot] != key:
        if keys[slot] == ZERO:
            return -1
        slot = (slot + ONE) & mask
    return np.int64(slot)


@kernel
def fill_keys(hashes, keys, slots):
    """Build the table of ``find_key``; slots[i] = where hash i went."""
    mask = U64(keys.size - 1)
    for i in range(hashes.size):
        slot = (hashes[i] >> U64(20)) & mask
        while keys[slot] != ZERO and keys[slot] != hashes[i]:
            slot = (slot + ONE) & mask
        keys[slot] = hashes[i]
        slots[i] = slot


@kernel
def measure_words(data, starts, ends, n, stop_keys, stop_bits, hashes, polynomial, char_sums, lengths, stops):
    """Hash and describe n words.

    polynomial[t], char_sums[t]: prefix sums over the words before t, so that any n-gram is two look-ups.
    lengths int32[LENGTHS]: words by characters; stops uint64[n_languages]: bits of the stop words seen.
    Returns (words with a letter, content words, characters in them, English stop words in all).
    """
    lengths[:] = 0
    stops[:] = ZERO
    alpha_words, content_words, content_chars, english = 0, 0, 0, 0
    polynomial[0], char_sums[0] = ZERO, 0
    for t in range(n):
        key, chars, alpha, content = describe_word(data, starts[t], ends[t])
        hashes[t] = key
        polynomial[t + 1] = polynomial[t] * GRAM_BASE + key
        char_sums[t + 1] = char_sums[t] + chars
        lengths[min(chars, LENGTHS - 1)] += 1
        alpha_words += alpha
        content_words += content
        content_chars += chars if content else 0
        slot = find_key(stop_keys, key)
        if slot >= 0:
            english += stop_bits[slot, 0] != ZERO
            for language in range(stops.size):
                stops[language] |= stop_bits[slot, language]
    return alpha_words, content_words, content_chars, english


@kernel
def median_length(lengths, n):
    """Median of n word lengths: the mean of the two in the middle."""
    if n == 0:
        return 0.0
    lower, upper, seen = -1, -1, 0
    for length in range(LENGTHS):
        seen += lengths[length]
        if lower < 0 and seen > (n - 1) // 2:
            lower = length
        if upper < 0 and seen > n // 2:
            upper = length
    return (lower + upper) / 2.0


@kernel
def count_symbol_words(data, start, stop, ends):
    """Words that hold # or the ellipsis character (dolma's symbols)."""
    found, word, last = 0, 0, -1
    for at in range(start, stop, 62):  # of 64: the last two bytes are left to the next block
        ellipses = equal_mask(data, at, 0xE2) & equal_mask(data, at, 0x80) >> ONE & equal_mask(data, at, 0xA6) >> U64(2)
        bits = (equal_mask(data, at, 35) | ellipses) & below(min(stop - at, 62))
        while bits:
            place = at + ctz(bits)
            bits &= bits - ONE
            while ends[word] <= place:
                word += 1
            found += word != last
            last = word
    return found
