"""Kernels for schedules in which shares fall to zero: what one stretch of constant live domains has room for, and flow.

Fractions of a row count in 2^-32.
"""

import numpy as np
from numba import njit

ONE = 1 << 32
MASK = np.uint64(ONE - 1)


@njit(cache=True, nogil=True)
def crossings(starts, weights, begin, end, fraction, due, release, after):
    """What pieces begin to end do to each domain that had ``fraction`` of a row beyond whole ones before.

    due[d] = samples from the schedule's start after which its ideal has passed the next whole number, -1 never;
    release[d] = the last sample at which its ideal went beyond a whole number, -1 never; after[d] = its fraction then.
    """
    for d in range(fraction.shape[0]):
        due[d], release[d], after[d] = -1, -1, fraction[d]
        missing = ONE - fraction[d]
        for piece in range(begin, end):
            weight, length = weights[piece, d], starts[piece + 1] - starts[piece]
            if due[d] < 0 and weight > 0:
                needed = (missing + weight - 1) // weight
                if needed <= length:
                    due[d] = starts[piece] + needed
                else:
                    missing -= weight * length
            after[d] = np.int64((np.uint64(after[d]) + np.uint64(weight) * np.uint64(length)) & MASK)
        back = after[d]
        for piece in range(end - 1, begin - 1, -1):
            weight, length = weights[piece, d], starts[piece + 1] - starts[piece]
            needed = (back + weight - 1) // weight if weight > 0 else length + 1
            if 0 < needed <= length:
                release[d] = starts[piece + 1] - needed
            if needed <= length:
                break
            back -= weight * length


@njit(cache=True, nogil=True)
def least_fractions(starts, weights, begin, end, fraction, dues, releases, behind, ahead):
    """The least sums of fractions inside a stretch, by how many of the sorted ``dues`` and ``releases`` have passed.

    behind[h] = min of the sum of fractions beyond whole rows, over moments at which h dues have passed;
    ahead[r] = min of the sum of fractions that are missing to whole rows, over moments at which r releases have.
    """
    passed, released = 0, 0
    for piece in range(begin, end):
        weight = weights[piece].astype(np.uint32)  # a share of all, 2^32, moves no fraction: zero here
        for moment in range(starts[piece] + 1, min(starts[piece + 1], starts[end] - 1) + 1):
            total, whole = np.int64(0), np.int64(0)
            for d in range(fraction.shape[0]):
                fraction[d] += weight[d]
                total += np.int64(fraction[d])
                whole += np.int64(fraction[d] > 0)
            while passed < dues.shape[0] and dues[passed] <= moment:
                passed += 1
            while released < releases.shape[0] and releases[released] < moment:
                released += 1
            behind[passed] = min(behind[passed], total)
            ahead[released] = min(ahead[released], whole * ONE - total)


@njit(cache=True, nogil=True)
def augment(source, sink, first, following, head, room, came_by, queue):
    """Push one unit along a shortest path of the residual graph, arc ^ 1 being the way back; False when there is none.

    first[node] and following[arc] list a node's arcs, head[arc] is where it leads, room[arc] what it still takes.
    """
    came_by[:] = -1
    came_by[source], queue[0], size, at = -2, source, 1, 0
    while at < size and came_by[sink] == -1:
        arc = first[queue[at]]
        at += 1
        while arc >= 0:
            if room[arc] > 0 and came_by[head[arc]] == -1:
                came_by[head[arc]] = arc
                queue[size] = head[arc]
                size += 1
            arc = following[arc]
    if came_by[sink] == -1:
        return False
    node = sink
    while node != source:
        room[came_by[node]] -= 1
        room[came_by[node] ^ 1] += 1
        node = head[came_by[node] ^ 1]
    return True
