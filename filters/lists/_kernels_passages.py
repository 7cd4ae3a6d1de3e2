"""Evaluation passages in documents: words in a row, shares of 5-grams, and short passages word by word.

Texts come lower-cased and narrow. Passages are indexed by their grams of ``SEED`` words with their places: a hit that
follows the hit of the place before it makes a longer run, so one width finds runs of any length.
"""

import numpy as np

from gristmill.corpus.text._kernels import (
    ONE,
    U64,
    ZERO,
    hash_shingles,
    hash_tokens,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.corpus.text._kernels_unspaced import cut_words
from gristmill.filters.models._kernels_known import COST_UNITS
from gristmill.filters.signals._kernels_words import find_key

GATE_WORDS = 1 << 15  # 2^21 bits, 256 KiB: stays in the second-level cache and refuses nearly every gram
SEED = 4  # words: half of the shortest passage that is looked for word by word
GRAM = 5  # words, of which shares are taken: a seed and one more
NEAR_MIN, NEAR_MAX = 8, 15  # words of a passage that is also compared word by word
NEAR_GAP = 64  # words that may stand between its two pieces
RARE = 90 * COST_UNITS  # of a run of its words: as good as many more words; see ``rarity``
_PIECES = NEAR_MAX + 1  # lengths of a first piece


# ------------------------------------------------------------------------------------------------ words


@leaf
def _one_form(data, at):
    """(bytes read, first byte, second byte or 0) of the form that stands for the character at ``at``, or its first byte."""
    first = data[at]
    second = data[at + 1] if first >= 0xC3 else first  # what begins lower has no other form, and may end the buffer
    if first == 0xEF and 0xBC <= second <= 0xBD:
        point = (np.int64(second) & 63) << 6 | np.int64(data[at + 2]) & 63 | 0xF000
        if 0xFF01 <= point <= 0xFF5E:
            return 3, point - 0xFEE0, 0
    elif first == 0xCF and second == 0x82:  # final sigma
        return 2, 0xCF, 0x83
    elif first == 0xC4 and second == 0xB1:  # dotless i
        return 2, 0x69, 0
    elif first == 0xC3 and second == 0x9F:  # sharp s
        return 2, 0x73, 0x73
    return 1, np.int64(first), 0


@kernel
def fold_forms(offsets, data, out_offsets, out):
    """Copy lower-case texts with other forms of a letter as one: full width ASCII (U+FF01 to U+FF5E), final sigma, ı, ß.

    What upper case does not tell apart is one here too. Texts get no longer.
    """
    n = np.int64(0)
    for document in range(offsets.size - 1):
        out_offsets[document] = n
        at, stop = offsets[document], offsets[document + 1]
        while at < stop:
            size, out[n], after = _one_form(data, at)
            n += 1
            if after:
                out[n] = after
                n += 1
            at += size
    out_offsets[offsets.size - 1] = n


@kernel
def _hash_words(data, start, stop, scratch, hashes):
    """Hashes of the words of one text; returns their number."""
    n, is_cut = cut_words(data, start, stop, scratch)
    hash_tokens(data, scratch[2 * is_cut], scratch[2 * is_cut + 1], n, False, hashes)
    return n


@kernel
def hash_passages(offsets, data, scratch, hashes, ends):
    """Hashes of the words of every text, one text behind the other; ends int64[n_texts] are theirs."""
    n = np.int64(0)
    for text in range(offsets.size - 1):
        n += _hash_words(data, offsets[text], offsets[text + 1], scratch, hashes[n:])
        ends[text] = n


@kernel
def pack_words(offsets, data, scratch, packed, begins, ends):
    """The words of every text alone, a blank where something stood between two.

    packed uint8[data.size]; begins int64[n_texts]: where a text begins in it; ends int64[n_words]: the byte behind each word.
    """
    n, size = np.int64(0), np.int64(0)
    for text in range(offsets.size - 1):
        count, is_cut = cut_words(data, offsets[text], offsets[text + 1], scratch)
        starts, stops = scratch[2 * is_cut], scratch[2 * is_cut + 1]
        begins[text] = size
        for t in range(count):
            if t > 0 and starts[t] > stops[t - 1]:
                packed[size] = 32
                size += 1
            for at in range(starts[t], stops[t]):
                packed[size] = data[at]
                size += 1
            ends[n] = size
            n += 1


@kernel
def place_grams(hashes, firsts, width, grams):
    """grams[t] = hash of the ``width`` words from t, for each place t where a passage has so many left, else 0."""
    grams[:] = ZERO
    for passage in range(firsts.size - 1):
        n = firsts[passage + 1] - firsts[passage]
        if n >= width:
            hash_shingles(hashes[firsts[passage] :], n, width, grams[firsts[passage] :])


# ------------------------------------------------------------------------------------------------ look-up


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
def _differences(words_of, n, hashes, n_words, start):
    """Words of a passage of n that differ from the document's, laid at ``start``; n where it reaches beyond."""
    if start < 0 or start + n > n_words:
        return n
    count = 0
    for k in range(n):
        count += words_of[k] != hashes[start + k]
    return count


@kernel
def _begins_before(words_of, k, hashes, start):
    """Where the first k words stand last before word ``start``, at most NEAR_GAP before it; -1 for nowhere."""
    for begins in range(start - 1, max(-1, start - NEAR_GAP - 1), -1):
        same = 0
        while same < k and hashes[begins + same] == words_of[same]:
            same += 1
        if same == k:
            return begins
    return -1


@kernel
def _is_near(words_of, n, place, hashes, n_words, at, base, latest):
    """Whether a passage of n words whose word ``place`` stands at ``at`` is there but for one word, or in two pieces.

    latest int64[_PIECES]: where the passage begins whose first k words stood last; reset by ``base`` of the document.
    Called with every hit of the first and of the last seed.
    """
    start = at - place
    if _differences(words_of, n, hashes, n_words, start) <= 1:
        return True
    if place == 0:
        k = SEED
        while k <= n - SEED and hashes[start + k - 1] == words_of[k - 1]:
            latest[k] = base + start
            k += 1
            if start + k > n_words:
                break
        return False
    k = place
    while k >= SEED and start + k >= 0 and hashes[start + k] == words_of[k]:
        begins = latest[k] - base
        if begins >= start and latest[k] >= base:  # a passage that repeats itself: an earlier one was overwritten
            begins = _begins_before(words_of, k, hashes, start)
        if begins >= 0 and 0 < start - begins <= NEAR_GAP:
            return True
        k -= 1
    return False


@kernel
def _add_hits(hits, at, base, document, index, state, hashes, n_words, touched, n_touched):
    """One seed of a document, at word ``at``: its entries in the index, each longer by one when its predecessor was hit."""
    firsts, words_of, entries, weights, standing, row_of, costs, frames = index
    last, run, counted, stamps, sums, rows, near, latest = state
    now = base + at
    for e in range(hits[0], hits[1]):
        passage, place, before = entries[e, 0], entries[e, 1], entries[e, 2]
        if stamps[passage] != document:
            stamps[passage], sums[passage], rows[passage], near[passage] = document, 0, 0, False
            touched[n_touched] = passage
            n_touched += 1
        follows = before >= 0 and last[before] == now - 1
        if follows and counted[e] != document:
            counted[e] = document
            sums[passage] += weights[e]
        run[e] = run[before] + 1 if follows and not standing[e] else SEED
        last[e] = now
        rows[passage] = max(rows[passage], run[e])
        n = firsts[passage + 1] - firsts[passage]
        if NEAR_MIN <= n <= NEAR_MAX and not near[passage]:
            end = firsts[passage] + place + SEED
            near[passage] = not frames[e] and costs[end] - costs[end - run[e]] >= RARE
            if (place == 0 or place == n - SEED) and not near[passage]:
                own = words_of[firsts[passage] : firsts[passage + 1]]
                near[passage] = _is_near(own, n, place, hashes, n_words, at, base, latest[row_of[passage]])
    return n_touched


@kernel
def overlaps(offsets, data, gate, keys, ranges, index, totals, needed, threshold, scratch, state, touched, best, hits):
    """How much of each passage each document holds.

    keys uint64[2^k], ranges int64[2^k, 2]: seeds and their range in entries. index: firsts int64[n_passages + 1] and
    words_of uint64[], hashes of the words of all passages; entries int64[n_entries, 3]: passage, place of the seed in it
    and entry of the place before, -1 for none, places of one passage downwards; weights int64[n_entries] of the 5-gram
    that ends with the seed; standing bool[n_entries], where that is shared by many passages; row_of int64[n_passages];
    costs int64[n_words + 1] of the words before, see ``rarity``; frames bool[n_entries], where the seed is shared by
    many passages.
    totals int64[n_passages]: sum of weights, 0 for one too short; needed int64[n_passages]: words in a row that are
    enough. state: last, run int64[n_entries], counted int64[n_entries], stamps, sums, rows int64[n_passages],
    near bool[n_passages], latest int64[n_rows, 16]; last, counted, stamps and latest -1.
    Writes best float64[n_docs], the largest share, and hits int64[capacity, 4]: document, passage, weight found, words in
    a row. Returns the number of hits.
    """
    word_scratch, hashes, grams = scratch
    sums, rows, near = state[4], state[5], state[6]
    n_hits, base = 0, np.int64(1)  # no word is the successor of -1
    for document in range(offsets.size - 1):
        n_words = _hash_words(data, offsets[document], offsets[document + 1], word_scratch, hashes)
        n_touched, best[document] = 0, 0.0
        n_grams = hash_shingles(hashes, n_words, SEED, grams) if n_words >= SEED else 0
        for g in range(n_grams):
            word, bit = _gate_place(grams[g])
            if gate[word] & bit == ZERO:
                continue
            slot = find_key(keys, grams[g])
            if slot >= 0:
                n_touched = _add_hits(
                    ranges[slot], g, base, document, index, state, hashes, n_words, touched, n_touched
                )
        base += n_words + 1
        for t in range(n_touched):
            passage = touched[t]
            share = sums[passage] / totals[passage]
            best[document] = max(best[document], share)
            if share >= threshold or rows[passage] >= needed[passage] or near[passage]:
                if n_hits < hits.shape[0]:
                    hits[n_hits, 0], hits[n_hits, 1] = document, passage
                    hits[n_hits, 2], hits[n_hits, 3] = sums[passage], rows[passage]
                n_hits += 1
    return n_hits
