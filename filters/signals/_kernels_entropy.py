"""Plug-in entropy from counts: exact fixed-point sums, so that no order and no processor changes a bit.

H = log2 n - (sum of c log2 c) / n. The sum is an int64 in units of 2^-32 and grows by a difference a key:
one pass, no second walk over the table. log2 itself uses the four basic operations only, which IEEE 754
fixes on every machine (a library's log2 may differ in its last bit). Counts go up to 2^24.
"""

import numpy as np

from gristmill.corpus.text._kernels import U64, clz
from gristmill.corpus.text._kernels_jit import kernel, leaf

UNIT = float(1 << 32)
SMALL = 1 << 13  # counts in the table: 64 KB
_SQRT_HALF = 0.7071067811865476
_TWO_OVER_LN2 = 2.8853900817779268


def _series(mantissa):
    """log2 of a mantissa in [sqrt 1/2, sqrt 2): 2 / ln 2 * atanh((m - 1) / (m + 1)), eleven terms (|z|^23 < 3e-18)."""
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    total = 1.0 / 21.0
    total = total * square + 1.0 / 19.0
    total = total * square + 1.0 / 17.0
    total = total * square + 1.0 / 15.0
    total = total * square + 1.0 / 13.0
    total = total * square + 1.0 / 11.0
    total = total * square + 1.0 / 9.0
    total = total * square + 1.0 / 7.0
    total = total * square + 1.0 / 5.0
    total = total * square + 1.0 / 3.0
    total = total * square + 1.0
    return _TWO_OVER_LN2 * z * total


def log2_all(values):
    """Base-2 logarithms of an array of doubles > 0, the same bits on every machine and in every batch."""
    mantissa, exponent = np.frexp(values)
    low = mantissa < _SQRT_HALF
    return _series(np.where(low, mantissa * 2.0, mantissa)) + (exponent - low)


def _small_steps():
    """steps[c] = (c + 1) log2(c + 1) - c log2 c, in units of 2^-32."""
    counts = np.arange(1, SMALL + 1, dtype=np.float64)
    sums = np.concatenate([[0], np.rint(counts * log2_all(counts) * UNIT).astype(np.int64)])
    return np.diff(sums)


_STEPS = _small_steps()
SUMS = np.concatenate([[0], np.cumsum(_STEPS)])
_POWERS = 0.5 ** np.arange(64)
_scalar_series = kernel(_series)


@kernel
def log2(n):
    """Base-2 logarithm of an integer >= 1, the same bits on every machine."""
    exponent = 63 - clz(U64(n))
    mantissa = n * _POWERS[exponent]
    high = mantissa > 1.4142135623730951
    return _scalar_series(mantissa * 0.5 if high else mantissa) + (exponent + high)


@leaf
def sum_of(count):
    """Count log2 count, in units of 2^-32."""
    return SUMS[count] if count <= SMALL else np.int64(np.rint(count * log2(count) * UNIT))


@leaf
def step_of(count):
    """What the sum gains when a key is seen once more after ``count`` times."""
    return _STEPS[count] if count < SMALL else sum_of(count + 1) - sum_of(count)


@kernel
def entropy(total, n):
    """Bits per symbol of n symbols whose sum of c log2 c is ``total``; 0 for none."""
    return max(0.0, log2(n) - total / UNIT / n) if n > 0 else 0.0
