"""Characters of a document: class counts, byte and character entropy. One pass over bytes, one over what is not ASCII."""

from corpus._kernels import (
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
from filters._kernels_entropy import entropy, step_of, sum_of
from filters._kernels_jit import kernel

ELLIPSIS = 0x2026
N_POINTS = 0x110000  # the table of counts: touched where text is, so mostly never mapped
CLASSES = (ALPHA, UPPER, NUMBER, PUNCT, SYMBOL, SPACE, CJK, MARK)
_BYTE = U64(255)


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


@kernel
def count_classes(counts, classes, found):
    """found[k] = characters of class CLASSES[k], ASCII from the byte counts, the others already in ``classes``."""
    for byte in range(128):
        classes[char_class(byte)] += counts[0, byte]
    for k in range(len(CLASSES)):
        found[k] = 0
    for flags in range(256):
        if classes[flags]:
            for k in range(len(CLASSES)):
                if flags & CLASSES[k]:
                    found[k] += classes[flags]


@kernel
def measure_chars(data, start, stop, counts, of_point, classes, points, found):
    """Returns (characters, ellipsis characters, byte entropy, character entropy); class counts into ``found``."""
    count_bytes(data, start, stop, counts)
    classes[:] = 0
    n_high, total = count_points(data, start, stop, of_point, classes, points)
    ellipses = of_point[ELLIPSIS]
    for k in range(n_high):
        of_point[points[k]] = 0
    byte_total, n_ascii = 0, 0
    for byte in range(128):
        byte_total += sum_of(counts[0, byte])
        n_ascii += counts[0, byte]
    chars = n_ascii + n_high
    char_entropy = entropy(byte_total + total, chars)
    for byte in range(128, 256):
        byte_total += sum_of(counts[0, byte])
    count_classes(counts, classes, found)
    return chars, ellipses, entropy(byte_total, stop - start), char_entropy
