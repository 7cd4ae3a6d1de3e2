"""Kernels for an order that stays near: windows of neighbouring rows in a keyed order, and their rows in another.

A window is ``window`` rows that follow each other in the shards, the last one of an epoch's ``size`` rows often fewer.
"""

import numpy as np
from numba import njit

from gristmill.handoff._kernels import GOLDEN, mix, permute, sides_of, unpermute


@njit(cache=True, nogil=True)
def windows_of(size, window, key):
    """How many windows there are, the two sides of their permutation, rows of the short one, and its place in turn."""
    n_windows = (size + window - 1) // window
    left, right = sides_of(n_windows)
    at = np.int64(unpermute(np.uint64(n_windows - 1), np.uint64(n_windows), left, right, key))
    return n_windows, left, right, size - (n_windows - 1) * window, at


@njit(cache=True, nogil=True)
def row_at(position, window, windows, key):
    """The row at a position of the epoch."""
    n_windows, left, right, short, at = windows
    if position >= at * window + short:
        position += window - short
    turn, inside = position // window, position % window
    chosen = np.int64(permute(np.uint64(turn), np.uint64(n_windows), left, right, key))
    rows = short if chosen == n_windows - 1 else window
    sides = sides_of(rows)
    inner = mix(key + GOLDEN * np.uint64(chosen + 1))
    return chosen * window + np.int64(permute(np.uint64(inside), np.uint64(rows), sides[0], sides[1], inner))


@njit(cache=True, nogil=True)
def position_of(row, window, windows, key):
    """The position of a row: the inverse of ``row_at``."""
    n_windows, left, right, short, at = windows
    chosen, place = row // window, row % window
    turn = np.int64(unpermute(np.uint64(chosen), np.uint64(n_windows), left, right, key))
    rows = short if chosen == n_windows - 1 else window
    sides = sides_of(rows)
    inner = mix(key + GOLDEN * np.uint64(chosen + 1))
    inside = np.int64(unpermute(np.uint64(place), np.uint64(rows), sides[0], sides[1], inner))
    return turn * window + inside - (window - short if turn > at else 0)


@njit(cache=True, nogil=True)
def rows_of(drawn, ordinal, sizes, keys, window, epoch, row):
    """epoch[i], row[i] = the ordinal-th row of drawn[i], each epoch an order of its own; see ``_kernels.rows_of``."""
    known = np.full(sizes.shape[0], -1, np.int64)  # the epoch that windows[d] are of
    windows = [windows_of(max(sizes[d], 1), window, keys[d]) for d in range(sizes.shape[0])]
    for i in range(drawn.shape[0]):
        d = drawn[i]
        turn = ordinal[i] // sizes[d]
        key = mix(keys[d] + GOLDEN * np.uint64(turn + 1))
        if known[d] != turn:
            known[d], windows[d] = turn, windows_of(sizes[d], window, key)
        epoch[i], row[i] = turn, row_at(ordinal[i] - turn * sizes[d], window, windows[d], key)


@njit(cache=True, nogil=True)
def ordinals_of(rows, size, key, window, ordinal):
    """ordinal[e, i] = how many rows are given before rows[i] in epoch e: the inverse of ``rows_of``."""
    for epoch in range(ordinal.shape[0]):
        epoch_key = mix(key + GOLDEN * np.uint64(epoch + 1))
        windows = windows_of(size, window, epoch_key)
        for i in range(rows.shape[0]):
            ordinal[epoch, i] = epoch * size + position_of(rows[i], window, windows, epoch_key)
