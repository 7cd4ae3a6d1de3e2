"""Buckets of a domain and windows of its rows: against naive twins, with their laws, and as parts of a plan."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.handoff import _kernels_windows
from gristmill.handoff.buckets import STRIDE, BucketOrder, Buckets
from gristmill.handoff.plan import BUCKET_MARKS, Domain, Plan
from gristmill.handoff.schedule import ONE, Segment
from tests.handoff.test_kernels import GOLDEN, MASK, naive_mix, naive_permutation


def naive_epoch(draws):
    """Buckets of one epoch: in each stretch the earliest deadline among the rows that are released, lowest first."""
    found = []
    for stretch in draws:
        length, had = sum(stretch), [0] * len(stretch)
        for position in range(length):
            ideal = [Fraction((position + 1) * n, length) for n in stretch]
            open_ = [b for b, n in enumerate(stretch) if had[b] < n and ideal[b] > had[b]]
            ends = {b: -(-(had[b] + 1) * length // stretch[b]) for b in open_}
            chosen = min(open_, key=lambda b: (ends[b], b))
            had[chosen] += 1
            found.append(chosen)
    return found


@st.composite
def stretches(draw, most=40):
    n_buckets = draw(st.integers(1, 5))
    row = st.lists(st.integers(0, most), min_size=n_buckets, max_size=n_buckets).filter(any)
    return tuple(map(tuple, draw(st.lists(row, min_size=1, max_size=4))))


@given(stretches(), st.integers(0, 500), st.integers(0, 500))
def test_buckets_come_as_the_naive_order_says(draws, start, length):
    order = BucketOrder(Buckets(tuple(map(sum, zip(*draws, strict=True))), draws))
    epoch = naive_epoch(draws)
    whole = np.array(epoch * (2 + (start + length) // len(epoch)))
    found = order.draw(start, start + length)
    assert found.bucket.tolist() == whole[start : start + length].tolist()
    for bucket in set(epoch):
        places = np.flatnonzero(whole == bucket)
        mine = found.bucket == bucket
        assert (places[found.ordinal[mine]] == start + np.flatnonzero(mine)).all()
        assert order.places(bucket, found.ordinal[mine]).tolist() == (start + np.flatnonzero(mine)).tolist()
    assert order.counts(start).tolist() == np.bincount(whole[:start], minlength=len(draws[0])).tolist()


@given(stretches(most=9000), st.integers(0, 2**32))
def test_every_prefix_of_a_stretch_is_within_one_row_of_the_ideal(draws, seed):
    order = BucketOrder(Buckets(tuple(map(sum, zip(*draws, strict=True))), draws))
    drawn, begin = order.draw(0, order.epoch).bucket, 0
    for stretch in draws:
        length = sum(stretch)
        for bucket, n in enumerate(stretch):
            given_ = np.cumsum(drawn[begin : begin + length] == bucket) * length
            assert (np.abs(given_ - np.arange(1, length + 1) * n) < length).all()
            assert given_[-1] == n * length
        begin += length
    cursor = int(np.random.default_rng(seed).integers(order.epoch))
    assert (order.draw(cursor, order.epoch).bucket == drawn[cursor:]).all()  # a start at any cursor


def naive_window_row(position, size, window, key):
    """All rows of the windows in their order, listed."""
    n, rows = -(-size // window), []
    for turn in range(n):
        chosen = naive_permutation(turn, n, key)
        own = min(window, size - chosen * window)
        inner = naive_mix((key + GOLDEN * (chosen + 1)) & MASK)
        rows += [chosen * window + naive_permutation(inside, own, inner) for inside in range(own)]
    return rows[position]


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**64 - 1))
def test_windows_come_as_the_naive_order_says(size, window, key):
    ordinal, sizes, keys = np.arange(2 * size), np.array([size]), np.array([key], np.uint64)
    epoch, row = np.empty(2 * size, np.int32), np.empty(2 * size, np.int64)
    _kernels_windows.rows_of(np.zeros(2 * size, np.int16), ordinal, sizes, keys, window, epoch, row)
    for turn in (0, 1):
        inner = naive_mix((key + GOLDEN * (turn + 1)) & MASK)
        expected = [naive_window_row(position, size, window, inner) for position in range(size)]
        assert row[epoch == turn].tolist() == expected
        assert sorted(expected) == list(range(size))
    back = np.empty((2, size), np.int64)
    _kernels_windows.ordinals_of(np.arange(size), size, keys[0], window, back)
    assert (back[epoch, row] == ordinal).all()


BUCKETS = Buckets((30, 20, 50), ((20, 0, 0), (10, 10, 0), (0, 10, 50)))


def ordered(window_rows=0, buckets=BUCKETS):
    domains = (Domain("a", 100, "11", buckets), Domain("b", 40, "22"))
    half = (ONE // 2, ONE // 2)
    segments = (Segment(900, half, half),)
    return Plan.build(domains, row_tokens=8, seed=3, segments=segments, window_rows=window_rows)


@pytest.mark.parametrize("window_rows", [0, 7])
def test_an_epoch_of_an_ordered_domain_gives_every_row_once_and_buckets_in_time(window_rows):
    plan = ordered(window_rows)
    found = plan.locate(0, plan.samples)
    rows, epochs = found.row[found.domain == 0], found.epoch[found.domain == 0]
    for epoch in range(4):
        given_ = rows[epoch * 100 : epoch * 100 + 100]
        assert sorted(given_.tolist()) == list(range(100))
        assert (epochs[epoch * 100 : epoch * 100 + 100] == epoch).all()
        assert given_[:20].max() < 30 <= given_[20:40].max() < 50 <= given_[40:].max()
    assert plan.bucket_counts(0, 900).tolist() == [4 * 30 + 30, 4 * 20 + 11, 4 * 50 + 9]
    assert plan.bucket_counts(1, 900).tolist() == [450]


def test_a_window_is_read_before_the_next_one():
    plan = ordered(5, None)
    rows = plan.locate(0, plan.samples).row[plan.locate(0, plan.samples).domain == 0]
    assert (rows[:100].reshape(20, 5) // 5 == rows[:100:5, None] // 5).all()
    assert len(set((rows[:100:5] // 5).tolist())) == 20


def test_weights_draw_rows_in_proportion_over_epochs():
    plan = ordered(buckets=Buckets((50, 50), ((20, 80),)))
    found = plan.locate(0, 800)
    counts = np.bincount(found.row[found.domain == 0], minlength=100)  # 4 epochs of the domain
    assert (counts[:50].sum(), counts[50:].sum()) == (80, 320)
    assert set(counts[:50].tolist()) <= {1, 2}
    assert set(counts[50:].tolist()) <= {6, 7}


@pytest.mark.parametrize("other", [ordered(7), ordered(buckets=None), ordered(buckets=Buckets((30, 70), ((30, 70),)))])
def test_an_order_is_saved_and_is_in_the_digest(other, tmp_path):
    plan = ordered()
    plan.save(tmp_path)
    loaded = Plan.load(tmp_path)
    assert loaded == plan
    assert loaded.digest == plan.digest != other.digest
    assert all((a == b).all() for a, b in zip(loaded.locate(5, 700), plan.locate(5, 700), strict=True))
    assert other.digest != ordered(3).digest


def test_damaged_marks_are_refused(tmp_path):
    ordered().save(tmp_path)
    values = np.load(tmp_path / BUCKET_MARKS)
    for damaged in (values + 1, values[:-1], values.view(np.uint64)):
        np.save(tmp_path / BUCKET_MARKS, damaged)
        with pytest.raises(PlanError, match="run the recipe again"):
            Plan.load(tmp_path)
    (tmp_path / BUCKET_MARKS).unlink()
    with pytest.raises(PlanError, match="run the recipe again"):
        Plan.load(tmp_path)


@pytest.mark.parametrize(
    "buckets",
    [
        Buckets((30, 71), ((30, 70),)),
        Buckets((30, 70), ((30, 70), (0, 0))),
        Buckets((30, 70), ((101, -1),)),
        Buckets((30, 70), ((30, 30, 40),)),
        Buckets((0, 100), ((10, 90),)),
        Buckets((30, 70), ()),
    ],
)
def test_buckets_that_are_not_the_rows_are_refused(buckets):
    with pytest.raises(PlanError, match=r"mixing\.order\.a: the buckets do not fit the domain's 100 rows"):
        ordered(buckets=buckets)


def test_marks_stay_small():
    order = BucketOrder(Buckets((30_000, 30_000), ((30_000, 30_000),)))
    assert order.marks.shape == (-(-60_000 // STRIDE), 2)


@pytest.mark.parametrize("window_rows", [0, 13])
def test_a_plan_in_order_starts_anywhere(window_rows):
    """From a cursor in every epoch of the domain, and over marks: 20,000 rows of an epoch lie between three."""
    buckets = Buckets((8000, 2000, 10_000), ((4000, 0, 0), (4000, 2000, 2000), (0, 0, 8000)))
    segments = (Segment(60_000, (ONE,), (ONE,)),)
    plan = Plan.build(
        (Domain("a", 20_000, "", buckets),), row_tokens=8, seed=9, segments=segments, window_rows=window_rows
    )
    whole = plan.locate(0, plan.samples)
    assert plan.bucket_marks.shape == (-(-20_000 // STRIDE) * 3,)
    for cursor in (0, 1, 8191, 8192, 19_999, 20_000, 28_193, 59_990):
        found = plan.locate(cursor, cursor + 10)
        assert all((a == b[cursor : cursor + 10]).all() for a, b in zip(found, whole, strict=True))
        drawn = whole.row[:cursor]
        counts = [(drawn < 8000).sum(), ((drawn >= 8000) & (drawn < 10_000)).sum(), (drawn >= 10_000).sum()]
        assert plan.bucket_counts(0, cursor).tolist() == counts
