"""Full width forms of ASCII (U+FF01 to U+FF5E) as ASCII, with the place of every byte in the text as it was."""

import numpy as np

from gristmill.corpus.text._kernels import ONE, below, ctz, equal_mask
from gristmill.corpus.text._kernels_jit import kernel


@kernel
def fold_width(offsets, data, rows, out_offsets, out, places):
    """Copy documents ``rows`` with full width forms narrow; places[k] = where byte k of ``out`` stands in ``data``."""
    n = np.int64(0)
    for k in range(rows.size):
        out_offsets[k] = n
        at, stop = offsets[rows[k]], offsets[rows[k] + 1]
        while at < stop:
            places[n] = at
            byte, step = data[at], 1
            if byte == 0xEF and 0xBC <= data[at + 1] <= 0xBD:
                point = (np.int64(data[at + 1]) & 63) << 6 | np.int64(data[at + 2]) & 63 | 0xF000
                if 0xFF01 <= point <= 0xFF5E:
                    byte, step = np.uint8(point - 0xFEE0), 3
            out[n] = byte
            n += 1
            at += step
    out_offsets[rows.size] = n


@kernel
def _has_wide_digit(data, start, stop):
    """Whether a full width digit stands in one document, 64 bytes a step."""
    for at in range(start, stop, 64):
        marks = equal_mask(data, at, 0xEF) & below(min(stop - at, 64))
        while marks:
            place = at + ctz(marks)
            if data[place + 1] == 0xBC and 0x90 <= data[place + 2] <= 0x99:
                return True
            marks &= marks - ONE
    return False


@kernel
def rows_with_wide_digits(offsets, data, rows):
    """Numbers of the documents with a full width digit (U+FF10 to U+FF19); returns how many."""
    n = 0
    for document in range(offsets.size - 1):
        if _has_wide_digit(data, offsets[document], offsets[document + 1]):
            rows[n] = document
            n += 1
    return n
