"""Whose turn a sample is: the kernel against its naive twin, and the law of every prefix."""

import json
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.handoff import _kernels_turns
from gristmill.handoff.plan import PLAN, STRIDE, Domain, Plan
from gristmill.handoff.retirement import Network, send
from gristmill.handoff.schedule import ONE, Segment, pieces, quantise


def plan_of(segments, rows=977):
    domains = tuple(Domain(f"d{i}", 1 + rows * i, "") for i in range(len(segments[0].first)))
    return Plan.build(domains, row_tokens=8, seed=9, segments=tuple(segments))


def ideal(segments):
    """int64 [samples, K]: the share of each domain in each sample."""
    cut = pieces(segments)
    return np.repeat(cut.weights, np.diff(cut.starts), axis=0)


def naive_turns(shares, early, least):
    """Earliest deadline first, with deadlines found by looking ahead one sample at a time.

    shares : list of Fractions a sample; early : set of (sample, domain) that take a row ahead of leaving there; others
    take none until they are back
    """
    n_domains, counts, drawn = len(shares[0]), [0] * len(shares[0]), []
    total = [Fraction(0)] * n_domains
    for at, row in enumerate(shares):
        total = [t + s for t, s in zip(total, row, strict=True)]
        best = None
        for d in range(n_domains):
            if total[d] - counts[d] < least or not row[d]:
                continue
            ahead, deadline, owed, waits = total[d], at, counts[d], False
            while ahead - owed <= 1 - least:
                deadline += 1
                if deadline == len(shares):
                    deadline = 1 << 60
                    break
                if not shares[deadline][d] and shares[deadline - 1][d]:
                    waits = (deadline, d) not in early
                    deadline -= 1
                    break
                ahead += shares[deadline][d]
            if not waits and (best is None or deadline < best[0]):
                best = (deadline, d)
        drawn.append(best[1])
        counts[best[1]] += 1
    return drawn


def worst_error(drawn, shares):
    """max |N_d(n) - C_d(n)| over every prefix and domain from sample 0 on, in 2^-32 rows."""
    given_rows = drawn[:, None] == np.arange(shares.shape[1])
    return int(np.abs(np.cumsum(shares - given_rows * ONE, axis=0)).max())


def keeps_the_law(plan):
    """No row without a share, and less than one row off; within Tijdeman's bound where no share falls to zero."""
    drawn, shares = plan.locate(0, plan.samples).domain, ideal(plan.segments)
    n_domains = shares.shape[1]
    assert (shares[np.arange(len(drawn)), drawn] > 0).all()
    falls = ((shares[1:] == 0) & (shares[:-1] > 0)).any()
    assert bool(plan.retirements) == falls
    tijdeman = ONE - ONE // (2 * n_domains - 2) if n_domains > 1 else 0
    assert worst_error(drawn, shares) <= (ONE - 1 if falls else tijdeman)
    return True


@st.composite
def schedules(draw_, max_domains=8, max_length=60, max_phases=8, zeros=True):
    """Integer schedules, ramps and steps, phases from one sample up; shares uneven, and often zero for a while."""
    n_domains = draw_(st.integers(1, max_domains))
    weight = st.integers(0, 50) if zeros else st.integers(1, 50)
    if zeros and draw_(st.booleans()):
        weight = st.sampled_from([0, 0, 1, 7, 50])
    shares = st.lists(weight, min_size=n_domains, max_size=n_domains).filter(any).map(quantise)
    stop, before, found = 0, None, []
    for _ in range(draw_(st.integers(1, max_phases))):
        last = draw_(shares)
        first = before if before and draw_(st.booleans()) else last
        stop += draw_(st.integers(1, max_length))
        found.append(Segment(stop, first, last))
        before = last
    return found


