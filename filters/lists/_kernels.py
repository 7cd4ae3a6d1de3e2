"""Known texts in documents: grams of evaluation passages, and listed phrases. Both look words up by their hashes.

Texts come lower-cased; words are ``corpus.text._kernels.words``: punctuation is gone, every Han and kana character is one.
"""

import numpy as np

from gristmill.corpus.text._kernels import K2, ONE, SHINGLE_BASE, U64, ZERO, hash_shingles, hash_tokens, mum, words
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_words import find_key

GATE_WORDS = 1 << 15  # 2^21 bits, 256 KiB: stays in the second-level cache and refuses nearly every gram
MAX_PHRASE_WORDS = 32  # bits of a length set
_ONE32 = np.uint32(1)


# ------------------------------------------------------------------------------------------------ passages


@kernel
def passage_grams(offsets, data, long, short, starts, ends, hashes, grams, passages):
    """Grams of each passage: of ``long`` words, or of ``short`` when it has fewer; none when it has fewer still.

    grams uint64[capacity], passages int64[capacity]. Returns their number; capacity is enough at one a two bytes.
    """
    n_grams = 0
    for passage in range(offsets.size - 1):
        n = words(data, offsets[passage], offsets[passage + 1], starts, ends)
        if n < short:
            continue
        hash_tokens(data, starts, ends, n, False, hashes)
        n = hash_shingles(hashes, n, long if n >= long else short, grams[n_grams:])
        passages[n_grams : n_grams + n] = passage
        n_grams += n
    return n_grams


@leaf
def _gate_place(key):
    """Word of the gate and bit in it."""
    place = key >> U64(43)
    return np.int64(place >> U64(6)), ONE << (place & U64(63))


@kernel
def fill_gate(keys, gate):
    """Set the bit of every gram."""
    for key in keys:
        word, bit = _gate_place(key)
        gate[word] |= bit


@kernel
def _add_grams(grams, n, gate, keys, firsts, entries, weights, document, seen, stamps, sums, touched, n_touched):
    """Add the weights of a document's grams to the sums of the passages that hold them, each gram once."""
    for g in range(n):
        word, bit = _gate_place(grams[g])
        if gate[word] & bit == ZERO:
            continue
        slot = find_key(keys, grams[g])
        if slot < 0 or seen[slot] == document:
            continue
        seen[slot] = document
        for entry in range(firsts[slot, 0], firsts[slot, 1]):
            passage = entries[entry]
            if stamps[passage] != document:
                stamps[passage], sums[passage] = document, 0
                touched[n_touched] = passage
                n_touched += 1
            sums[passage] += weights[entry]
    return n_touched


@kernel
def overlaps(
    offsets, data, widths, gate, keys, firsts, entries, weights, totals, threshold, scratch, stamped, best, hits
):
    """Share of each passage that each document holds.

    keys uint64[2^k], firsts int64[2^k, 2]: grams and their range in entries, weights int64[n_entries];
    totals int64[n_passages]: sum of a passage's weights; scratch (starts, ends, hashes, grams); stamped (seen, stamps,
    sums, touched), seen and stamps -1. Writes best float64[n_docs], the largest share, and hits int64[capacity, 3]:
    document, passage, weight found, where the share is at least ``threshold``. Returns the number of hits.
    """
    starts, ends, hashes, grams = scratch
    seen, stamps, sums, touched = stamped
    n_hits = 0
    for document in range(offsets.size - 1):
        n_words = words(data, offsets[document], offsets[document + 1], starts, ends)
        hash_tokens(data, starts, ends, n_words, False, hashes)
        n_touched, best[document] = 0, 0.0
        for width in widths:
            if n_words >= width:
                n = hash_shingles(hashes, n_words, width, grams)
                n_touched = _add_grams(
                    grams, n, gate, keys, firsts, entries, weights, document, seen, stamps, sums, touched, n_touched
                )
        for t in range(n_touched):
            passage = touched[t]
            share = sums[passage] / totals[passage]
            best[document] = max(best[document], share)
            if share >= threshold:
                if n_hits < hits.shape[0]:
                    hits[n_hits, 0], hits[n_hits, 1], hits[n_hits, 2] = document, passage, sums[passage]
                n_hits += 1
    return n_hits


# ------------------------------------------------------------------------------------------------ phrases


@leaf
def _phrase_key(hashes, at, n):
    """Key of n words from ``at``; never 0."""
    state = ZERO
    for t in range(at, at + n):
        state = state * SHINGLE_BASE + hashes[t]
    return mum(state ^ U64(n), K2) | ONE


@kernel
def phrase_keys(offsets, data, starts, ends, hashes, keys, first_keys, lengths):
    """Key, hash of the first word and number of words of each phrase; 0 words for what is no phrase or too long."""
    for phrase in range(offsets.size - 1):
        n = words(data, offsets[phrase], offsets[phrase + 1], starts, ends)
        hash_tokens(data, starts, ends, n, False, hashes)
        lengths[phrase] = n if n <= MAX_PHRASE_WORDS else 0
        if lengths[phrase]:
            keys[phrase], first_keys[phrase] = _phrase_key(hashes, 0, n), hashes[0]


@kernel
def _same_words(data, starts, ends, at, n, phrase_data, begin):
    """Whether n words from ``at`` are those at ``begin``, where they stand with one byte between them."""
    for t in range(at, at + n):
        for k in range(ends[t] - starts[t]):
            if data[starts[t] + k] != phrase_data[begin + k]:
                return False
        begin += ends[t] - starts[t] + 1
    return True


@kernel
def _longest_phrase(data, starts, ends, hashes, at, left, lengths, keys, phrases, phrase_offsets, phrase_data):
    """(number of the longest listed phrase at word ``at``, its words); (-1, 1) when none is."""
    for n in range(min(left, MAX_PHRASE_WORDS), 0, -1):
        if not lengths >> np.uint32(n - 1) & _ONE32:
            continue
        slot = find_key(keys, _phrase_key(hashes, at, n))
        if slot >= 0 and _same_words(data, starts, ends, at, n, phrase_data, phrase_offsets[phrases[slot]]):
            return phrases[slot], n
    return -1, 1


@kernel
def count_phrases(
    offsets, data, first_keys, lengths, keys, phrases, phrase_offsets, phrase_data, scratch, seen, counts
):
    """Fill counts int64[n_docs, 2]: listed phrases, leftmost and longest first, and how many different ones.

    first_keys uint64[2^k], lengths uint32[2^k]: bit n - 1 says that a phrase of n words begins so; keys uint64[2^k],
    phrases int64[2^k]: number of the phrase; scratch (starts, ends, hashes); seen int64[n_phrases], all -1.
    """
    starts, ends, hashes = scratch
    for document in range(offsets.size - 1):
        n_words = words(data, offsets[document], offsets[document + 1], starts, ends)
        hash_tokens(data, starts, ends, n_words, False, hashes)
        at, total, distinct = 0, 0, 0
        while at < n_words:
            slot, step = find_key(first_keys, hashes[at]), 1
            if slot >= 0:
                phrase, step = _longest_phrase(
                    data,
                    starts,
                    ends,
                    hashes,
                    at,
                    n_words - at,
                    lengths[slot],
                    keys,
                    phrases,
                    phrase_offsets,
                    phrase_data,
                )
                if phrase >= 0:
                    total += 1
                    distinct += seen[phrase] != document
                    seen[phrase] = document
            at += step
        counts[document, 0], counts[document, 1] = total, distinct
