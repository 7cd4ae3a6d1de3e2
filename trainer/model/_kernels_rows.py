"""Kernels that bring tokens to the rows of their experts and back, and change the number format on the way."""

from gristmill.trainer.model._kernels_numbers import kernel, number, put


@kernel
def to_rows(x, token, out):
    """``out [R, D]``: the rows ``token [R]`` of ``x [N, D]``, in the format of ``out``."""
    for r in range(token.shape[0]):
        row, to = x[token[r]], out[r]
        for j in range(x.shape[1]):
            put(to, j, number(row[j]))


@kernel
def from_rows(rows, place, out):
    """``out [N, D]``: sums of ``rows [R, D]`` over ``place [N, K]``, in order; a negative place is of no row."""
    for n in range(place.shape[0]):
        to, empty = out[n], True
        for k in range(place.shape[1]):
            if place[n, k] >= 0:
                row = rows[place[n, k]]
                if empty:
                    for j in range(rows.shape[1]):
                        put(to, j, number(row[j]))
                else:
                    for j in range(rows.shape[1]):
                        put(to, j, number(to[j]) + number(row[j]))
                empty = False
        if empty:
            to[:] = 0
