"""Kernels that find equal records: rows of a table of uint64, equal when their keys are, ordered by their place."""

import numpy as np
from numba import njit

U64 = np.uint64


@njit(cache=True, nogil=True, inline="always")
def _same_key(records, i, j, n_keys):
    """Whether columns 1 to n_keys of two records are equal."""
    same = records[i, 1] == records[j, 1]
    return same and (n_keys < 2 or records[i, 2] == records[j, 2])


@njit(cache=True, nogil=True)
def first_of_key(records, n_keys, table, first):
    """first[i] = the record of i's key with the smallest place; the same whatever the order of the records.

    records uint64[n, columns]: column 0 the place, columns 1 to n_keys (1 or 2) the key, a hash.
    table int32[2^m >= 2n] all -1. A record first points to the best before it, or from the best to a better one
    behind it; the way back makes at most three steps, and none for most, where another look into the table would miss.
    """
    mask = U64(table.size - 1)
    for i in range(first.size):
        slot = np.int64(records[i, 1] & mask)
        while table[slot] >= 0 and not _same_key(records, table[slot], i, n_keys):
            slot = (slot + 1) & (table.size - 1)
        best = table[slot]
        if best < 0 or records[i, 0] < records[best, 0]:
            table[slot], first[i] = i, i
            if best >= 0:
                first[best] = i
        else:
            first[i] = best
    for i in range(first.size - 1, -1, -1):
        best = first[i]
        while first[best] != best:
            best = first[best]
        first[i] = best
