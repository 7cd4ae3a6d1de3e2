"""Kernels of near-duplicate search: signatures, band keys, candidate pairs, exact Jaccard of shingle sets.

Unsigned trap: numba widens uint32 * uint32 to uint64 and uint64 with int64 to float64, so everything that wraps
is np.uint64 from the first constant on.
"""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import (
    below,
    decode,
    hash_shingles,
    hash_tokens,
    high_mask,
    mulhi,
    word_capacity,
)
from gristmill.corpus.text._kernels_unspaced import cut_words
from gristmill.dedup.clusters._unicode_fold import FOLDED, LIMIT

U64 = np.uint64
_S33 = U64(33)
_M1, _M2 = U64(0xFF51AFD7ED558CCD), U64(0xC4CEB9FE1A85EC53)  # MurmurHash3's finaliser
_BAND_SEED = U64(0x9E3779B97F4A7C15)
EMPTY = U64(0xFFFFFFFFFFFFFFFF)  # the minimum over nothing
MOST_IN_BUCKET = 32  # of n hashes in n buckets the fullest holds about 10, unless hashes repeat


@njit(cache=True, nogil=True, inline="always")
def mix(h):
    """MurmurHash3's 64-bit finaliser, a bijection."""
    h = (h ^ (h >> _S33)) * _M1
    h = (h ^ (h >> _S33)) * _M2
    return h ^ (h >> _S33)


# ------------------------------------------------------------------------------------------------ signatures


@njit(cache=True, nogil=True)
def minhash(shingles, n, a, b, signature):
    """signature[k] = min over shingles s of mix(s) * a[k] + b[k] mod 2^64; uint64 throughout.

    Eight shingles a turn: a, b and the signature are loaded once for all (4.2 ns a shingle of 128 hashes; one a turn 15).
    """
    signature[:] = EMPTY
    whole = n - n % 8
    for s in range(0, whole, 8):
        h0, h1, h2, h3 = mix(shingles[s]), mix(shingles[s + 1]), mix(shingles[s + 2]), mix(shingles[s + 3])
        h4, h5, h6, h7 = mix(shingles[s + 4]), mix(shingles[s + 5]), mix(shingles[s + 6]), mix(shingles[s + 7])
        for k in range(signature.size):
            x, y = a[k], b[k]
            low = min(min(h0 * x + y, h1 * x + y), min(h2 * x + y, h3 * x + y))
            high = min(min(h4 * x + y, h5 * x + y), min(h6 * x + y, h7 * x + y))
            signature[k] = min(signature[k], min(low, high))
    for s in range(whole, n):
        h = mix(shingles[s])
        for k in range(signature.size):
            signature[k] = min(signature[k], h * a[k] + b[k])


@njit(cache=True, nogil=True)
def fold_case(data, start, stop):
    """Fold the letters beyond ASCII of data[start:stop] in place; ``hash_tokens`` folds ASCII as it reads."""
    at = start
    while at < stop:
        if not high_mask(data, at) & below(min(stop - at, 64)):
            at += 64
            continue
        end = min(at + 64, stop)
        while at < end:
            if data[at] < 0x80:
                at += 1
                continue
            point, n_bytes = decode(data, at)
            if point < LIMIT and FOLDED[point] != point:
                folded = np.int64(FOLDED[point])
                data[at + n_bytes - 1] = 0x80 | (folded & 63)
                if n_bytes == 2:
                    data[at] = 0xC0 | folded >> 6
                else:
                    data[at + 1] = 0x80 | (folded >> 6 & 63)
                    data[at] = 0xE0 | folded >> 12
            at += n_bytes


@njit(cache=True, nogil=True, inline="always")
def _shingles_of(data, start, stop, width, scratch, hashes, out):
    """Shingle hashes of one document, in order, into ``out``; their number. Folds its bytes in place."""
    fold_case(data, start, stop)
    n, is_cut = cut_words(data, start, stop, scratch)
    hash_tokens(data, scratch[2 * is_cut], scratch[2 * is_cut + 1], n, True, hashes)
    return hash_shingles(hashes, n, width, out)


@njit(cache=True, nogil=True)
def signatures(offsets, data, width, a, b, counts, out):
    """counts[d], out[d] = number of shingles and signature of document d. Folds ``data`` in place."""
    room = word_capacity(offsets)
    scratch = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64))
    hashes, shingles = np.empty(room, np.uint64), np.empty(room, np.uint64)
    for doc in range(counts.size):
        n = _shingles_of(data, offsets[doc], offsets[doc + 1], width, scratch, hashes, shingles)
        counts[doc] = n
        minhash(shingles, n, a, b, out[doc])


