"""Listed phrases in documents, looked up by the hashes of their words.

Texts come lower-cased; words are ``corpus.text._kernels.words``: punctuation is gone, every Han and kana character is one.
"""

import numpy as np

from gristmill.corpus.text._kernels import K2, ONE, SHINGLE_BASE, U64, ZERO, hash_tokens, mum, words
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_words import find_key

MAX_PHRASE_WORDS = 32  # bits of a length set
_ONE32 = np.uint32(1)


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
