"""Characters of a document: class counts, byte and character entropy. One pass over bytes, one over what is not ASCII."""

import numpy as np

from gristmill.corpus.text._kernels import (
    ALPHA,
    CJK,
    MARK,
    NUMBER,
    ONE,
    PUNCT,
    SPACE,
    SYMBOL,
    U64,
    UPPER,
    below,
    char_class,
    ctz,
    decode,
    high_mask,
    load64,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.corpus.text._unicode import BLOCK_BITS
from gristmill.corpus.text._unicode_table import BLOCKS, FLAGS
from gristmill.filters.signals._kernels_entropy import SMALL, SUMS, entropy, step_of, sum_of

ELLIPSIS = 0x2026
N_POINTS = 0x110000  # the table of counts: touched where text is, so mostly never mapped
CLASSES = (ALPHA, UPPER, NUMBER, PUNCT, SYMBOL, SPACE, CJK, MARK)
_BYTE = U64(255)
_FIRST_BLOCK = FLAGS[int(BLOCKS[0]) << BLOCK_BITS :][:128]
_ASCII = np.array([(_FIRST_BLOCK & flag) != 0 for flag in CLASSES], np.int32)  # [class, byte]


@kernel
def count_bytes(data, start, stop, counts):
    """counts[0] = how often each byte occurs. counts int32[4, 256]: four lanes, so that equal neighbours do not wait."""
    counts[:] = 0
    whole = start + (stop - start) // 8 * 8
    for at in range(start, whole, 8):
        word = load64(data, at)
        for byte in range(8):
            counts[byte & 3, (word >> U64(8 * byte)) & _BYTE] += 1
    for at in range(whole, stop):
        counts[0, data[at]] += 1
    for byte in range(256):
        counts[0, byte] += counts[1, byte] + counts[2, byte] + counts[3, byte]


@kernel
def count_points(data, start, stop, of_point, classes, points):
    """Count characters beyond ASCII in of_point and their classes; lists them in ``points``.

    Returns (how many, sum of c log2 c over them).
    """
    n, total = 0, 0
    for at in range(start, stop, 64):
        high = high_mask(data, at) & below(min(stop - at, 64))
        while high:
            bit = ctz(high)
            if data[at + bit] < 0xC0:
                high &= high - ONE
                continue
            point, n_bytes = decode(data, at + bit)
            high &= ~(below(n_bytes) << U64(bit))
            classes[char_class(point)] += 1
            total += step_of(of_point[point])
            of_point[point] += 1
            points[n] = point
            n += 1
    return n, total


@leaf
def _sums_of(counts, first, last):
    """Sum of c log2 c over the byte counts from ``first`` to before ``last``, none above SMALL: in vectors."""
    total = 0
    for byte in range(first, last):
        total += SUMS[counts[0, byte]]
    return total


@kernel
def _byte_sums(counts, n_bytes):
    """(sum of c log2 c over ASCII, over the other bytes) of a document of n_bytes."""
    if n_bytes <= SMALL:
        return _sums_of(counts, 0, 128), _sums_of(counts, 128, 256)
    ascii_total, high_total = 0, 0
    for byte in range(128):
        ascii_total += sum_of(counts[0, byte])
        high_total += sum_of(counts[0, byte + 128])
    return ascii_total, high_total


@kernel
def _count_classes(counts, classes, n_high, found):
    """found[k] = characters of class CLASSES[k]: of ASCII from the byte counts, of the n_high others from ``classes``."""
    for k in range(len(CLASSES)):
        chars = 0
        for byte in range(128):
            chars += counts[0, byte] * _ASCII[k, byte]
        found[k] = chars
    if n_high:
        for flags in range(256):
            if classes[flags]:
                for k in range(len(CLASSES)):
                    found[k] += classes[flags] if flags & CLASSES[k] else 0


@kernel
def measure_chars(data, start, stop, counts, of_point, classes, points, found):
    """Returns (characters, ellipsis characters, byte entropy, character entropy); class counts into ``found``."""
    count_bytes(data, start, stop, counts)
    classes[:] = 0
    n_high, high_points = count_points(data, start, stop, of_point, classes, points)
    ellipses = of_point[ELLIPSIS]
    for k in range(n_high):
        of_point[points[k]] = 0
    n_ascii = 0
    for byte in range(128):
        n_ascii += counts[0, byte]
    chars = n_ascii + n_high
    of_ascii, of_high = _byte_sums(counts, stop - start)
    _count_classes(counts, classes, n_high, found)
    return chars, ellipses, entropy(of_ascii + of_high, stop - start), entropy(of_ascii + high_points, chars)