@njit(cache=True, nogil=True)
def band_keys(signatures, rows, keys):
    """keys[band, d] = 64-bit hash of the ``rows`` values of that band of signature d."""
    for doc in range(keys.shape[1]):
        for band in range(keys.shape[0]):
            key = _BAND_SEED
            for k in range(band * rows, (band + 1) * rows):
                key = mix(key ^ signatures[doc, k]) + _BAND_SEED
            keys[band, doc] = key


# ------------------------------------------------------------------------------------------------ candidate pairs


@njit(cache=True, nogil=True)
def longest_tail(members, stops, turn):
    """Most places behind one node in all its buckets together: what a pair buffer must hold at least."""
    longest, tail = 0, 0
    for i in range(turn.size):
        if i and members[turn[i]] != members[turn[i - 1]]:
            tail = 0
        tail += stops[turn[i]] - turn[i] - 1
        longest = max(longest, tail)
    return longest


@njit(cache=True, nogil=True)
def fill_pairs(members, stops, turn, begin, met, a, b):
    """Pairs (a < b) that share a bucket, each once, ordered by a, until the buffers are full.

    turn: places of ``members`` ordered by node; met[node] = last a that saw it (-1 at first).
    Returns (pairs, where to begin next).
    """
    n, at = 0, begin
    while at < turn.size:
        node, end, tail = members[turn[at]], at, 0
        while end < turn.size and members[turn[end]] == node:
            tail += stops[turn[end]] - turn[end] - 1
            end += 1
        if n + tail > a.size:
            break
        for i in range(at, end):
            for place in range(turn[i] + 1, stops[turn[i]]):
                other = members[place]
                if met[other] != node:
                    met[other] = node
                    a[n], b[n] = node, other
                    n += 1
        at = end
    return n, at


# ------------------------------------------------------------------------------------------------ verification


@njit(cache=True, nogil=True)
def set_capacity(offsets):
    """Places that the shingles of all documents can need while they are built."""
    return (offsets[-1] - offsets[0]) // 2 + 2 * offsets.size


@njit(cache=True, nogil=True)
def sort_hashes(values, scratch, places):
    """Sort hashes in place: one bucket a value by their high bits, then insertion, which moves little in even data.

    Falls back to a comparison sort when a bucket is crowded (repeated shingles). scratch uint64[n], places int64[n + 1].
    """
    n, crowd = values.size, 0
    places[: n + 1] = 0
    for i in range(n):
        scratch[i] = values[i]
        bucket = np.int64(mulhi(values[i], U64(n)))
        places[bucket + 1] += 1
        crowd = max(crowd, places[bucket + 1])
    if crowd > MOST_IN_BUCKET:
        values.sort()
        return
    for bucket in range(n):
        places[bucket + 1] += places[bucket]
    for i in range(n):
        bucket = np.int64(mulhi(scratch[i], U64(n)))
        values[places[bucket]] = scratch[i]
        places[bucket] += 1
    for i in range(1, n):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value


@njit(cache=True, nogil=True)
def shingle_sets(offsets, data, width, sizes, out):
    """Sorted distinct shingle hashes of each document, one after the other in ``out``. Returns their number.

    Folds ``data`` in place.
    """
    room = word_capacity(offsets)
    scratch = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64))
    hashes = np.empty(room, np.uint64)
    places = np.empty(room + 1, np.int64)
    at = 0
    for doc in range(sizes.size):
        n = _shingles_of(data, offsets[doc], offsets[doc + 1], width, scratch, hashes, out[at:])
        sort_hashes(out[at : at + n], hashes, places)
        kept = at
        for i in range(at, at + n):
            if i == at or out[i] != out[kept - 1]:
                out[kept] = out[i]
                kept += 1
        sizes[doc] = kept - at
        at = kept
    return at


@njit(cache=True, nogil=True, inline="always")
def _intersection(values, x, x_stop, y, y_stop):
    """Number of values that two sorted runs share; advances without branching, as the order is a coin toss."""
    shared = 0
    while x < x_stop and y < y_stop:
        left, right = values[x], values[y]
        shared += left == right
        x += left <= right
        y += right <= left
    return shared


@njit(cache=True, nogil=True)
def jaccard_of_pairs(starts, sizes, values, a, b, at_least, out):
    """out[p] = |A & B| / |A | B| of the sets a[p], b[p]; 0 when the sizes alone prove it below ``at_least``."""
    for p in range(out.size):
        x, y = a[p], b[p]
        small, large = min(sizes[x], sizes[y]), max(sizes[x], sizes[y])
        if large == 0 or small / large < at_least:
            out[p] = 0.0
            continue
        shared = _intersection(values, starts[x], starts[x] + sizes[x], starts[y], starts[y] + sizes[y])
        out[p] = shared / (small + large - shared)


@njit(cache=True, nogil=True)
def raise_to(values, nodes, least):
    """values[nodes[i]] = max(values[nodes[i]], least[i])."""
    for i in range(nodes.size):
        values[nodes[i]] = max(values[nodes[i]], least[i])
