"""Finding names in text: whole words, leftmost, longest first. Arrays in, arrays out; nothing raised.

A name is looked up by the hash of its words (``gristmill.corpus.text._kernels.words``, ASCII folded), then compared byte by
byte, so a hash collision can cost time and never an answer. Most words are refused before, see ``_kernels_gate``.

Hot loops take single arrays: numba counts references to every array of a tuple that a call is given (44 MB/s
with the index handed to each lookup, 160 without).
"""

from collections import namedtuple

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import (
    K0,
    K1,
    SHINGLE_BASE,
    U64,
    ZERO,
    hash_bytes,
    load_upto8,
    lower8,
    mum,
    word_capacity,
    words,
)
from gristmill.knowledge._kernels_gate import ALONE, WITH_MORE, beginning, bit_of, has_bit, place_of

RAISED_BYTES = 4
MAX_WORDS = 32  # bits of a length set
SMALL_GATE_BITS = 12  # one-word names of one document: few, so the table may stay in the first-level cache
_ONE32 = np.uint32(1)
LENGTHS = np.array([0, 1, 0xFFFFFFFE, 0xFFFFFFFF], np.uint32)  # by bits of ``gate``: one word, more, both

# Names stand in the order of their keys; a place is a row of these.
# keys uint64[n] ascending; spans int64[n, 5], columns below; data uint8[...] bytes of all names, padded
# slots int32[2^k]  1 + first place of a key, 0 is empty; gate uint8[2^k], pairs uint64[2^k]: see ``_kernels_gate``
# firsts uint64[2^k] hash of a first word, 0 is empty; lengths uint32[2^k] bit w - 1: a name of w words begins so
NameIndex = namedtuple("NameIndex", "keys spans data slots firsts lengths gate pairs")
BEGIN, END, LEAD, WIDTH, WORDS = 0, 1, 2, 3, 4  # bytes in data; bytes before the first word; of it; number of words


@njit(cache=True, nogil=True, inline="always")
def _folded_gate(data, start, stop):
    """Place of a word in the gate of one document: its first eight bytes folded."""
    return np.int64((lower8(load_upto8(data, start, stop - start)) * K0) >> U64(64 - SMALL_GATE_BITS))


@njit(cache=True, nogil=True, inline="always")
def _close(state, n_words):
    """Key of a word sequence: never 0."""
    return mum(state ^ U64(n_words), K1) | U64(1)


@njit(cache=True, nogil=True)
def name_keys(offsets, data, keys, first_keys, spans):
    """Key of each name, key of its first word, span; a name of no words or too many gets key 0: not looked for."""
    starts, ends = np.empty(word_capacity(offsets), np.int64), np.empty(word_capacity(offsets), np.int64)
    for name in range(offsets.size - 1):
        n = words(data, offsets[name], offsets[name + 1], starts, ends)
        if not 0 < n <= MAX_WORDS:
            continue
        spans[name, BEGIN], spans[name, END], spans[name, WORDS] = offsets[name], offsets[name + 1], n
        spans[name, LEAD], spans[name, WIDTH] = starts[0] - offsets[name], ends[0] - starts[0]
        state = ZERO
        for t in range(n):
            state = state * SHINGLE_BASE + hash_bytes(data, starts[t], ends[t], True)
        keys[name] = _close(state, n)
        first_keys[name] = hash_bytes(data, starts[0], ends[0], True) | U64(1)


@njit(cache=True, nogil=True)
def fill_slots(keys, slots):
    """slots: 1 + first place of each distinct key in the ascending ``keys``; open addressing."""
    mask = slots.size - 1
    for place in range(keys.size):
        if place and keys[place] == keys[place - 1]:
            continue
        at = np.int64(keys[place] >> U64(20)) & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = place + 1


@njit(cache=True, nogil=True)
def fill_firsts(first_keys, spans, firsts, lengths):
    """firsts, lengths: which numbers of words a name may have that begins with a word."""
    mask = firsts.size - 1
    for place in range(first_keys.size):
        at = np.int64(first_keys[place] >> U64(20)) & mask
        while firsts[at] != ZERO and firsts[at] != first_keys[place]:
            at = (at + 1) & mask
        firsts[at] = first_keys[place]
        lengths[at] |= _ONE32 << np.uint32(spans[place, WORDS] - 1)


@njit(cache=True, nogil=True, inline="always")
def _lengths_from(firsts, lengths, first):
    """Length set of the names that begin with the word of hash ``first``; 0 when none does."""
    mask = firsts.size - 1
    key = first | U64(1)
    at = np.int64(key >> U64(20)) & mask
    while firsts[at] != ZERO:
        if firsts[at] == key:
            return lengths[at]
        at = (at + 1) & mask
    return np.uint32(0)


