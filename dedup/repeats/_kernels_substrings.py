"""Kernels of the search for repeated runs of tokens: fingerprints by winnowing, windows, proof token by token."""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import U64, hash_shingles, hash_tokens, tokenise, word_capacity

_S32 = U64(32)


@njit(cache=True, nogil=True)
def winnow(grams, n_grams, reach, row, out, n):
    """Append (row << 32 | t, grams[t]) for the last smallest of every ``reach`` grams in a row, each t once.

    Which one is chosen depends on those grams alone: two equal windows choose the same place in both.
    """
    least, chosen = 0, -1
    for t in range(n_grams):
        if least <= t - reach:
            least += 1
            for other in range(least, t + 1):
                if grams[other] <= grams[least]:
                    least = other
        elif grams[t] <= grams[least]:
            least = t
        if t >= reach - 1 and least != chosen:
            out[n, 0], out[n, 1] = U64(row) << _S32 | U64(least), grams[least]
            chosen = least
            n += 1
    return n


@njit(cache=True, nogil=True)
def fingerprints(offsets, data, rows, width, reach, out):
    """Fingerprints (row << 32 | token, hash of the ``width`` tokens from there) of all documents -> (number, tokens).

    Every run of width + reach - 1 tokens holds one; documents of fewer tokens have none.
    """
    room = word_capacity(offsets)
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    hashes, grams = np.empty(room, np.uint64), np.empty(room, np.uint64)
    n, all_tokens = 0, 0
    for doc in range(rows.size):
        tokens = tokenise(data, offsets[doc], offsets[doc + 1], starts, ends)
        all_tokens += tokens
        if tokens >= width + reach - 1:
            hash_tokens(data, starts, ends, tokens, False, hashes)
            n_grams = hash_shingles(hashes, tokens, width, grams)
            n = winnow(grams, n_grams, reach, rows[doc], out, n)
    return n, all_tokens


@njit(cache=True, nogil=True, inline="always")
def _windows_of(grams, n_grams, starts, ends, length, marks, reach, place, begin, base, records, n):
    """Append a record for every window of ``length`` tokens that may hold a repeated fingerprint (``marks``)."""
    p = 0
    for mark in marks:
        token = np.int64(mark & U64(0xFFFFFFFF))
        p = max(p, token - reach + 1)
        while p <= token and p < n_grams:
            stop = starts[p + length] if p + 1 < n_grams else ends[p + length - 1]
            records[n, 0], records[n, 1] = place + U64(starts[p] - begin), grams[p]
            records[n, 2], records[n, 3] = U64(base + p), U64(stop - starts[p])
            n += 1
            p += 1
    return n


@njit(cache=True, nogil=True)
def windows(offsets, data, ranks, marks, mark_offsets, length, reach, base, records, tokens):
    """Records (rank << 32 | byte, hash, address, bytes) of the windows near marks -> (number, tokens).

    marks[mark_offsets[d]:mark_offsets[d + 1]] are document d's, ascending. The hashes of all tokens go to ``tokens``,
    whose first has the address ``base``; a window's address is that of its first token. Its bytes end where the next
    token begins, or behind the last.
    """
    room = word_capacity(offsets)
    starts, ends, grams = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint64)
    n, at = 0, 0
    for doc in range(ranks.size):
        begin = offsets[doc]
        n_tokens = tokenise(data, begin, offsets[doc + 1], starts, ends)
        hash_tokens(data, starts, ends, n_tokens, False, tokens[at:])
        n_grams = hash_shingles(tokens[at:], n_tokens, length, grams)
        mine, place = marks[mark_offsets[doc] : mark_offsets[doc + 1]], U64(ranks[doc]) << _S32
        n = _windows_of(grams, n_grams, starts, ends, length, mine, reach, place, begin, base + at, records, n)
        at += n_tokens
    return n, at


@njit(cache=True, nogil=True, inline="always")
def _equal_runs(tokens, a, b, length):
    """Whether the tokens at two addresses are the same."""
    t = 0
    while t < length and tokens[a + t] == tokens[b + t]:
        t += 1
    return t == length


@njit(cache=True, nogil=True)
def prove(tokens, addresses, others, length, proved):
    """proved[i] = the ``length`` tokens at addresses[i] are those at others[i].

    Where both moved on by one token since a proved window, only the last token is compared.
    """
    for i in range(addresses.size):
        a, b = np.int64(addresses[i]), np.int64(others[i])
        if i > 0 and proved[i - 1] and a == np.int64(addresses[i - 1]) + 1 and b == np.int64(others[i - 1]) + 1:
            proved[i] = tokens[a + length - 1] == tokens[b + length - 1]
        else:
            proved[i] = _equal_runs(tokens, a, b, length)
