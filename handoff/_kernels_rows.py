"""Kernels of rows in mapped memory: copying them by address, and laying out what a training step asks of a row.

An address is trusted: ``mapped`` makes them of shards whose lengths were compared with their index.
"""

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic


@intrinsic
def pointer(_, address):
    """An address in memory, uint64, as a pointer."""
    if not isinstance(address, types.Integer):
        return None

    def generate(context, builder, signature, arguments):  # noqa: ARG001
        return builder.inttoptr(arguments[0], ir.PointerType(ir.IntType(8)))

    return types.voidptr(types.uint64), generate


@njit(cache=True, nogil=True)
def copy_rows(address, width, first, out):
    """out[i] = the row at address[first + i], of ids of width[first + i] bytes (2 or 4), widened on the way."""
    for i in range(out.shape[0]):
        row = out[i]
        if width[first + i] == 2:
            narrow = carray(pointer(address[first + i]), row.shape[0], np.uint16)
            for j in range(row.shape[0]):
                row[j] = narrow[j]
        else:
            wide = carray(pointer(address[first + i]), row.shape[0], np.uint32)
            for j in range(row.shape[0]):
                row[j] = wide[j]


@njit(cache=True, nogil=True)
def lay_out(row, start, length, counted, positions, bounds):
    """What slices in order say of their rows; returns how many ``bounds`` are filled.

    counted[r, t] becomes False where token t is the first of its slice or in none; positions[r, t] = places since its
    slice began, or since the gap between slices did; bounds[i] = where slices and gaps begin in all rows laid end to
    end, and where the last one ends.
    """
    n_rows, row_tokens = positions.shape
    filled, s = 0, 0
    for r in range(n_rows):
        at = 0
        while at < row_tokens:
            within = s < row.shape[0] and row[s] == r
            gap = within and start[s] > at
            stop = start[s] if gap else (start[s] + length[s] if within else row_tokens)
            stop = min(stop, row_tokens)
            bounds[filled] = r * row_tokens + at
            filled += 1
            for t in range(at, stop):
                positions[r, t] = t - at
            if within and not gap:
                counted[r, at] = False
                s += 1
            else:
                counted[r, at:stop] = False
            at = stop
    bounds[filled] = n_rows * row_tokens
    return filled + 1


@njit(cache=True, nogil=True)
def mark(row, start, length, mask):
    """mask[row[s], start[s] : start[s] + length[s]] = True for every slice."""
    for s in range(row.shape[0]):
        mask[row[s], start[s] : start[s] + length[s]] = True
