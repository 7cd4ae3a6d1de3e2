"""Rows of a domain: the keyed permutation against its naive twin, and the laws it promises. Turns: ``test_turns``."""

from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.handoff import _kernels

MASK = (1 << 64) - 1


def naive_mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


GOLDEN = 0x9E3779B97F4A7C15


def naive_row(ordinal, size, key):
    """Epoch and row of the ordinal-th draw."""
    epoch, value = divmod(ordinal, size)
    return epoch, naive_permutation(value, size, naive_mix((key + GOLDEN * (epoch + 1)) & MASK))


def naive_permutation(value, size, key):
    """Six alternating rounds on ceil(sqrt n) x ceil(n / that), walking on."""
    left_size = isqrt(size - 1) + 1
    right_size = -(-size // left_size)
    while True:
        left, right = divmod(value, right_size)
        state = key
        for step in range(6):
            state = (state + GOLDEN) & MASK
            if step % 2 == 0:
                left = (left + ((naive_mix((state + right) & MASK) >> 32) * left_size >> 32)) % left_size
            else:
                right = (right + ((naive_mix((state + left) & MASK) >> 32) * right_size >> 32)) % right_size
        value = left * right_size + right
        if value < size:
            return value


SIZES = [*range(1, 40), 63, 64, 65, 255, 256, 257, 1000, 1023, 1024, 1025, 4096, 10_007, 65_537]


@pytest.mark.parametrize("size", SIZES)
def test_each_epoch_is_an_exact_permutation(size):
    ordinal = np.arange(3 * size)
    epoch, row = np.empty(3 * size, np.int32), np.empty(3 * size, np.int64)
    keys = np.array([12345], np.uint64)
    _kernels.rows_of(np.zeros(3 * size, np.int16), ordinal, np.array([size]), keys, epoch, row)
    assert (epoch == ordinal // size).all()
    for number in range(3):
        assert (np.sort(row[epoch == number]) == np.arange(size)).all()
    if size > 200:
        assert (row[:size] != row[size : 2 * size]).mean() > 0.9  # another order each epoch
        assert abs(np.corrcoef(np.arange(size), row[:size])[0, 1]) < 0.2


@given(st.integers(1, 1 << 45), st.integers(0, 1 << 48), st.integers(0, MASK))
def test_rows_equal_the_naive_permutation(size, ordinal, key):
    ordinal %= size * 1000
    epoch, row = np.empty(1, np.int32), np.empty(1, np.int64)
    _kernels.rows_of(
        np.zeros(1, np.int16), np.array([ordinal]), np.array([size]), np.array([key], np.uint64), epoch, row
    )
    assert (int(epoch[0]), int(row[0])) == naive_row(ordinal, size, key)


def test_the_permutation_looks_random():
    """Differences of neighbours: a linear shuffle repeats a few of them hundreds of times."""
    size = 100_003
    epoch, row = np.empty(size, np.int32), np.empty(size, np.int64)
    keys = np.array([7], np.uint64)
    _kernels.rows_of(np.zeros(size, np.int16), np.arange(size), np.array([size]), keys, epoch, row)
    differences = np.diff(row) % size
    counts = np.unique(differences, return_counts=True)[1]
    assert counts.max() <= 11
    assert len(counts) / size == pytest.approx(0.632, abs=0.01)
    cells = np.histogram2d(row[:-1], row[1:], bins=32)[0]
    chi2 = ((cells - cells.mean()) ** 2 / cells.mean()).sum()
    assert abs(chi2 - 1023) / (2 * 1023) ** 0.5 < 5
