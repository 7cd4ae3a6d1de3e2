"""Best-fit-decreasing packing, and the copying of pieces into rows."""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import ctz

U64 = np.uint64
ONE, ALL = U64(1), U64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True)
def order_by_key(keys, n_keys, order):
    """Counting sort: stable ascending order of keys int64[n], 0 <= key < n_keys -> order."""
    begins = np.zeros(n_keys + 1, np.int64)
    for key in keys:
        begins[key + 1] += 1
    for key in range(n_keys):
        begins[key + 1] += begins[key]
    for i in range(keys.size):
        order[begins[keys[i]]] = i
        begins[keys[i]] += 1


@njit(cache=True, nogil=True, inline="always")
def _from_bit(at):
    """Mask of bit ``at`` of its word and all above."""
    return ALL << U64(at & 63)


@njit(cache=True, nogil=True)
def _first_set(words, summary, at):
    """The first set bit >= ``at`` in ``words``, -1 when there is none; bit w of ``summary`` = words[w] is not 0."""
    word = at >> 6
    bits = words[word] & _from_bit(at)
    if bits:
        return word << 6 | ctz(bits)
    word += 1
    block = word >> 6
    if block >= summary.size:
        return -1
    bits = summary[block] & _from_bit(word)
    while not bits:
        block += 1
        if block >= summary.size:
            return -1
        bits = summary[block]
    word = block << 6 | ctz(bits)
    return word << 6 | ctz(words[word])


@njit(cache=True, nogil=True)
def _push(space, row, words, summary, heads, nexts):
    """Enter ``row`` as one with ``space`` free tokens."""
    nexts[row], heads[space] = heads[space], row
    words[space >> 6] |= ONE << U64(space & 63)
    summary[space >> 12] |= ONE << U64((space >> 6) & 63)


@njit(cache=True, nogil=True)
def _pop(space, words, summary, heads, nexts):
    """Take the latest row with ``space`` free tokens; there is one."""
    row = heads[space]
    heads[space] = nexts[row]
    if nexts[row] < 0:
        words[space >> 6] &= ~(ONE << U64(space & 63))
        if not words[space >> 6]:
            summary[space >> 12] &= ~(ONE << U64((space >> 6) & 63))
    return row


@njit(cache=True, nogil=True)
def best_fit(lengths, order, row_tokens, rows, starts):
    """Put each piece, in ``order``, into the fullest row that holds it -> rows, starts. Returns the number of rows.

    ``heads[space]`` begins a linked list of the rows with that much free space; a bit says that it is not empty.
    """
    heads = np.full(row_tokens + 1, -1, np.int64)
    nexts = np.empty(lengths.size, np.int64)
    words = np.zeros((row_tokens >> 6) + 1, np.uint64)
    summary = np.zeros((row_tokens >> 12) + 1, np.uint64)
    n_rows = 0
    for piece in order:
        space = _first_set(words, summary, lengths[piece])
        if space < 0:
            space, row = row_tokens, n_rows
            n_rows += 1
        else:
            row = _pop(space, words, summary, heads, nexts)
        rows[piece] = row
        starts[piece] = row_tokens - space
        if space > lengths[piece]:
            _push(space - lengths[piece], row, words, summary, heads, nexts)
    return n_rows


@njit(cache=True, nogil=True)
def copy_pieces(tokens, sources, lengths, rows, starts, out):
    """out[rows[p], starts[p]:][:lengths[p]] = tokens[sources[p]:][:lengths[p]] for every piece p."""
    for piece in range(sources.size):
        row, start, source = rows[piece], starts[piece], sources[piece]
        for i in range(lengths[piece]):
            out[row, start + i] = tokens[source + i]
