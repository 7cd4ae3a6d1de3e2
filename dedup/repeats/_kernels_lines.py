"""Kernels that cut documents into lines or paragraphs and hash them."""

from numba import njit

from gristmill.corpus.text._kernels import (
    K0,
    K1,
    K2,
    U64,
    below,
    count_chars,
    ctz,
    equal_mask,
    high_mask,
    load64,
    load_upto8,
    mum,
)

_NEWLINE = 10


@njit(cache=True, nogil=True, inline="always")
def _line_end(data, at, stop):
    """The byte behind the next newline, ``stop`` when there is none."""
    while at < stop:
        newlines = equal_mask(data, at, _NEWLINE)
        if newlines:
            return min(at + ctz(newlines) + 1, stop)
        at += 64
    return stop


@njit(cache=True, nogil=True, inline="always")
def _is_space(byte):
    """ASCII white space."""
    return byte == 32 or (9 <= byte <= 13)


@njit(cache=True, nogil=True, inline="always")
def _trim(data, start, stop):
    """data[start:stop] without the ASCII white space at its ends."""
    while start < stop and _is_space(data[stop - 1]):
        stop -= 1
    while start < stop and _is_space(data[start]):
        start += 1
    return start, stop


@njit(cache=True, nogil=True)
def _lines_alike(data, at, stop, blank):
    """(trimmed stop of the last, end of the last) of the lines from ``at`` on that are all blank, or all not."""
    last = at
    while at < stop:
        end = _line_end(data, at, stop)
        left, right = _trim(data, at, end)
        if (left == right) != blank:
            break
        last, at = right, end
    return last, at


@njit(cache=True, nogil=True)
def _next_paragraph(data, at, stop):
    """(first byte, trimmed first, trimmed stop, stop behind the blank lines) of the paragraph at or after ``at``."""
    _, start = _lines_alike(data, at, stop, True)
    last, end = _lines_alike(data, start, stop, False)
    first, last = _trim(data, start, last)
    _, end = _lines_alike(data, end, stop, True)
    return start, first, last, end


@njit(cache=True, nogil=True, inline="always")
def _hash128(data, start, stop, seed):
    """Two chains of folded 128-bit products; each takes 16 bytes a step (8 a step: twice the time)."""
    n_bytes = U64(stop - start)
    a, b = K0 ^ seed ^ n_bytes * K1, K1 ^ seed * K2 ^ n_bytes
    last = stop - 16
    while start < last:
        x, y = load64(data, start), load64(data, start + 8)
        a, b = mum(x ^ K2, y ^ a), mum(y ^ K0, x ^ b)
        start += 16
    x, y = load_upto8(data, start, stop - start), load_upto8(data, start + 8, max(stop - start - 8, 0))
    a, b = mum(x ^ K2, y ^ a), mum(y ^ K0, x ^ b)
    return mum(a ^ K1, K0) ^ a, mum(b ^ K2, K1) ^ b


@njit(cache=True, nogil=True, inline="always")
def _is_long(data, start, stop, min_chars):
    """Whether data[start:stop] has min_chars characters; counts them only where bytes and ASCII leave it open."""
    n_bytes = stop - start
    if n_bytes < min_chars or n_bytes >= 4 * min_chars:
        return n_bytes >= min_chars
    if min_chars <= 64 and not high_mask(data, start) & below(min_chars):
        return True
    return count_chars(data, start, stop) >= min_chars


@njit(cache=True, nogil=True)
def unit_records(offsets, data, ranks, seeds, by_paragraph, min_chars, records, counts):
    """A record (rank << 32 | first byte, hash, hash, bytes) a unit of at least min_chars trimmed characters.

    Equal units are equal in both hashes when the seeds of their documents are. counts[d] = units of document d.
    Returns their number.
    """
    n = 0
    for doc in range(ranks.size):
        at, stop, before = offsets[doc], offsets[doc + 1], n
        place = (U64(ranks[doc]) << U64(32)) - U64(at)
        while at < stop:
            if by_paragraph:
                start, first, last, at = _next_paragraph(data, at, stop)
            else:
                start, at = at, _line_end(data, at, stop)
                if at - start < min_chars:  # half of all lines: not worth a trim
                    continue
                first, last = _trim(data, start, at)
            if first < last and _is_long(data, first, last, min_chars):
                a, b = _hash128(data, first, last, seeds[doc])
                records[n, 0], records[n, 1], records[n, 2] = place + U64(start), a, b
                records[n, 3] = U64(at - start)
                n += 1
        counts[doc] = n - before
    return n
