"""Kernels of the hand-over: which row a domain's turn gets (Feistel), gathering slices. Rows: ``_kernels_rows``. Turns: ``_kernels_turns``."""

import numpy as np
from numba import njit

ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@njit(cache=True, nogil=True)
def mix(x):
    """The finaliser of splitmix64."""
    x = (x ^ (x >> SHIFT_30)) * MIX_A
    x = (x ^ (x >> SHIFT_27)) * MIX_B
    return x ^ (x >> SHIFT_31)


@njit(cache=True, nogil=True)
def permute(position, size, left_size, right_size, key):
    """A keyed bijection of range(size): alternating Feistel on left_size x right_size >= size, cycle walking."""
    value = position
    while True:
        left, right = value // right_size, value % right_size
        state = key
        for _ in range(ROUNDS // 2):
            state += GOLDEN
            left += ((mix(state + right) >> SHIFT_32) * left_size) >> SHIFT_32  # hash scaled to [0, left_size)
            left = left - left_size if left >= left_size else left
            state += GOLDEN
            right += ((mix(state + left) >> SHIFT_32) * right_size) >> SHIFT_32
            right = right - right_size if right >= right_size else right
        value = left * right_size + right
        if value < size:
            return value


@njit(cache=True, nogil=True)
def unpermute(value, size, left_size, right_size, key):
    """The position that ``permute`` sends to ``value``: the same rounds backwards."""
    while True:
        left, right = value // right_size, value % right_size
        state = key + GOLDEN * np.uint64(ROUNDS)
        for _ in range(ROUNDS // 2):
            right += right_size - (((mix(state + left) >> SHIFT_32) * right_size) >> SHIFT_32)
            right = right - right_size if right >= right_size else right
            state -= GOLDEN
            left += left_size - (((mix(state + right) >> SHIFT_32) * left_size) >> SHIFT_32)
            left = left - left_size if left >= left_size else left
            state -= GOLDEN
        value = left * right_size + right
        if value < size:
            return value


@njit(cache=True, nogil=True)
def sides_of(size):
    """The two sides of the smallest near-square that holds ``size`` places."""
    left = max(np.uint64(np.ceil(np.sqrt(np.float64(size)))), np.uint64(1))
    return left, (np.uint64(size) + left - np.uint64(1)) // left


@njit(cache=True, nogil=True)
def ordinals_of(rows, size, key, ordinal):
    """ordinal[e, i] = how many rows the domain gives before it gives rows[i] in epoch e: the inverse of ``rows_of``."""
    left_size, right_size = sides_of(size)
    for epoch in range(ordinal.shape[0]):
        epoch_key = mix(key + GOLDEN * np.uint64(epoch + 1))
        for i in range(rows.shape[0]):
            position = unpermute(np.uint64(rows[i]), np.uint64(size), left_size, right_size, epoch_key)
            ordinal[epoch, i] = epoch * size + np.int64(position)


@njit(cache=True, nogil=True)
def rows_of(drawn, ordinal, sizes, keys, epoch, row):
    """epoch[i], row[i] = the ordinal-th row of the drawn domain, each epoch a permutation of its own."""
    sides = np.empty((sizes.shape[0], 2), np.uint64)
    for d in range(sizes.shape[0]):
        sides[d, 0], sides[d, 1] = sides_of(sizes[d])
    for i in range(drawn.shape[0]):
        d = drawn[i]
        turn = ordinal[i] // sizes[d]
        epoch[i] = turn
        position = np.uint64(ordinal[i] - turn * sizes[d])
        key = mix(keys[d] + GOLDEN * np.uint64(turn + 1))
        row[i] = permute(position, np.uint64(sizes[d]), sides[d, 0], sides[d, 1], key)


@njit(cache=True, nogil=True)
def gather_slices(data, start_at, length_at, counts, place, start, length):
    """Slices of row i, ``counts[i]`` of them from data[start_at[i]] and data[length_at[i]], to place[i] and on."""
    for i in range(counts.shape[0]):
        for k in range(counts[i]):
            start[place[i] + k] = data[start_at[i] + k]
            length[place[i] + k] = data[length_at[i] + k]
