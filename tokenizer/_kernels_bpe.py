"""Byte-level BPE of whole batches: cut into words, look each word up, merge the unknown ones.

``encode`` equals the tokenizers library id by id. A word of more than MAX_WORD_BYTES costs quadratic time here: its
document is left to the library.
"""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import K0, K1, below, hash_bytes, load64, mum, prefetch
from gristmill.tokenizer._kernels_patterns import split

U64, U32 = np.uint64, np.uint32
MAX_WORD_BYTES = 4096  # places that the 12 bits of a pair's key can tell
KEY_BYTES = 15  # longest word whose bytes and length fit the two integers of an exact cache key
KEY_TOKENS = 4  # tokens that fit a word's place in the cache; words of more are merged each time
AHEAD = 32  # words whose lines of the cache are asked for before the first of them is looked up
FREE = U64(0xFFFFFFFFFFFFFFFF)
NO_RANK = np.int64((1 << 20) - 1)  # one more than the ranks that 20 bits can tell
NO_KEY = U32(0xFFFFFFFF)
_4, _20, _32, _40, _56, _58, _60, ZERO = U64(4), U64(20), U64(32), U64(40), U64(56), U64(58), U64(60), U64(0)
_LOW_32, _RANK_BITS = U64(0xFFFFFFFF), U64((1 << 20) - 1)


@njit(cache=True, nogil=True, inline="always")
def _bit(hashed, likely):
    """(word, bit) of a pair's hash in ``likely``, from other bits of it than its place in ``pairs``."""
    return np.int64(hashed >> _40 & U64(likely.size - 1)), hashed >> _58


@njit(cache=True, nogil=True, inline="always")
def _word_key(data, start, stop):
    """Bytes and length of a word as two integers, exact, so that a hit needs no check; (0, 0) for a longer word."""
    n_bytes = stop - start
    if n_bytes > KEY_BYTES:
        return ZERO, ZERO
    low = load64(data, start) & below(8 * min(n_bytes, 8))
    high = load64(data, start + 8) & below(8 * n_bytes - 64) if n_bytes > 8 else ZERO
    return low, high | U64(n_bytes) << _56


@njit(cache=True, nogil=True)
def fill_pairs(merges, pairs, likely):
    """Enter merges int64[n_merges, 2] (left, right), in order of rank; ``likely`` gets a bit for each."""
    for rank in range(merges.shape[0]):
        key = U64(merges[rank, 0]) << _20 | U64(merges[rank, 1])
        hashed = mum(key ^ K0, K1)
        word, bit = _bit(hashed, likely)
        likely[word] |= U64(1) << bit
        place = np.int64(hashed & U64(pairs.size - 1))
        while pairs[place] != FREE:
            place = (place + 1) & (pairs.size - 1)
        pairs[place] = key << _20 | U64(rank)


@njit(cache=True, nogil=True)
def _rank(left, right, pairs, likely):
    """Rank of the merge of two tokens, NO_RANK when there is none; most of these end at ``likely``, in 32 KB."""
    key = U64(left) << _20 | U64(right)
    hashed = mum(key ^ K0, K1)
    word, bit = _bit(hashed, likely)
    if not likely[word] >> bit & U64(1):
        return NO_RANK
    place = np.int64(hashed & U64(pairs.size - 1))
    while pairs[place] >> _20 != key:
        if pairs[place] == FREE:
            return NO_RANK
        place = (place + 1) & (pairs.size - 1)
    return np.int64(pairs[place] & _RANK_BITS)


@njit(cache=True, nogil=True)
def fill_bytes(byte_ids, pairs, likely, byte_keys):
    """byte_keys[b << 8 | c] = the key, at place 0, of the merge of bytes b and c: 256 KB that save half the look-ups."""
    for left in range(256):
        for right in range(256):
            byte_keys[left << 8 | right] = _key(_rank(byte_ids[left], byte_ids[right], pairs, likely), 0)


