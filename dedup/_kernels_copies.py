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
def first_of_key(records, n_keys, table, slots, first):
    """first[i] = the record of i's key with the smallest place; the same whatever the order of the records.

    records uint64[n, columns]: column 0 the place, columns 1 to n_keys (1 or 2) the key, a hash.
    table int32[2^m >= 2n] all -1; slots int64[n] scratch.
    """
    mask = U64(table.size - 1)
    for i in range(first.size):
        slot = np.int64(records[i, 1] & mask)
        while table[slot] >= 0 and not _same_key(records, table[slot], i, n_keys):
            slot = (slot + 1) & (table.size - 1)
        slots[i] = slot
        if table[slot] < 0 or records[i, 0] < records[table[slot], 0]:
            table[slot] = i
    for i in range(first.size):
        first[i] = table[slots[i]]
