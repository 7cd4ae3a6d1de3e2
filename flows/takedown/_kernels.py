"""Kernels of the proof that a text is gone: 32-byte windows by their hashes, and tokens spelled as bytes."""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels_bits import load64, mum

U64 = np.uint64
WINDOW = 32  # bytes
_K0, _K1 = U64(0xA0761D6478BD642F), U64(0xE7037ED1A0B428DB)
_K2, _K3 = U64(0x8EBC6AF09C88C6E3), U64(0x589965CC75374CC3)


@njit(cache=True, nogil=True, inline="always")
def _hash_window(data, at):
    """64-bit hash of the 32 bytes at ``at``."""
    left = mum(load64(data, at) ^ _K0, load64(data, at + 8) ^ _K1)
    return mum(load64(data, at + 16) ^ _K2, load64(data, at + 24) ^ _K3) ^ (left << U64(1) | left >> U64(63))


@njit(cache=True, nogil=True)
def window_hashes(offsets, data, out):
    """out[...] = hash of every window that lies within one text. Returns their number."""
    n = 0
    for doc in range(offsets.size - 1):
        for at in range(offsets[doc], offsets[doc + 1] - WINDOW + 1):
            out[n] = _hash_window(data, at)
            n += 1
    return n


@njit(cache=True, nogil=True)
def fill_filter(hashes, shift, bits):
    """Set the bit of every hash: its high bits, ``hash >> shift``, number the bits of ``bits uint8``."""
    for value in hashes:
        place = value >> shift
        bits[np.int64(place >> U64(3))] |= np.uint8(1) << np.uint8(place & U64(7))


@njit(cache=True, nogil=True)
def find_windows(data, hashes, shift, bits, found):
    """found[i] = True for each of the ascending ``hashes`` that a window of data has. Returns how many windows match."""
    hits = 0
    for at in range(data.size - WINDOW + 1):
        value = _hash_window(data, at)
        place = value >> shift
        if not bits[np.int64(place >> U64(3))] >> np.uint8(place & U64(7)) & np.uint8(1):
            continue
        low, high = 0, hashes.size
        while low < high:
            middle = (low + high) >> 1
            if hashes[middle] < value:
                low = middle + 1
            else:
                high = middle
        if low < hashes.size and hashes[low] == value:
            found[low] = True
            hits += 1
    return hits


@njit(cache=True, nogil=True)
def spelled_size(ids, offsets):
    """Bytes that the tokens ``ids`` spell; token t is table[offsets[t]:offsets[t + 1]]."""
    total = 0
    for token in ids:
        total += offsets[token + 1] - offsets[token]
    return total


@njit(cache=True, nogil=True)
def spell(ids, offsets, table, out):
    """Fill ``out`` with the bytes of the tokens, one after the other."""
    end = 0
    for token in ids:
        for at in range(offsets[token], offsets[token + 1]):
            out[end] = table[at]
            end += 1