def wild(n_domains, phases, length, retire, seed=0):
    """A random schedule in which each domain is out of a phase with chance ``retire``; the first has a share always."""
    rng = np.random.default_rng([n_domains, phases, seed])
    shares = []
    for _ in range(phases + 1):
        share = rng.dirichlet(np.full(n_domains, 0.4)) + 1e-6
        share[1:][rng.random(n_domains - 1) < retire] = 0
        shares.append(quantise(share))
    stops = np.cumsum(rng.integers(1, length, phases)).tolist()
    ramps = rng.random(phases) < 0.4
    return [Segment(s, shares[i] if ramps[i] else shares[i + 1], shares[i + 1]) for i, s in enumerate(stops)]


LEAVES_FOR_GOOD = [(18, [0, 1, 1, 50, 1]), (19, [0, 0, 1, 0, 1])]  # domain 1 takes no row, though no one's is due


@given(schedules(max_domains=5, max_length=20, max_phases=4))
@example([Segment(stop, quantise(shares), quantise(shares)) for stop, shares in LEAVES_FOR_GOOD])
def test_turns_equal_the_naive_rule(segments):
    plan, shares = plan_of(segments), ideal(segments)
    n_domains = shares.shape[1]
    early = {(one.sample, d) for one in plan.retirements for d in one.early}
    least = Fraction(1 if plan.retirements else ONE // max(2 * n_domains - 2, 1), ONE)
    drawn = naive_turns([[Fraction(int(w), ONE) for w in row] for row in shares], early, least)
    assert plan.locate(0, plan.samples).domain.tolist() == drawn


@settings(max_examples=200)
@given(schedules())
def test_every_prefix_keeps_the_law(segments):
    assert keeps_the_law(plan_of(segments))


@settings(max_examples=200)
@given(schedules(max_domains=12, max_length=3, max_phases=30))
def test_the_law_holds_when_shares_change_at_nearly_every_sample(segments):
    assert keeps_the_law(plan_of(segments))


@pytest.mark.parametrize("n_domains", [2, 3, 7, 16, 32, 64])
@pytest.mark.parametrize("retire", [0.0, 0.1, 0.4, 0.8])
@pytest.mark.parametrize("length", [4, 1500])
def test_the_law_holds_for_41_knots_with_domains_that_leave_and_come_back(n_domains, retire, length):
    plan = plan_of(wild(n_domains, 41, length, retire))
    assert keeps_the_law(plan)
    located, counts = plan.locate(0, plan.samples), plan.counts(0, plan.samples)
    assert list(counts.values()) == np.bincount(located.domain, minlength=n_domains).tolist()


EIGHTHS = "161 404 800 206 530 071 350 260 602 260 332"


def test_both_bounds_at_once_cannot_be_had():
    """These shares force 7/8 of a row where Tijdeman's bound would be 3/4; 7/8 is what comes out."""
    shares = [tuple(int(n) * ONE // 8 for n in row) for row in EIGHTHS.split()]
    plan = plan_of([Segment(at, share, share) for at, share in enumerate(shares, 1)])
    assert keeps_the_law(plan)
    assert worst_error(plan.locate(0, plan.samples).domain, ideal(plan.segments)) == ONE * 7 // 8


def test_another_choice_at_a_retirement_breaks_the_law():
    """With one choice turned round a prefix is a row off, or a row has no share: the checks above can fail."""
    segments, broken = wild(3, 40, 3, 0.5), 0
    right, shares = plan_of(segments), ideal(segments)
    for place, one in enumerate(right.retirements):
        for domain in range(3):
            flipped = replace(one, early=tuple(sorted({domain} ^ set(one.early))))
            choices = (*right.retirements[:place], flipped, *right.retirements[place + 1 :])
            drawn = replace(right, retirements=choices).locate(0, right.samples).domain
            broken += worst_error(drawn, shares) >= ONE or not shares[np.arange(len(drawn)), drawn].all()
    assert broken > 3


def test_a_row_owed_for_good_is_written_off_and_one_of_a_short_leave_is_not():
    half, gone = (ONE // 2, ONE // 2), (ONE, 0)
    assert plan_of([Segment(3, half, half), Segment(9, gone, gone)]).counts(0, 9)["d1"] in (1, 2)
    back = plan_of([Segment(3, half, half), Segment(9, gone, gone), Segment(12, half, half)])
    assert back.counts(0, 12) == {"d0": 9, "d1": 3}
    assert back.counts(3, 9) == {"d0": 6, "d1": 0}


def test_rows_without_a_place_are_an_error():
    """Two rows and one sample: it cannot come from shares that sum to one, and would not pass unseen."""
    network = Network(closed=[2, 3], nodes=4)
    network.arc(1, 0, 1)
    network.place(2, 1, 0)
    network.place(3, 1, 0)
    with pytest.raises(ArithmeticError, match="no order within one row"):
        send(network, [2, 3])


def test_a_plan_whose_domains_stay_has_the_bytes_of_the_first_format(tmp_path):
    """Digest as 0.1.0 wrote it; a share that rises from zero changes nothing, one that falls to zero does."""
    rng = np.random.default_rng(7)
    shares = [(0, *quantise(rng.dirichlet(np.ones(4)))), *(quantise(rng.dirichlet(np.ones(5))) for _ in range(2))]
    stays = plan_of([Segment(20_000, shares[0], shares[0]), Segment(50_000, *shares[:2]), Segment(50_900, *shares[1:])])
    assert stays.digest == "b442ac367abc7d54eadb0ab7acdd067852ca981be2e42c9048333e78da07d5d6"
    leaves = plan_of([Segment(20_000, shares[1], shares[1]), Segment(20_900, shares[0], shares[0])])
    leaves.save(tmp_path)
    found = json.loads((tmp_path / PLAN).read_text())
    assert found["format"] == "gristmill-plan-2"
    assert found["retirements"] == [[20_000, list(leaves.retirements[0].early)]]
    assert Plan.load(tmp_path) == leaves


def test_one_domain_gets_everything():
    plan = plan_of([Segment(10, (ONE,), (ONE,))])
    assert plan.locate(0, 10).domain.tolist() == [0] * 10
    assert plan.counts(0, 10) == {"d0": 10}


@pytest.mark.parametrize("retire", [0.0, 0.5])
def test_restart_anywhere_equals_the_sequential_walk(retire):
    segments = wild(5, 24, 6000, retire)
    plan = plan_of(segments)
    whole, end = plan.locate(0, plan.samples), plan.samples
    knots = [segment.stop + off for segment in segments for off in (-1, 0, 1)]
    points = [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, *knots, *np.random.default_rng(3).integers(0, end, 60).tolist()]
    for start in points:
        stop = min(start + 50, end)
        for part, all_of_it in zip(plan.locate(min(start, end), stop), whole, strict=True):
            assert (part == all_of_it[start:stop]).all()
    assert len(plan.checkpoints) == ceil(end / STRIDE)


@pytest.mark.parametrize("retire", [0.0, 0.5])
def test_find_is_the_inverse_of_locate_whoever_leaves(retire):
    plan = plan_of(wild(5, 24, 3000, retire))
    located = plan.locate(0, plan.samples)
    for domain in range(5):
        rows = np.unique(located.row[located.domain == domain])
        for some in (rows, rows[::50]):
            due = np.flatnonzero((located.domain == domain) & np.isin(located.row, some))
            assert plan.find(domain, some).tolist() == due.tolist()


def test_a_turn_is_drawn_once_its_ideal_has_begun_it():
    """Without a free domain the kernel still names one: a damaged schedule can then be no more than wrong."""
    keys, firsts = np.array([5 << 16, 4 << 16 | 1]), np.array([9, 9])
    assert [_kernels_turns.earliest(firsts, keys, at) for at in (8, 9)] == [0, 1]


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
