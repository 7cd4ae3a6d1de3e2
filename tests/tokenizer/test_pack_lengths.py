"""Packing against a naive best-fit-decreasing twin, and its laws."""

from bisect import bisect_left, insort

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.tokenizer import _kernels
from gristmill.tokenizer.packings import best_fit

SHAPES = st.one_of(st.integers(1, 12), st.integers(60, 70), st.integers(4090, 4100), st.integers(8000, 9000))


@st.composite
def corpora(draw):
    row_tokens = draw(SHAPES)
    longest = draw(st.sampled_from([row_tokens, 3 * row_tokens, max(1, row_tokens // 3)]))
    return draw(st.lists(st.integers(0, longest), max_size=60)), row_tokens


def naive_rows(lengths, row_tokens):
    """Number of rows by best fit decreasing over a sorted list of free spaces."""
    pieces = [row_tokens for length in lengths for _ in range(length // row_tokens)]
    pieces += [length % row_tokens for length in lengths if length % row_tokens]
    spaces, rows = [], 0
    for piece in sorted(pieces, reverse=True):
        at = bisect_left(spaces, piece)
        space = spaces.pop(at) if at < len(spaces) else row_tokens
        rows += at == len(spaces) and space == row_tokens
        insort(spaces, space - piece)
    return rows


def naive_row_count(lengths, row_tokens):
    """The same, with rows as a plain list searched from the front."""
    pieces = [min(row_tokens, length - at) for length in lengths for at in range(0, length, row_tokens)]
    free = []
    for piece in sorted(pieces, reverse=True):
        fits = [row for row, space in enumerate(free) if space >= piece]
        if fits:
            free[min(fits, key=lambda row: free[row])] -= piece
        else:
            free.append(row_tokens - piece)
    return len(free)


def covered(packing, lengths, row_tokens):
    """How often each token of each document, and each place of each row, is used."""
    tokens = [np.zeros(length, int) for length in lengths]
    places = np.zeros((packing.rows, row_tokens), int)
    for document, offset, length, row, start in zip(*packing[:5], strict=True):
        tokens[document][offset : offset + length] += 1
        places[row, start : start + length] += 1
    return tokens, places


@given(corpora())
def test_every_token_has_one_place(corpus):
    lengths, row_tokens = corpus
    packing = best_fit(np.array(lengths, np.int64), row_tokens)
    tokens, places = covered(packing, lengths, row_tokens)
    assert all((document == 1).all() for document in tokens)
    assert places.max(initial=0) <= 1
    assert places.sum() == sum(lengths)
    assert packing.rows == 0 or places.any(axis=1).all()  # no row is empty


@given(corpora())
def test_no_document_that_fits_is_cut_and_a_long_one_only_at_row_length(corpus):
    lengths, row_tokens = corpus
    packing = best_fit(np.array(lengths, np.int64), row_tokens)
    pieces = np.bincount(packing.document, minlength=len(lengths))
    assert pieces.tolist() == [-(-length // row_tokens) for length in lengths]
    assert (packing.offset % row_tokens == 0).all()


@given(corpora())
def test_rows_equal_naive_best_fit(corpus):
    lengths, row_tokens = corpus
    packing = best_fit(np.array(lengths, np.int64), row_tokens)
    assert packing.rows == naive_row_count(lengths, row_tokens)


@given(corpora())
def test_pieces_come_by_row_and_start_and_leave_no_gap_between(corpus):
    lengths, row_tokens = corpus
    packing = best_fit(np.array(lengths, np.int64), row_tokens)
    order = np.lexsort((packing.start, packing.row))
    assert (order == np.arange(len(order))).all()
    for row in range(packing.rows):
        inside = packing.row == row
        assert packing.start[inside].tolist() == [0, *np.cumsum(packing.length[inside])[:-1]]


@pytest.mark.parametrize("row_tokens", [512, 1024, 4096, 5000, 8192, 300_000])
def test_rows_stay_near_the_lower_bound(row_tokens):
    lengths = np.random.default_rng(1).lognormal(6.5, 1.4, 60_000).astype(np.int64) + 1  # median 665, mean 1,770
    packing = best_fit(lengths, row_tokens)
    bound = -(-int(lengths.sum()) // row_tokens)
    assert bound <= packing.rows <= bound * 1.0001 + 1


def test_row_count_equals_naive_on_realistic_lengths():
    lengths = np.random.default_rng(2).lognormal(6.5, 1.4, 20_000).astype(np.int64) + 1
    assert best_fit(lengths, 1024).rows == naive_rows(lengths.tolist(), 1024)


def test_no_documents_make_no_rows():
    packing = best_fit(np.array([], np.int64), 8)
    assert packing.rows == len(packing.row) == 0


def test_narrow_integers_are_taken():
    assert best_fit(np.array([3, 300], np.int32), 8).rows == 38


@given(st.lists(st.integers(0, 20), max_size=50))
def test_counting_sort_is_stable(keys):
    order = np.empty(len(keys), np.int64)
    _kernels.order_by_key(np.array(keys, np.int64), 21, order)
    assert order.tolist() == np.argsort(keys, kind="stable").tolist()


@given(st.sets(st.integers(0, 20_000), max_size=12), st.lists(st.integers(0, 20_000), max_size=12))
def test_first_set_finds_the_next_bit(bits, questions):
    words, summary = np.zeros(313, np.uint64), np.zeros(5, np.uint64)
    for bit in bits:
        words[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)
        summary[bit >> 12] |= np.uint64(1) << np.uint64((bit >> 6) & 63)
    for at in [*questions, *bits]:
        expected = min((bit for bit in bits if bit >= at), default=-1)
        assert _kernels._first_set(words, summary, at) == expected
