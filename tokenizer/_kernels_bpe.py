"""Byte-level BPE of whole batches: cut into words, look each word up, merge the unknown ones.

The words are those of ``tokenizer.vocabulary.PATTERN``, written out as a scanner; ``encode`` equals the tokenizers
library id by id. A word has at most MAX_RUN characters and a prefix, so hostile text costs linear time.
"""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import K0, K1, below, decode, load64, mum

U64 = np.uint64
OTHER, LETTER, NUMBER, SPACE, NEWLINE, NOTHING = 0, 1, 2, 3, 4, 5  # character classes; NOTHING = end of the document
MAX_RUN = 64  # characters of one class in a word
MAX_WORD_BYTES = 8 * MAX_RUN  # a prefix, a run and its line ends: at most 4 + 4 * 64 + 64
KEY_BYTES = 15  # longest word whose bytes and length fit the two integers of an exact cache key
KEY_TOKENS = 5  # tokens that fit the cache line of a word; words of more are merged each time
FREE = U64(0xFFFFFFFFFFFFFFFF)
NO_RANK = np.int64(1 << 20)  # as many ids as the 20 bits of a pair's entry can tell
_20, _56, ZERO = U64(20), U64(56), U64(0)
_RANK_BITS = U64((1 << 20) - 1)


@njit(cache=True, nogil=True, inline="always")
def _class_at(data, at, stop, classes):
    """(class, bytes) of the character at ``at``."""
    if at >= stop:
        return NOTHING, 0
    if data[at] < 0x80:
        return np.int64(classes[data[at]]), 1
    point, n_bytes = decode(data, at)
    return np.int64(classes[point]), n_bytes


@njit(cache=True, nogil=True, inline="always")
def _run_end(data, at, stop, wanted, classes):
    """End of the run of at most MAX_RUN characters of class ``wanted`` that begins at ``at``."""
    for _ in range(MAX_RUN):
        found, n_bytes = _class_at(data, at, stop, classes)
        if found != wanted:
            break
        at += n_bytes
    return at


@njit(cache=True, nogil=True)
def _space_end(data, start, stop, classes):
    r"""``\s{0,63}[\r\n] | \s{1,64}(?!\S) | \s``: to the last line end, or all but the space before a word."""
    at, before, line_end = start, start, -1
    found, n_bytes = _class_at(data, at, stop, classes)
    for _ in range(MAX_RUN):
        if found != SPACE and found != NEWLINE:
            break
        before = at
        at += n_bytes
        if found == NEWLINE:
            line_end = at
        found, n_bytes = _class_at(data, at, stop, classes)
    if line_end >= 0:
        return line_end
    follows_text = found < SPACE
    return before if follows_text and before > start else at


@njit(cache=True, nogil=True)
def word_end(data, at, stop, classes):
    """End of the word that begins at ``at`` < ``stop``: the first alternative of PATTERN that matches."""
    first, n_bytes = _class_at(data, at, stop, classes)
    if first == LETTER:
        return _run_end(data, at, stop, LETTER, classes)
    if first == NUMBER:
        return at + n_bytes
    second, _ = _class_at(data, at + n_bytes, stop, classes)
    if second == LETTER and first != NEWLINE:
        return _run_end(data, at + n_bytes, stop, LETTER, classes)
    if first == OTHER or (second == OTHER and data[at] == 32):
        begin = at if first == OTHER else at + 1
        end = _run_end(data, begin, stop, OTHER, classes)
        return _run_end(data, end, stop, NEWLINE, classes)
    return _space_end(data, at, stop, classes)


@njit(cache=True, nogil=True, inline="always")
def _place(key, n_places):
    """Where a search for ``key`` begins."""
    return np.int64(mum(key ^ K0, K1) & U64(n_places - 1))


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
def fill_pairs(merges, pairs):
    """Enter merges int64[n_merges, 2] (left, right), in order of rank."""
    for rank in range(merges.shape[0]):
        key = U64(merges[rank, 0]) << _20 | U64(merges[rank, 1])
        place = _place(key, pairs.size)
        while pairs[place] != FREE:
            place = (place + 1) & (pairs.size - 1)
        pairs[place] = key << _20 | U64(rank)


@njit(cache=True, nogil=True)
def _rank(left, right, pairs):
    """Rank of the merge of two tokens, NO_RANK when there is none."""
    key = U64(left) << _20 | U64(right)
    place = _place(key, pairs.size)
    while pairs[place] >> _20 != key:
        if pairs[place] == FREE:
            return NO_RANK
        place = (place + 1) & (pairs.size - 1)
    return np.int64(pairs[place] & _RANK_BITS)


@njit(cache=True, nogil=True)
def _merge(data, start, stop, byte_ids, pairs, merged, symbols, ranks):
    """Tokens of data[start:stop] -> symbols: merge the leftmost pair of the lowest rank until none is left."""
    n = stop - start
    for i in range(n):
        symbols[i] = byte_ids[data[start + i]]
    for i in range(n - 1):
        ranks[i] = _rank(symbols[i], symbols[i + 1], pairs)
    while n > 1:
        best = 0
        for i in range(1, n - 1):
            if ranks[i] < ranks[best]:
                best = i
        if ranks[best] == NO_RANK:
            break
        symbols[best] = merged[ranks[best]]
        n -= 1
        for i in range(best + 1, n):
            symbols[i] = symbols[i + 1]
            ranks[i - 1] = ranks[i]  # the merged pair's own rank goes, the ones behind move up
        if best > 0:
            ranks[best - 1] = _rank(symbols[best - 1], symbols[best], pairs)
        if best < n - 1:
            ranks[best] = _rank(symbols[best], symbols[best + 1], pairs)
    return n


@njit(cache=True, nogil=True)
def encode(offsets, data, vocabulary, words, end_id, out, out_offsets):
    """out[out_offsets[d]:out_offsets[d + 1]] = tokens of document d, then ``end_id`` unless it is below 0.

    ``out`` holds n_bytes + n_docs.

    ``vocabulary`` is the tuple of arrays of ``gristmill.tokenizer.encoder.Vocabulary``.

    ``words uint64[power of 2, 8]`` is a cache: a word's hash gives its line (its key, the number of its tokens, the
    tokens), where the latest word stays. It saves 9 merges in 10 and never changes an answer.
    """
    # unpacked, and the look-up written out here: with a tuple handed down, numba counts references of each of its
    # arrays at every call, 40 % of the time
    classes, byte_ids, pairs, merged = vocabulary
    symbols, ranks = np.empty(MAX_WORD_BYTES, np.int64), np.empty(MAX_WORD_BYTES, np.int64)
    n = 0
    out_offsets[0] = 0
    for doc in range(offsets.size - 1):
        at, stop = offsets[doc], offsets[doc + 1]
        while at < stop:
            end = word_end(data, at, stop, classes)
            low, high = _word_key(data, at, end)
            line = np.int64(mum(low ^ K0, high ^ K1) & U64(words.shape[0] - 1))
            if high and words[line, 0] == low and words[line, 1] == high:
                count = np.int64(words[line, 2])
                for i in range(count):
                    out[n + i] = words[line, i + 3]
            else:
                count = _merge(data, at, end, byte_ids, pairs, merged, symbols, ranks)
                for i in range(count):
                    out[n + i] = symbols[i]
                if high and count <= KEY_TOKENS:
                    words[line, 0], words[line, 1], words[line, 2] = low, high, count
                    for i in range(count):
                        words[line, i + 3] = symbols[i]
            n += count
            at = end
        if end_id >= 0:
            out[n] = end_id
            n += 1
        out_offsets[doc + 1] = n
