"""Words of a document: hashes, lengths, letters, stop words. Everything later reads the hashes and their prefix sums."""

import numpy as np

from gristmill.corpus.text._kernels import (
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
    continuations,
    ctz,
    decode,
    equal_mask,
    load64,
    load_upto8,
    mum,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf

GRAM_BASE = U64(0x5851F42D4C957F2D)
LENGTHS = 64  # word lengths of 63 characters and more share one place
STOP_SLOTS = 1 << 12
_STOP_MASK = U64(STOP_SLOTS - 1)
_HIGH = U64(0x8080808080808080)
_LOW = U64(0x7F7F7F7F7F7F7F7F)
_CASE = U64(0x2020202020202020)
_FROM_A, _BEYOND_Z = U64(0x1F1F1F1F1F1F1F1F), U64(0x0505050505050505)
_FROM_0, _BEYOND_9 = U64(0x5050505050505050), U64(0x4646464646464646)
_BITS = U64(63)


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


@leaf
def is_letter(byte):
    """A byte that is, or begins, nothing but letters: ASCII, U+5000 to U+9FFF (Han), U+0400 to U+047F (Cyrillic)."""
    return 97 <= byte | 32 <= 122 or 0xE5 <= byte <= 0xE9 or 0xD0 <= byte <= 0xD1


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
def _two_words(data, at, left):
    """The first 16 bytes at ``at``, zeros from byte ``left`` on, as two integers."""
    return load_upto8(data, at, left), load64(data, at + 8) & below(8 * min(max(left - 8, 0), 8))


@kernel
def _fold_front(data, start, stop):
    """All of a long word but its last 1 to 16 bytes.

    Returns (where these begin, state of the hash, characters, letter bits, digit bits, the bytes or-ed together).
    """
    at, state = start, K0
    chars, letters, digits, high = 0, ZERO, ZERO, ZERO
    while stop - at > 16:
        first, second = load64(data, at), load64(data, at + 8)
        state = mum(first ^ state, second ^ K2)
        chars += 16 - continuations(first) - continuations(second)
        letters |= letter_bits(first) | letter_bits(second)
        digits |= digit_bits(first) | digit_bits(second)
        high |= first | second
        at += 16
    return at, state, chars, letters, digits, high


@leaf
def describe_word(data, start, stop):
    """Returns (hash, characters, has a letter, has a letter, digit or mark); one walk for all of them.

    Nine words in ten are of at most 16 bytes, and of one script with their neighbours: branches that text seldom misleads.
    """
    at, state, chars, letters, digits, high = start, K0, 0, ZERO, ZERO, ZERO
    if stop - start > 16:
        at, state, chars, letters, digits, high = _fold_front(data, start, stop)
    left = stop - at
    first, second = _two_words(data, at, left)
    key = mum(first ^ state ^ U64(stop - start) * K1, second ^ K2)
    chars += left
    high = (high | first | second) & _HIGH
    if high:
        chars -= continuations(first) + continuations(second)
    if is_letter(data[start]):
        return key, chars, True, True
    letters |= letter_bits(first) | letter_bits(second)
    if letters != ZERO:
        return key, chars, True, True
    digits |= digit_bits(first) | digit_bits(second)
    if not high:
        return key, chars, False, digits != ZERO
    flags = _classes_beyond_ascii(data, start, stop)
    return key, chars, flags & ALPHA != 0, digits != ZERO or flags & (ALPHA | NUMBER | MARK) != 0


@kernel
def hash_words(offsets, data, out):
    """out[w] = the hash that ``describe_word`` gives to word w."""
    for word in range(offsets.size - 1):
        out[word] = describe_word(data, offsets[word], offsets[word + 1])[0]


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
def measure_words(data, starts, ends, n, stop_words, hashes, polynomial, char_sums, lengths):
    """Hash and describe n words.

    polynomial[t], char_sums[t]: prefix sums over the words before t, so that any n-gram is two look-ups.
    lengths int32[LENGTHS]: words by characters. ``stop_words``: see ``filters.signals.stop_words.stop_table``; looked up without
    a branch, for in English that branch is a coin toss.
    Returns (words with a letter, content words, characters in them, English stop words in all, stop words seen: the
    first 64 and the others as bits).
    """
    lengths[:] = 0
    alpha_words, content_words, content_chars, english = 0, 0, 0, 0
    seen, seen_above = ZERO, ZERO
    state, total = ZERO, 0
    polynomial[0], char_sums[0] = state, total
    for t in range(n):
        key, chars, alpha, content = describe_word(data, starts[t], ends[t])
        hashes[t] = key
        state = state * GRAM_BASE + key
        total += chars
        polynomial[t + 1], char_sums[t + 1] = state, total
        lengths[min(chars, LENGTHS - 1)] += 1
        alpha_words += alpha
        content_words += content
        content_chars += chars if content else 0
        place = stop_words.places[(key >> stop_words.shift) & _STOP_MASK]
        bit = U64(stop_words.keys[place] == key) << (U64(place) & _BITS)
        english += place < stop_words.n_english and bit != ZERO
        seen |= bit if place < 64 else ZERO
        seen_above |= bit if place >= 64 else ZERO
    return alpha_words, content_words, content_chars, english, seen, seen_above


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
