"""Kernels of the hand-over: whose turn sample i is (Tijdeman), which row it gets (Feistel), gathering rows.

Shares are integers that sum to ONE = 2^32 in every piece of the schedule, so every machine counts alike.
"""

import numpy as np
from numba import njit

ONE = 1 << 32
NEVER = np.int64(1) << np.int64(62)
ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@njit(cache=True, nogil=True)
def crossing(starts, weights, fresh, piece, sample, domain, missing):
    """The first sample from ``sample`` on at which the domain's ideal has grown by ``missing``, itself included.

    Looks ahead up to the next fresh start; NEVER when the ideal does not grow that much; sample - 1 when it already has.
    """
    if missing <= 0:
        return sample - 1
    while True:
        weight, length = weights[piece, domain], starts[piece + 1] - sample
        if weight > 0:
            needed = (missing + weight - 1) // weight
            if needed <= length:
                return sample + needed - 1
            missing -= weight * length
        piece += 1
        if piece == weights.shape[0] or fresh[piece]:
            return NEVER
        sample = starts[piece]


@njit(cache=True, nogil=True)
def next_turn(starts, weights, fresh, piece, sample, domain, deficit, turns):
    """turns[domain] = (release, deadline) of its next turn: deficit >= eps from release on, > ONE - eps after deadline.

    eps = ONE / (2K - 2). Tijdeman 1980, The chairman assignment problem: earliest deadline first keeps all of them.
    """
    eps = ONE // max(2 * turns.shape[0] - 2, 1)
    turns[domain, 0] = crossing(starts, weights, fresh, piece, sample, domain, eps - deficit)
    turns[domain, 1] = crossing(starts, weights, fresh, piece, sample, domain, ONE - eps - deficit + 1)


@njit(cache=True, nogil=True)
def earliest(turns, sample):
    """Of the released domains the one with the earliest deadline, the lower number on ties."""
    best, soonest = 0, NEVER + 1
    for d in range(turns.shape[0]):
        if turns[d, 0] <= sample and turns[d, 1] < soonest:
            best, soonest = d, turns[d, 1]
    return best


@njit(cache=True, nogil=True)
def apportion(starts, weights, fresh, start, stop, counts, deficits, drawn, ordinal, marks, stride):
    """Whose turn samples start to stop are; ``counts`` and ``deficits`` (2^-32 samples) go in and come out.

    drawn[i], ordinal[i] = domain of sample start + i and how many it had before (left out when ``drawn`` is empty);
    marks[s // stride] = (counts, deficits) before sample s (left out when ``marks`` is empty).
    """
    turns = np.empty((counts.shape[0], 2), np.int64)
    piece = np.searchsorted(starts, start, side="right") - 1
    for sample in range(start, stop):
        if sample == starts[piece + 1]:
            piece += 1
        if marks.shape[0] and sample % stride == 0:
            marks[sample // stride, 0], marks[sample // stride, 1] = counts, deficits
        begins = fresh[piece] and sample == starts[piece]
        if begins:
            deficits[:] = 0
        if begins or sample == start:
            for d in range(counts.shape[0]):
                next_turn(starts, weights, fresh, piece, sample, d, deficits[d], turns)
        best = earliest(turns, sample)
        if drawn.shape[0]:
            drawn[sample - start], ordinal[sample - start] = best, counts[best]
        deficits += weights[piece]
        deficits[best] -= ONE
        counts[best] += 1
        next_turn(starts, weights, fresh, piece, sample + 1, best, deficits[best], turns)


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
def gather(data, at, place, out):
    """out[place[i]] = data[at[i]:][:row_tokens]: rows out of a mapped shard, widened on the way."""
    for i in range(at.shape[0]):
        source, target = data[at[i] : at[i] + out.shape[1]], out[place[i]]
        for j in range(target.shape[0]):  # plain indices: `data[at + j]` would test each for below zero, 5 times slower
            target[j] = source[j]


@njit(cache=True, nogil=True)
def gather_slices(data, start_at, length_at, counts, place, start, length):
    """Slices of row i, ``counts[i]`` of them from data[start_at[i]] and data[length_at[i]], to place[i] and on."""
    for i in range(counts.shape[0]):
        for k in range(counts[i]):
            start[place[i] + k] = data[start_at[i] + k]
            length[place[i] + k] = data[length_at[i] + k]
