"""Kernels of the band index: probing sorted band tables, and Jaccard between two collections of shingle sets."""

import numpy as np
from numba import njit

from gristmill.dedup.clusters._kernels import mix

U64 = np.uint64
_STEP = U64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def set_digests(starts, sizes, values, out):
    """out[d] = 64-bit hash of the sorted set values[starts[d]:starts[d] + sizes[d]]; order counts, so sort first."""
    for d in range(out.size):
        state = _STEP
        for at in range(starts[d], starts[d] + sizes[d]):
            state = mix(state ^ values[at]) + _STEP
        out[d] = state


@njit(cache=True, nogil=True)
def fill_matches(lows, highs, members, begin, met, queries, found):
    """Pairs (query, member) that share a band, each once, from query ``begin`` on, until the buffers are full.

    Places lows[band, q] to highs[band, q] of members[band] match query q; met[member] = last query that met it (-1 at
    first). Returns (pairs, where to begin next); a buffer holds the places of one query at least.
    """
    n = 0
    for q in range(begin, lows.shape[1]):
        room = 0
        for band in range(lows.shape[0]):
            room += highs[band, q] - lows[band, q]
        if n + room > queries.size:
            return n, q
        for band in range(lows.shape[0]):
            for place in range(lows[band, q], highs[band, q]):
                member = members[band, place]
                if met[member] != q:
                    met[member] = q
                    queries[n], found[n] = q, member
                    n += 1
    return n, lows.shape[1]


@njit(cache=True, nogil=True)
def jaccard_across(starts, sizes, values, a, other_starts, other_sizes, other_values, b, at_least, out):
    """out[p] = Jaccard of set a[p] of the first and set b[p] of the other collection.

    0 when the sizes alone prove it below ``at_least``.
    """
    for p in range(out.size):
        m, n = sizes[a[p]], other_sizes[b[p]]
        small, large = min(m, n), max(m, n)
        if large == 0 or small / large < at_least:
            out[p] = 0.0
            continue
        x, y = starts[a[p]], other_starts[b[p]]
        x_stop, y_stop, shared = x + m, y + n, 0
        while x < x_stop and y < y_stop:
            left, right = values[x], other_values[y]
            shared += left == right
            x += left <= right
            y += right <= left
        out[p] = shared / (small + large - shared)


@njit(cache=True, nogil=True)
def gather_runs(starts, sizes, values, order, out):
    """Fill ``out`` with the runs values[starts[i]:starts[i] + sizes[i]] for i in ``order``, one after the other."""
    end = 0
    for i in order:
        for at in range(starts[i], starts[i] + sizes[i]):
            out[end] = values[at]
            end += 1