@njit(cache=True, nogil=True, inline="always")
def _is_space(byte):
    """ASCII white space."""
    return byte == 32 or 9 <= byte <= 13


@njit(cache=True, nogil=True, inline="always")
def _is_word_byte(byte):
    """ASCII letter or digit, or a byte of any other character."""
    return 48 <= byte <= 57 or 97 <= (byte | 32) <= 122 or byte >= 128


@njit(cache=True, nogil=True, inline="always")
def _letters_agree(names, at, first, byte, exact):
    """Does ``byte`` of the text stand for byte ``at`` of a name? Letters fold, but not a capital that begins a word."""
    wanted = names[at]
    if wanted == byte:
        return True
    if exact or (wanted ^ byte) != 32 or not 97 <= (wanted | 32) <= 122:
        return False
    begins_word = at == first or not _is_word_byte(names[at - 1])
    return wanted >= 97 or not begins_word


@njit(cache=True, nogil=True)
def _match_end(data, at, stop, names, first, last, exact):
    """End of the name names[first:last] in the text at ``at``, or -1. Any white space stands for any."""
    here = first
    while here < last:
        if at >= stop:
            return np.int64(-1)
        if _is_space(names[here]) and _is_space(data[at]):
            while here < last and _is_space(names[here]):
                here += 1
            while at < stop and _is_space(data[at]):
                at += 1
            continue
        if not _letters_agree(names, here, first, data[at], exact):
            return np.int64(-1)
        here += 1
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _is_katakana(data, at):
    """Is there a katakana letter (U+30A0 to U+30FF but the middle dot) at ``at``? Three bytes in UTF-8."""
    if data[at] != 0xE3:
        return False
    second, third = data[at + 1], data[at + 2]
    return (second == 0x82 and third >= 0xA0) or (second == 0x83 and third != 0xBB)


@njit(cache=True, nogil=True, inline="always")
def _cuts_katakana(data, floor, start, end, stop):
    """A run of katakana is one word: does a mention begin or end within one?"""
    begins_within = start - 3 >= floor and _is_katakana(data, start - 3) and _is_katakana(data, start)
    return begins_within or (end + 3 <= stop and _is_katakana(data, end) and _is_katakana(data, end - 3))


@njit(cache=True, nogil=True, inline="always")
def _first_place(slots, keys, key):
    """First place of a key in the ascending ``keys``, -1 when it is not there."""
    mask = slots.size - 1
    at = np.int64(key >> U64(20)) & mask
    while slots[at]:
        place = np.int64(slots[at] - 1)
        if keys[place] == key:
            return place
        at = (at + 1) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True, inline="always")
def _is_raised(data, start, stop):
    """Four bytes or more, none of them a small ASCII letter: in capitals one word may stand for another case."""
    at = start
    while at < stop and not 97 <= data[at] <= 122:
        at += 1
    return at == stop and stop - start >= RAISED_BYTES


@njit(cache=True, nogil=True)
def _agreeing(data, floor, word_start, stop, place, keys, spans, names):
    """(place, start, end) of the first name of the key at ``place`` whose bytes agree, (-1, 0, 0) when none does."""
    key = keys[place]
    while place < keys.size and keys[place] == key:
        start, end = word_start - spans[place, LEAD], np.int64(-1)
        if start >= floor:  # a single word must stand as written, or in capitals
            first, last = spans[place, BEGIN], spans[place, END]
            exact = spans[place, WORDS] == 1 and not _is_raised(data, start, min(start + last - first, stop))
            end = _match_end(data, start, stop, names, first, last, exact)
        if end >= 0 and not _cuts_katakana(data, floor, start, end, stop):
            return place, start, end
        place += 1
    return np.int64(-1), np.int64(0), np.int64(0)


@njit(cache=True, nogil=True, forceinline=True)
def _longest(data, floor, stop, starts, ends, t, n, state, lengths, slots, keys, spans, names):
    """(place, start, end, words) of the longest name at word t, whose hash is ``state``; place -1: there is none."""
    best, start, end, taken = np.int64(-1), np.int64(0), np.int64(0), 1
    for k in range(1, min(MAX_WORDS, n - t) + 1):
        if k > 1:
            state = state * SHINGLE_BASE + hash_bytes(data, starts[t + k - 1], ends[t + k - 1], True)
        if lengths & _ONE32:
            place = _first_place(slots, keys, _close(state, k))
            if place >= 0:
                found, found_start, found_end = _agreeing(data, floor, starts[t], stop, place, keys, spans, names)
                if found >= 0:
                    best, start, end, taken = found, found_start, found_end, k
        lengths >>= _ONE32
        if not lengths:
            break
    return best, start, end, taken


