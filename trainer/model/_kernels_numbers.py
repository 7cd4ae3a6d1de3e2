"""What kernels between matrix products compute with: numbers as they are stored, an exponential, and how they compile.

Numbers are float32, float64, or bfloat16 as the uint16 of its bits; sums are in float32, or in float64 where rows are.
Loops over the last dimension become SIMD: reassociation is allowed, NaN and infinity are not assumed away.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

_FAST = {"reassoc", "contract", "nsz", "arcp"}
kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, _nrt=False)
leaf = njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, _nrt=False, inline="always")


def number(stored):
    """The number that is stored."""
    raise NotImplementedError(stored)


def put(row, at, value):
    """Store ``value`` in ``row[at]``, rounded to even."""
    raise NotImplementedError(row, at, value)


def exponential(x):
    """Of a float32 by ``small_exponential``, which becomes SIMD; the C library's does not."""
    raise NotImplementedError(x)


@overload(number, inline="always")
def number_of(stored):
    """A bfloat16 is the upper half of a float32."""
    if isinstance(stored, types.Integer):
        return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)
    return lambda stored: stored


@overload(put, inline="always")
def put_into(row, at, value):  # noqa: ARG001  numba goes by the names
    """Half of the last bit is added, less where the bit before it is even; the CPU's own NaN stays one."""
    if isinstance(row.dtype, types.Integer):

        def rounded(row, at, value):
            bits = np.float32(value).view(np.uint32)
            odd = (bits >> np.uint32(16)) & np.uint32(1)
            row[at] = np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

        return rounded

    def stored(row, at, value):
        row[at] = value

    return stored


@overload(exponential, inline="always")
def exponential_of(x):
    """In float64, which tests compute in, the C library's."""
    if x == types.float32:
        return lambda x: small_exponential(x)
    return lambda x: math.exp(x)


@leaf
def small_exponential(x):
    """Exp of a float32 within -87 to 87, to 2e-7 of it; NaN stays NaN, the rest is as at the ends.

    2^k times a polynomial, as Cephes' expf has it (Moshier, 1992).
    """
    x = np.float32(-87) if x < np.float32(-87) else x
    x = np.float32(87) if x > np.float32(87) else x
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
