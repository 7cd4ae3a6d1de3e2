"""Counts of pairs of tokens in an open-addressing table, and what a pair costs a model of them."""

import numpy as np

from gristmill.corpus.text._kernels_jit import kernel

EMPTY = -1


@kernel
def place(keys, key):
    """The slot of key in keys, int64[2^n] with free slots: its own, or the first free one; linear probing."""
    mask = len(keys) - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash
    slot = np.int64(mixed >> np.uint64(32)) & mask
    while keys[slot] != key and keys[slot] != EMPTY:
        slot = (slot + 1) & mask
    return slot


@kernel
def count_pairs(before, token, times, vocab, keys, counts, given, kinds):
    """counts[slot of (u, v)] += times; given[u] += times; kinds[u] = how many v follow u."""
    for i in range(len(token)):
        key = np.int64(before[i]) * vocab + token[i]
        slot = place(keys, key)
        if keys[slot] == EMPTY:
            keys[slot] = key
            kinds[before[i]] += 1
        counts[slot] += times[i]
        given[before[i]] += times[i]


@kernel
def pair_nats(before, token, vocab, keys, counts, given, kinds, single, out):
    """out[i] = -ln((c(u, v) + kinds(u) single(v)) / (given(u) + kinds(u))), or -ln single(v) where u is new."""
    for i in range(len(token)):
        u, v = before[i], token[i]
        chance = single[v]
        if given[u] > 0:
            slot = place(keys, np.int64(u) * vocab + v)
            seen = counts[slot] if keys[slot] != EMPTY else 0
            chance = (seen + kinds[u] * chance) / (given[u] + kinds[u])
        out[i] = -np.log(chance)