@njit(cache=True, nogil=True, inline="always")
def _key(rank, at):
    """Rank, then place: the lowest key is the leftmost pair of the lowest rank."""
    return NO_KEY if rank == NO_RANK else U32(rank << 12 | at)


@njit(cache=True, nogil=True, inline="always")
def _lowest(keys, n):
    """The lowest of the first ``n``, which NO_KEY fills up to a multiple of 8: one instruction for 8."""
    lowest = NO_KEY
    for block in range(0, n, 8):
        for i in range(8):
            lowest = min(lowest, keys[block + i])
    return lowest


@njit(cache=True, nogil=True)
def merge(data, start, n, byte_ids, byte_keys, pairs, likely, merged, symbols, keys, nexts, befores):
    """Tokens of data[start:start + n] -> symbols: merge the leftmost pair of the lowest rank until none is left.

    Nothing moves while pairs are merged: ``nexts`` and ``befores`` link the symbols that are left, and the keys of pairs
    lie side by side. Returns the number of tokens.
    """
    for i in range(n):
        symbols[i], nexts[i], befores[i] = byte_ids[data[start + i]], i + 1, i - 1
        keys[i] = byte_keys[np.int64(data[start + i]) << 8 | np.int64(data[start + i + 1])] | U32(i)
    keys[n - 1 : n + 7] = NO_KEY
    while True:
        lowest = _lowest(keys, n)
        if lowest == NO_KEY:
            break
        at = np.int64(lowest & U32(0xFFF))
        gone = nexts[at]
        after, before = nexts[gone], befores[at]
        symbols[at], nexts[at], keys[gone], keys[at] = merged[lowest >> U32(12)], after, NO_KEY, NO_KEY
        if after < n:
            befores[after] = at
            keys[at] = _key(_rank(symbols[at], symbols[after], pairs, likely), at)
        if before >= 0:
            keys[before] = _key(_rank(symbols[before], symbols[at], pairs, likely), before)
    count, at = 0, 0
    while at < n:
        symbols[count] = symbols[at]
        count += 1
        at = nexts[at]
    return count


@njit(cache=True, nogil=True)
def fill_whole(spelled, spelled_offsets, whole):
    """Enter every token whose bytes stand in ``spelled``; ``whole`` int64[power of 2] begins as -1 everywhere."""
    for token in range(spelled_offsets.size - 1):
        start, stop = spelled_offsets[token], spelled_offsets[token + 1]
        if stop > start:
            place = np.int64(hash_bytes(spelled, start, stop, False) & U64(whole.size - 1))
            while whole[place] >= 0:
                place = (place + 1) & (whole.size - 1)
            whole[place] = token


@njit(cache=True, nogil=True)
def _whole_token(data, start, stop, spelled, spelled_offsets, whole):
    """The token that is data[start:stop], -1 when there is none."""
    place = np.int64(hash_bytes(data, start, stop, False) & U64(whole.size - 1))
    while whole[place] >= 0:
        first, last = spelled_offsets[whole[place]], spelled_offsets[whole[place] + 1]
        same = last - first == stop - start
        i = 0
        while same and i < stop - start:
            same = spelled[first + i] == data[start + i]
            i += 1
        if same:
            return whole[place]
        place = (place + 1) & (whole.size - 1)
    return -1


@njit(cache=True, nogil=True)
def _remember(words, line, low, high, symbols, count):
    """Put a word first in its line of the cache, the one that stood there second."""
    for i in range(4):
        words[line, 4 + i] = words[line, i]
    words[line, 0], words[line, 1] = low, high | U64(count) << _60
    for i in range(2):
        first = U64(symbols[2 * i]) if 2 * i < count else ZERO
        second = U64(symbols[2 * i + 1]) if 2 * i + 1 < count else ZERO
        words[line, 2 + i] = first | second << _32


@njit(cache=True, nogil=True, inline="always")
def _stands(words, line, place, low, high):
    """Whether a word stands at this place of its line."""
    return words[line, place] == low and (words[line, place + 1] ^ high) << _4 == ZERO