@njit(cache=True, nogil=True)
def _find_in_document(data, begin, stop, starts, ends, n, index, found, n_found):
    """Mentions of one document -> found[n_found:], counted beyond its end; returns their number so far."""
    keys, spans, names, slots, firsts, lengths, gate, pairs = index
    floor, t = begin, 0
    while t < n:
        word = beginning(data, starts[t], ends[t])
        next_word = min(t + 1, n - 1)  # of the last, itself: no name goes on there
        goes_on = has_bit(pairs, bit_of(word, data, starts[next_word], ends[next_word], pairs.size))
        let_in = gate[place_of(word, gate.size)] & (ALONE | WITH_MORE * goes_on)
        if not let_in:
            t += 1
            continue
        state = hash_bytes(data, starts[t], ends[t], True)
        possible = LENGTHS[let_in]
        if let_in & WITH_MORE:
            possible &= _lengths_from(firsts, lengths, state)
        if not possible:
            t += 1
            continue
        place, start, end, taken = _longest(
            data, floor, stop, starts, ends, t, n, state, possible, slots, keys, spans, names
        )
        if place >= 0:
            if n_found < found.shape[0]:
                found[n_found, 0], found[n_found, 1], found[n_found, 2] = start - begin, end - begin, place
            n_found += 1
            floor = end
        t += taken
    return n_found


@njit(cache=True, nogil=True)
def _is_folded(data, start, stop, names, first, width):
    """Are the letters of a word of a name those of data[start:stop], whatever their ASCII case?"""
    at = 0 if width == stop - start else stop
    while at < stop - start and (data[start + at] | 32) == (names[first + at] | 32):
        at += 1
    return at == stop - start


@njit(cache=True, nogil=True)
def _seek_small(spans, names, places, doc, wanted):
    """wanted[g] = doc where a one-word name that begins with an ASCII capital falls; returns whether there is one."""
    any_wanted = False
    for place in places:
        first = spans[place, BEGIN] + spans[place, LEAD]
        if spans[place, WORDS] == 1 and 65 <= names[first] <= 90:
            wanted[_folded_gate(names, first, first + spans[place, WIDTH])] = doc
            any_wanted = True
    return any_wanted


@njit(cache=True, nogil=True)
def _mark_small(data, starts, ends, n, keys, spans, names, slots, doc, wanted, small):
    """small[place] = doc for the one-word names that stand in small letters in this document."""
    for t in range(n):
        if not 97 <= data[starts[t]] <= 122 or wanted[_folded_gate(data, starts[t], ends[t])] != doc:
            continue
        key = _close(hash_bytes(data, starts[t], ends[t], True), 1)
        place = _first_place(slots, keys, key)
        while 0 <= place < keys.size and keys[place] == key:
            first = spans[place, BEGIN] + spans[place, LEAD]
            is_capital = 65 <= names[first] <= 90  # a name in small letters says nothing by standing in them
            if is_capital and _is_folded(data, starts[t], ends[t], names, first, spans[place, WIDTH]):
                small[place] = doc
            place += 1


@njit(cache=True, nogil=True)
def _capital_share(data, starts, n):
    """Share of the words that begin with an ASCII capital; 0 without words."""
    n_capitals = 0
    for t in range(n):
        n_capitals += 65 <= data[starts[t]] <= 90
    return n_capitals / max(n, 1)


@njit(cache=True, nogil=True)
def find_names(offsets, data, index, found_offsets, found, is_small, capitals):
    """Mentions of every document, leftmost longest, none inside another.

    found_offsets int64[n_docs + 1]; found int64[capacity, 3]: start and end in the document, place of the name;
    is_small bool[capacity]: a name of one word that the document also writes in small letters (Page and page);
    capitals float64[n_docs]: share of its words that begin with a capital (English 0.1 to 0.2, German 0.3 to 0.4).
    Returns the number of mentions; those beyond the capacity are counted and not stored: call again with room.
    """
    starts, ends = np.empty(word_capacity(offsets), np.int64), np.empty(word_capacity(offsets), np.int64)
    wanted = np.full(1 << SMALL_GATE_BITS, -1, np.int32)
    small = np.full(index.keys.size, -1, np.int32)
    keys, spans, names, slots = index.keys, index.spans, index.data, index.slots
    n_found = 0
    for doc in range(offsets.size - 1):
        begin, stop = offsets[doc], offsets[doc + 1]
        n = words(data, begin, stop, starts, ends)
        n_found = _find_in_document(data, begin, stop, starts, ends, n, index, found, n_found)
        capitals[doc] = _capital_share(data, starts, n)
        found_offsets[doc + 1] = n_found
        places = found[found_offsets[doc] : n_found, 2]
        if _seek_small(spans, names, places, doc, wanted):
            _mark_small(data, starts, ends, n, keys, spans, names, slots, doc, wanted, small)
        for m in range(places.size):
            is_small[found_offsets[doc] + m] = small[places[m]] == doc
    return n_found
