"""Kernels of the hand-over: whose turn sample i is, by earliest deadline first.

Shares are integers that sum to ONE = 2^32 in every piece of the schedule, so every machine counts alike. A domain's
deficit is its ideal number of rows less the number it had, in 2^-32 rows.
"""

import numpy as np
from numba import njit

ONE = 1 << 32
NEVER = 1 << 45  # samples; a key (deadline, domain) then stays below NO_KEY
DOMAIN_BITS = 16
NO_KEY = np.int64(1 << 62)  # beyond every deadline, of domain 0


@njit(cache=True, nogil=True)
def window(starts, weights, early, piece, sample, domain, deficit, eps):
    """The first and last sample of the domain's next turn: deficit >= eps at the first, > ONE - eps after the last.

    Where the share falls to zero in between, early[piece, domain] says whether the turn comes before that piece or after
    the share has come back. ``sample`` lies in ``piece`` or at its end, and ``deficit`` is the one before it.
    """
    low, high, first = eps - deficit, ONE - eps + 1 - deficit, NEVER
    while True:
        weight, length = weights[piece, domain], starts[piece + 1] - sample
        if weight > 0:
            needed = max((low + weight - 1) // weight, 1)
            if first == NEVER and needed <= length:
                first = sample + needed - 1
            needed = max((high + weight - 1) // weight, 0)
            if needed <= length:
                return first, sample + needed - 1
            low -= weight * length
            high -= weight * length
        piece += 1
        if piece == weights.shape[0]:
            return first, NEVER
        if first < NEVER and weights[piece, domain] == 0 < weights[piece - 1, domain]:
            if early[piece, domain]:
                return first, starts[piece] - 1
            first = NEVER
        sample = starts[piece]


@njit(cache=True, nogil=True)
def earliest(firsts, keys, sample):
    """Of the domains whose turn may come now the one with the earliest deadline, the lower number on ties.

    keys[d] = deadline << DOMAIN_BITS | d: one minimum over two columns, which the compiler turns into vector code.
    """
    best = NO_KEY
    for d in range(keys.shape[0]):
        key = keys[d] if firsts[d] <= sample else NO_KEY
        best = min(key, best)
    return best & ((1 << DOMAIN_BITS) - 1)


@njit(cache=True, nogil=True)
def apportion(starts, weights, early, eps, start, stop, counts, deficits, drawn, ordinal, marks, stride):
    """Whose turn samples start to stop are; ``counts`` and ``deficits`` (2^-32 rows) go in and come out.

    drawn[i], ordinal[i] = domain of sample start + i and how many it had before (left out when ``drawn`` is empty);
    marks[s // stride] = (counts, deficits) before sample s (left out when ``marks`` is empty).
    """
    n_domains = counts.shape[0]
    firsts, keys = np.empty(n_domains, np.int64), np.empty(n_domains, np.int64)
    piece = np.searchsorted(starts, start, side="right") - 1
    for d in range(n_domains):
        firsts[d], last = window(starts, weights, early, piece, start, d, deficits[d], eps)
        keys[d] = last << DOMAIN_BITS | d
    for sample in range(start, stop):
        if sample == starts[piece + 1]:
            piece += 1
        if marks.shape[0] and sample % stride == 0:
            marks[sample // stride, 0], marks[sample // stride, 1] = counts, deficits
        best = earliest(firsts, keys, sample)
        if drawn.shape[0]:
            drawn[sample - start], ordinal[sample - start] = best, counts[best]
        for d in range(n_domains):
            deficits[d] += weights[piece, d]
        deficits[best] -= ONE
        counts[best] += 1
        firsts[best], last = window(starts, weights, early, piece, sample + 1, best, deficits[best], eps)
        keys[best] = last << DOMAIN_BITS | best
