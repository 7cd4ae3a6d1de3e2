"""Apportionment and permutation against naive twins, and the laws they promise."""

from fractions import Fraction
from itertools import pairwise
from math import ceil, isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.handoff import _kernels
from gristmill.handoff.plan import STRIDE, Domain, Plan
from gristmill.handoff.schedule import ONE, Segment, pieces, quantise

MASK = (1 << 64) - 1


def naive_apportion(shares):
    """Tijdeman's rule on a list of shares a sample (Fractions): windows by looking ahead one sample at a time."""
    n_domains = len(shares[0])
    least = Fraction(ONE // max(2 * n_domains - 2, 1), ONE)
    counts, drawn = [0] * n_domains, []
    total = [Fraction(0)] * n_domains
    for at, row in enumerate(shares):
        total = [t + s for t, s in zip(total, row, strict=True)]
        best = None
        for d in range(n_domains):
            if total[d] - counts[d] < least:
                continue
            ahead, deadline = total[d], at
            while ahead - counts[d] <= 1 - least:
                deadline += 1
                if deadline == len(shares):
                    deadline = 1 << 60
                    break
                ahead += shares[deadline][d]
            if best is None or deadline < best[0]:
                best = (deadline, d)
        drawn.append(best[1])
        counts[best[1]] += 1
    return drawn


def naive_mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def naive_row(ordinal, size, key):
    """Epoch and row of the ordinal-th draw: six alternating rounds on ceil(sqrt n) x ceil(n / that), walking on."""
    epoch, value = divmod(ordinal, size)
    golden = 0x9E3779B97F4A7C15
    key = naive_mix((key + golden * (epoch + 1)) & MASK)
    left_size = isqrt(size - 1) + 1
    right_size = -(-size // left_size)
    while True:
        left, right = divmod(value, right_size)
        state = key
        for step in range(6):
            state = (state + golden) & MASK
            if step % 2 == 0:
                left = (left + ((naive_mix((state + right) & MASK) >> 32) * left_size >> 32)) % left_size
            else:
                right = (right + ((naive_mix((state + left) & MASK) >> 32) * right_size >> 32)) % right_size
        value = left * right_size + right
        if value < size:
            return epoch, value


def draw(segments):
    """Domains drawn and the pieces of a schedule, by the kernel."""
    cut = pieces(segments)
    samples, n_domains = segments[-1].stop, len(segments[0].first)
    drawn, ordinal = np.empty(samples, np.int16), np.empty(samples, np.int64)
    state = np.zeros((2, n_domains), np.int64)
    marks = np.empty((0, 2, n_domains), np.int64)
    _kernels.apportion(*cut, 0, samples, state[0], state[1], drawn, ordinal, marks, STRIDE)
    return drawn, ordinal, cut, state


def worst_deficit(drawn, cut):
    """max |N_d(n) - C_d(n)| in 2^-32, counted from each fresh start: within the stretch, for every prefix."""
    worst, n_domains = 0, cut.weights.shape[1]
    ideal = np.repeat(cut.weights, np.diff(cut.starts), axis=0)
    begins = [0, *cut.starts[:-1][cut.fresh].tolist(), len(drawn)]
    for begin, end in pairwise(begins):
        for d in range(n_domains):
            deficit = np.cumsum(ideal[begin:end, d] - (drawn[begin:end] == d) * ONE)
            worst = max(worst, int(np.abs(deficit).max(initial=0)))
    return worst


def bound(n_domains):
    return ONE - ONE // (2 * n_domains - 2) if n_domains > 1 else 0


@st.composite
def schedules(draw_, max_domains=8, max_length=60, max_phases=8, zeros=True):
    """Integer schedules, ramps and steps, phases from one sample up; shares uneven and often zero."""
    n_domains = draw_(st.integers(1, max_domains))
    weight = st.integers(0 if zeros else 1, 50)
    shares = st.lists(weight, min_size=n_domains, max_size=n_domains).filter(any).map(quantise)
    stop, before, found = 0, None, []
    for _ in range(draw_(st.integers(1, max_phases))):
        last = draw_(shares)
        first = before if before and draw_(st.booleans()) else last
        stop += draw_(st.integers(1, max_length))
        found.append(Segment(stop, first, last))
        before = last
    return found


@given(schedules(max_domains=5, max_length=20, max_phases=4, zeros=False))
def test_apportionment_equals_the_naive_rule(segments):
    drawn, _, cut, _ = draw(segments)
    weights = np.repeat(cut.weights, np.diff(cut.starts), axis=0)
    assert drawn.tolist() == naive_apportion([[Fraction(int(w), ONE) for w in row] for row in weights])


@settings(max_examples=150)
@given(schedules())
def test_every_prefix_is_within_the_bound(segments):
    drawn, _, cut, _ = draw(segments)
    assert worst_deficit(drawn, cut) <= bound(len(segments[0].first))


@settings(max_examples=150)
@given(schedules(max_domains=12, max_length=3, max_phases=30))
def test_the_bound_holds_when_shares_change_at_nearly_every_sample(segments):
    drawn, _, cut, _ = draw(segments)
    assert worst_deficit(drawn, cut) <= bound(len(segments[0].first))


@given(schedules())
def test_a_domain_without_a_share_is_not_drawn(segments):
    drawn, _, _, _ = draw(segments)
    begin = 0
    for segment in segments:
        given_shares = np.array(segment.first) + np.array(segment.last)
        assert (given_shares[drawn[begin : segment.stop]] > 0).all()
        begin = segment.stop


@pytest.mark.parametrize("n_domains", [2, 3, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("kind", ["constant", "ramp", "wild"])
def test_the_bound_is_kept_for_long_schedules(n_domains, kind):
    rng = np.random.default_rng(n_domains)
    shares = [quantise(rng.dirichlet(np.full(n_domains, 0.4))) for _ in range(42)]
    stops = {"constant": [60_000], "ramp": [20_000, 60_000], "wild": np.cumsum(rng.integers(1, 3000, 41)).tolist()}
    segments = [
        Segment(stop, shares[max(i - 1, 0)] if kind != "constant" else shares[i], shares[i])
        for i, stop in enumerate(stops[kind])
    ]
    drawn, ordinal, cut, state = draw(segments)
    assert worst_deficit(drawn, cut) <= bound(n_domains)
    assert state[0].tolist() == np.bincount(drawn, minlength=n_domains).tolist()
    for d in range(n_domains):
        assert (ordinal[drawn == d] == np.arange(state[0, d])).all()


def test_one_domain_gets_everything():
    drawn, _, _, state = draw([Segment(10, (ONE,), (ONE,))])
    assert drawn.tolist() == [0] * 10
    assert state.tolist() == [[10], [0]]


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda shares: sum(shares) > 1e-3))
def test_quantised_shares_sum_to_one_and_keep_zero(shares):
    whole = quantise(shares)
    assert sum(whole) == ONE
    for share, weight in zip(shares, whole, strict=True):
        assert (weight > 0) == (share / sum(shares) * ONE > 0)
        assert abs(weight - share / sum(shares) * ONE) <= len(shares)


@given(schedules(max_length=5000, max_phases=3))
def test_pieces_sum_to_one_and_follow_the_ramp(segments):
    cut = pieces(segments)
    assert (cut.weights.sum(axis=1) == ONE).all()
    assert (cut.weights >= 0).all()
    assert (np.diff(cut.starts) > 0).all()
    assert cut.starts[-1] == segments[-1].stop
    begin = 0
    for segment in segments:
        inside = (cut.starts[:-1] >= begin) & (cut.starts[:-1] < segment.stop)
        change = np.abs(np.array(segment.last) - np.array(segment.first))
        steps = np.abs(np.diff(cut.weights[inside], axis=0))
        assert (steps <= change / inside.sum() + 2).all()
        begin = segment.stop


def test_restart_anywhere_equals_the_sequential_walk():
    rng = np.random.default_rng(3)
    shares = [quantise(rng.dirichlet(np.ones(5))) for _ in range(4)]
    gone = quantise([0.5, 0.5, 0, 0, 0])
    stops = [20_000, 45_000, 45_001, 70_000]
    segments = tuple(
        Segment(s, a, b) for s, a, b in zip(stops, [shares[0], *shares[:2], gone], [*shares[:3], gone], strict=True)
    )
    domains = tuple(Domain(f"d{i}", 1 + 977 * i, "") for i in range(5))
    plan = Plan.build(domains, row_tokens=8, seed=9, segments=segments)
    whole = plan.locate(0, plan.samples)
    points = [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, 45_000, 45_001, 69_999, *rng.integers(0, 70_000, 100).tolist()]
    for start in points:
        stop = min(start + 50, plan.samples)
        for part, all_of_it in zip(plan.locate(start, stop), whole, strict=True):
            assert (part == all_of_it[start:stop]).all()
    assert len(plan.checkpoints) == ceil(70_000 / STRIDE)
