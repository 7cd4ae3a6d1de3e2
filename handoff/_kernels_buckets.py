"""Kernel for a domain whose rows lie in buckets: which bucket gives its next row.

An epoch of the domain is cut into stretches, and each says how many rows every bucket gives in it. Inside a stretch
bucket b gives them evenly: its o-th of ``draws`` in ``length`` positions lies between the moments at which its ideal,
position * draws / length, passes o and reaches o + 1. The earliest of these ends goes first.
"""

import numpy as np
from numba import njit

from gristmill.handoff._kernels_turns import DOMAIN_BITS, NEVER, earliest


@njit(cache=True, nogil=True)
def turns(begin, length, draws, had, firsts, keys):
    """firsts[b], keys[b] >> DOMAIN_BITS = first and last position of the next row of bucket b, which gave had[b]."""
    for b in range(draws.shape[0]):
        turn(begin, length, draws, had, b, firsts, keys)


@njit(cache=True, nogil=True)
def turn(begin, length, draws, had, b, firsts, keys):
    """The same of one bucket."""
    first, last = NEVER, NEVER
    if had[b] < draws[b]:
        first = begin + had[b] * length // draws[b]
        last = begin + ((had[b] + 1) * length + draws[b] - 1) // draws[b] - 1
    firsts[b], keys[b] = first, last << DOMAIN_BITS | b


@njit(cache=True, nogil=True)
def draw(stops, draws, begin, start, stop, counts, bucket, ordinal, marks, stride):
    """Buckets of a domain's draws start to stop, walked to from ``begin``; all three count over its epochs.

    stops int64[S + 1], draws int64[S, B]: ends of the stretches of an epoch and rows of each bucket in them.
    counts int64[B]: rows of each bucket since the epoch's begin, before ``begin``; comes out as before ``stop``.
    bucket[i], ordinal[i] = bucket of draw start + i, and how many rows it gave before, over all epochs.
    marks[p // stride] = counts before position p of the epoch (left out when ``marks`` is empty).
    """
    n_buckets, size = counts.shape[0], stops[-1]
    firsts, keys = np.empty(n_buckets, np.int64), np.empty(n_buckets, np.int64)
    total, had = np.empty(n_buckets, np.int64), np.empty(n_buckets, np.int64)
    epoch, position = begin // size, begin % size
    stretch = np.searchsorted(stops, position, side="right") - 1
    for b in range(n_buckets):
        total[b] = draws[:, b].sum()
        had[b] = counts[b] - draws[:stretch, b].sum()
    turns(stops[stretch], stops[stretch + 1] - stops[stretch], draws[stretch], had, firsts, keys)
    for place in range(begin, stop):
        if position == stops[stretch + 1]:
            stretch += 1
            if position == size:
                stretch, position, epoch = 0, 0, epoch + 1
                counts[:] = 0
            had[:] = 0
            turns(stops[stretch], stops[stretch + 1] - stops[stretch], draws[stretch], had, firsts, keys)
        if marks.shape[0] and position % stride == 0:
            marks[position // stride] = counts
        best = earliest(firsts, keys, position)
        if place >= start and bucket.shape[0]:
            bucket[place - start], ordinal[place - start] = best, epoch * total[best] + counts[best]
        counts[best] += 1
        had[best] += 1
        turn(stops[stretch], stops[stretch + 1] - stops[stretch], draws[stretch], had, best, firsts, keys)
        position += 1
