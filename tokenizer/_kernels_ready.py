"""Which texts the encoding kernel must not read as they are: some token's name stands in them, or they may be no NFC."""

from numba import njit

from gristmill.corpus.text._kernels import decode


@njit(cache=True, nogil=True)
def mark_holding(offsets, data, begins, names, name_offsets, out):
    """out[d] = True where name n = names[name_offsets[n]:name_offsets[n + 1]] stands in document d; else as it was.

    ``begins`` bool[256]: some name begins with this byte.
    """
    for doc in range(offsets.size - 1):
        at, stop = offsets[doc], offsets[doc + 1]
        while at < stop and not out[doc]:
            if begins[data[at]]:
                for name in range(name_offsets.size - 1):
                    first, last = name_offsets[name], name_offsets[name + 1]
                    i = 0 if at + last - first <= stop else last + 1
                    while first + i < last and data[at + i] == names[first + i]:
                        i += 1
                    if first + i == last:
                        out[doc] = True
            at += 1


@njit(cache=True, nogil=True)
def mark_characters(offsets, data, wanted, out):
    """out[d] = a character of document d beyond ASCII is one of ``wanted``, bool[0x110000]."""
    for doc in range(offsets.size - 1):
        at, stop = offsets[doc], offsets[doc + 1]
        out[doc] = False
        while at < stop:
            if data[at] < 0x80:
                at += 1
                continue
            point, n_bytes = decode(data, at)
            at += n_bytes
            if wanted[point]:
                out[doc] = True
                break