@njit(cache=True, nogil=True)
def _look_ahead(data, at, lengths, first, stop, words, lows, highs, lines):
    """Keys and lines of the words first to stop, at most AHEAD, which begin at ``at``; their lines are asked for."""
    for word in range(first, stop):
        n_bytes = np.int64(lengths[word])
        low, high = _word_key(data, at, at + n_bytes)
        line = np.int64(mum(low ^ K0, high ^ K1) & U64(words.shape[0] - 1))
        prefetch(words, line)
        lows[word - first], highs[word - first], lines[word - first] = low, high, line
        at += n_bytes


@njit(cache=True, nogil=True)
def _longest(offsets):
    """Bytes of the longest document."""
    longest = 0
    for doc in range(offsets.size - 1):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    return longest


@njit(cache=True, nogil=True)
def encode(offsets, data, pattern, vocabulary, words, end_id, left, out, out_offsets):
    """out[out_offsets[d]:out_offsets[d + 1]] = tokens of document d, then ``end_id`` unless it is below 0.

    ``out`` holds n_bytes + n_docs + KEY_TOKENS. Of a document with ``left[d]`` there is nothing; one with a longer word
    than MAX_WORD_BYTES is marked so here. ``vocabulary`` is the tuple of ``gristmill.tokenizer.kernel_encoder.Vocabulary``.

    ``words uint64[power of 2, 8]`` is a cache: a word's hash gives its line, in which two words stand, each with its key,
    the number of its tokens and the tokens. It saves 9 merges in 10 and never changes an answer.
    """
    # unpacked, and the look-up written out here: with a tuple handed down, numba counts references of each of its
    # arrays at every call, 40 % of the time
    classes, byte_ids, byte_keys, pairs, likely, merged, spelled, spelled_offsets, whole = vocabulary
    symbols, keys = np.empty(MAX_WORD_BYTES, np.int64), np.empty(MAX_WORD_BYTES + 8, np.uint32)
    nexts, befores = np.empty(MAX_WORD_BYTES, np.int32), np.empty(MAX_WORD_BYTES, np.int32)
    lengths = np.empty(_longest(offsets), np.uint32)
    lows, highs, lines = np.empty(AHEAD, np.uint64), np.empty(AHEAD, np.uint64), np.empty(AHEAD, np.int64)
    n = 0
    out_offsets[0] = 0
    for doc in range(offsets.size - 1):
        at = offsets[doc]
        n_words = 0 if left[doc] else split(data, at, offsets[doc + 1], pattern, classes, lengths)
        for word in range(n_words):
            if word % AHEAD == 0:
                _look_ahead(data, at, lengths, word, min(word + AHEAD, n_words), words, lows, highs, lines)
            n_bytes = np.int64(lengths[word])
            low, high, line = lows[word % AHEAD], highs[word % AHEAD], lines[word % AHEAD]
            place = 0 if _stands(words, line, 0, low, high) else 4
            if high and _stands(words, line, place, low, high):
                one, two = words[line, place + 2], words[line, place + 3]
                out[n], out[n + 1], out[n + 2], out[n + 3] = one & _LOW_32, one >> _32, two & _LOW_32, two >> _32
                n += np.int64(words[line, place + 1] >> _60)
                at += n_bytes
                continue
            if n_bytes > MAX_WORD_BYTES:
                left[doc] = True
                break
            count = 0
            if whole.size > 1:
                symbols[0] = _whole_token(data, at, at + n_bytes, spelled, spelled_offsets, whole)
                count = np.int64(symbols[0] >= 0)
            if count == 0:
                count = merge(
                    data, at, n_bytes, byte_ids, byte_keys, pairs, likely, merged, symbols, keys, nexts, befores
                )  # fmt: skip
            for i in range(count):
                out[n + i] = symbols[i]
            if high and count <= KEY_TOKENS:
                _remember(words, line, low, high, symbols, count)
            n += count
            at += n_bytes
        if left[doc]:
            n = out_offsets[doc]
        elif end_id >= 0:
            out[n] = end_id
            n += 1
        out_offsets[doc + 1] = n
