"""Repetition in a document: a ladder of n-grams from 1 to 10 words, and duplicate lines and paragraphs.

An n-gram can only occur twice where both (n-1)-grams in it do, so each rung looks at the candidates that the
rung before left: exact, and n = 5 to 10 cost next to nothing. Rung 1 gives word entropy, rung 2 the conditional one.
A table slot is one uint64: a tag of 39 bits, a mark, a count of 24 bits. Two keys are taken for one with a
chance of about 2^-39 a comparison.
"""

import numpy as np

from gristmill.corpus.text._kernels import K0, K1, ONE, U64, ZERO, mum
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_entropy import step_of
from gristmill.filters.signals._kernels_words import GRAM_BASE

MAX_GRAM = 10
MARK = U64(1 << 24)
COUNT = MARK - ONE
TAG = ~(MARK | COUNT)


@leaf
def table_size(n):
    """Power of two that leaves at least half of the slots empty."""
    size = 16
    while size < 2 * n:
        size <<= 1
    return size


@leaf
def add_key(table, mask, key):
    """Count ``key`` once more; returns (its slot, how often it was there before)."""
    slot = key & mask
    entry = table[slot]
    # new or seen again share one branch-free path: that branch is a coin toss on real text
    while (entry != ZERO) & (((entry ^ key) & TAG) != ZERO):
        slot = (slot + ONE) & mask
        entry = table[slot]
    count = entry & COUNT
    table[slot] = (key & TAG) | (count + ONE)
    return slot, np.int64(count)


@kernel
def count_words(hashes, n, places, table, slots):
    """Rung 1: every word, by its hash. Returns as ``count_grams``; places[t] = t."""
    size = table_size(n)
    table[:size] = ZERO
    mask = U64(size - 1)
    total, distinct, highest, before = 0, 0, 0, 0
    for t in range(n):
        slot, before = add_key(table, mask, hashes[t])
        places[t], slots[t] = t, slot
        total += step_of(before)
        distinct += before == 0
        highest = max(highest, before + 1)
    return total, distinct, highest, before


@kernel
def count_grams(polynomial, power, n, places, n_places, table, slots):
    """Count the n-grams at ``places``. Returns (sum of c log2 c, distinct, highest count, count of the last one before)."""
    size = table_size(n_places)
    table[:size] = ZERO
    mask = U64(size - 1)
    total, distinct, highest, before = 0, 0, 0, 0
    for i in range(n_places):
        at = U64(places[i])
        key = mum((polynomial[at + U64(n)] - polynomial[at] * power) ^ K0, K1)
        slot, before = add_key(table, mask, key)
        slots[i] = slot
        total += step_of(before)
        distinct += before == 0
        highest = max(highest, before + 1)
    return total, distinct, highest, before


@kernel
def keep_candidates(places, n_places, table, slots):
    """Keep the places whose gram and that of the next word both repeat: where the next longer gram can.

    Returns how many. No branch: it would be a coin toss.
    """
    kept, last, last_repeats = 0, -2, False
    for i in range(n_places):
        at = places[i]
        repeats = (table[slots[i]] & COUNT) > ONE
        places[kept] = last
        kept += repeats & last_repeats & (last + 1 == at)
        last, last_repeats = at, repeats
    return kept


@kernel
def top_gram(n, places, n_places, table, slots, char_sums, highest):
    """(characters of the first, of the longest) n-gram among those with the highest count."""
    first, longest = -1, 0
    for i in range(n_places):
        if np.int64(table[slots[i]] & COUNT) == highest:
            chars = char_sums[places[i] + n] - char_sums[places[i]]
            first = chars if first < 0 else first
            longest = max(longest, chars)
    return first, longest


@kernel
def repeated_chars(n, places, n_places, table, slots, char_sums):
    """Characters in repeated n-grams in the three readings.

    Returns (A: greedy from the left, later occurrences only; B: every occurrence, overlaps again and again;
    C: the words covered, once each).
    """
    greedy, every, covered, greedy_end, covered_end = 0, 0, 0, 0, 0
    for i in range(n_places):
        at, slot = places[i], slots[i]
        entry = table[slot]
        if (entry & COUNT) <= ONE:
            continue
        chars = char_sums[at + n] - char_sums[at]
        every += chars
        covered += char_sums[at + n] - char_sums[max(at, covered_end)]
        covered_end = at + n
        if at < greedy_end:
            continue
        if entry & MARK:
            greedy += chars
            greedy_end = at + n
        else:
            table[slot] = entry | MARK
    return greedy, every, covered


@kernel
def all_gram_chars(n, n_words, char_sums):
    """Characters of all n-grams together, overlaps counted each time."""
    chars = 0
    for at in range(n_words - n + 1):
        chars += char_sums[at + n] - char_sums[at]
    return chars


@kernel
def climb(n_words, hashes, polynomial, char_sums, chars, places, slots, table, top, dup, facts):
    """All rungs. top[reading, n - 2] for n = 2 to 4, dup[reading, n - 5] for n = 5 to 10; readings A, B, C.

    facts int64[4]: distinct words, sum of c log2 c over words, over word pairs, count of the last word before it.
    """
    top[:], dup[:], facts[:] = 0.0, 0.0, 0
    facts[1], facts[0], highest, facts[3] = count_words(hashes, n_words, places, table, slots)
    n_places, power = n_words, GRAM_BASE
    for n in range(2, min(MAX_GRAM, n_words) + 1):
        power *= GRAM_BASE
        n_places = keep_candidates(places, n_places, table, slots)
        total, _, highest, _ = count_grams(polynomial, power, n, places, n_places, table, slots)
        if n == 2:
            facts[2] = total
        if n <= 4:
            _rate_top(n, highest, places, n_places, table, slots, char_sums, n_words, chars, top)
        else:
            _rate_dup(n, places, n_places, table, slots, char_sums, n_words, chars, dup)
        if n >= 4 and highest <= 1:
            break


@kernel
def _rate_top(n, highest, places, n_places, table, slots, char_sums, n_words, chars, top):
    """The three readings of the most frequent n-gram -> top[:, n - 2]."""
    word_chars = char_sums[n_words]
    if highest > 1:
        first, longest = top_gram(n, places, n_places, table, slots, char_sums, highest)
        top[2, n - 2] = longest * highest / word_chars
    else:  # A and B take the first n-gram although it occurs once
        first, highest = char_sums[n], 1
    top[0, n - 2] = (first + n - 1) * highest / chars
    top[1, n - 2] = first * highest / word_chars


@kernel
def _rate_dup(n, places, n_places, table, slots, char_sums, n_words, chars, dup):
    """The three readings of repeated n-grams -> dup[:, n - 5]."""
    greedy, every, covered = repeated_chars(n, places, n_places, table, slots, char_sums)
    if every:
        dup[0, n - 5] = greedy / chars
        dup[1, n - 5] = every / all_gram_chars(n, n_words, char_sums)
        dup[2, n - 5] = covered / char_sums[n_words]


@kernel
def count_duplicates(keys, key_chars, n, table, found):
    """Duplicates among n texts of ``key_chars`` characters.

    found int64[4]: surplus copies and their characters (A), all copies where there is more than one and theirs (B, C).
    """
    size = table_size(n)
    table[:size] = ZERO
    found[:] = 0
    for i in range(n):
        _, before = add_key(table, U64(size - 1), keys[i])
        if before:
            copies = 2 if before == 1 else 1
            found[0] += 1
            found[1] += key_chars[i]
            found[2] += copies
            found[3] += copies * key_chars[i]
