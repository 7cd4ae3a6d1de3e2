"""Tuning without a run: swarm and caps, matched rows, count models against a naive twin, proposals, comparisons."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.flows.tune.tune_answer import FitReport, Fitted, Proposal, doubts
from gristmill.mixing.comparison import compare, t_quantile
from gristmill.mixing.count_model import CountModel, Pairs
from gristmill.mixing.objective_fit import Runs, best_fit, noise
from gristmill.mixing.proposal import divergence, propose
from gristmill.mixing.proxy_rows import Scale, proxy_rows
from gristmill.mixing.swarm import capped, expect_room, swarm
from gristmill.mixing.tuning import PRESETS, Tune, tuning_mistakes

PRIOR = np.array([0.5, 0.3, 0.15, 0.05])
OPEN = np.ones(4)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=8))
def test_shares_within_caps_sum_to_one_and_keep_their_order_where_no_cap_binds(pairs):
    weights, most = np.array(pairs, float).T
    if not weights.any() or not most.any():
        return
    weights, most = weights / weights.sum(), np.minimum(most / most.sum() * 1.5, 1)
    if most.sum() < 1:
        return
    found = capped(weights, most)
    assert found.sum() == pytest.approx(1)
    assert (found <= most + 1e-6).all()
    assert capped(weights, np.ones(len(weights))) == pytest.approx(weights)


def test_a_swarm_keeps_its_caps_begins_at_the_prior_and_repeats_mixtures():
    most = np.array([0.6, 0.5, 0.4, 0.06])
    trials = swarm(PRIOR, most, 48, 7)
    weights = np.array([one.weights for one in trials])
    assert len(trials) == 48
    assert (weights <= most + 1e-6).all()
    assert weights[0] == pytest.approx(PRIOR)
    times = sorted(Counter(one.weights for one in trials).values())
    assert times == [1] * 35 + [2] * 4 + [5]
    assert len({one.seed for one in trials}) == 48
    assert trials == swarm(PRIOR, most, 48, 7)
    assert weights.std(axis=0).min() > 0.005


def test_caps_that_leave_no_mixture_are_one_message():
    expect_room(("a", "b"), np.array([0.5, 0.5]), {"a": 1, "b": 1}, 100)
    with pytest.raises(
        PlanError, match=r"mixing\.caps: no mixture of 100 tokens .* at most 80: a 30 \(4 epochs\), b 50"
    ):
        expect_room(("a", "b"), np.array([0.3, 0.5]), {"a": 4, "b": 1}, 100)


@given(st.integers(1, 2000), st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 9))
def test_a_proxy_repeats_a_domain_as_often_as_the_full_run(n_rows, share, part, seed):
    scale = Scale(max(1, round(400_000 * part)), 400_000)
    found = proxy_rows(n_rows, 100.0, share, scale, seed)
    assert np.ptp(found.times) <= 1
    assert len(set(found.rows.tolist())) == len(found.rows) <= n_rows
    assert len(found.rows) == 1 or abs(len(found.rows) - n_rows * scale.part) <= 0.5
    # epochs are rows drawn by rows there are: both are those of the full run times the scale, but for half a row
    assert abs(found.times.sum() - found.wanted_epochs * n_rows * scale.part) <= 0.5 + 1e-6
    assert found.epochs == found.times.sum() / len(found.rows)


def naive_nats(train, test, vocab, order):
    """Witten and Bell's interpolation by dictionaries; ``train`` holds (before, token, times)."""
    single, pair, given, kinds = Counter(), Counter(), Counter(), Counter()
    for before, token, times in train:
        single[token] += times
        if times and not pair[before, token]:
            kinds[before] += 1
        pair[before, token] += times
        given[before] += times
    out = []
    for before, token in test:
        chance = (single[token] + 1) / (sum(single.values()) + vocab)
        if order == 2 and given[before]:
            chance = (pair[before, token] + kinds[before] * chance) / (given[before] + kinds[before])
        out.append(-log(chance))
    return out


tokens = st.integers(0, 6)


@given(
    st.lists(st.tuples(tokens, tokens, st.integers(0, 4)), max_size=60),
    st.lists(st.tuples(tokens, tokens), max_size=30),
    st.sampled_from([1, 2]),
)
def test_a_count_model_equals_its_naive_twin(train, test, order):
    def pairs(listed):
        columns = np.array([one[:2] for one in listed], np.int64).reshape(-1, 2).T.copy()
        return Pairs(columns[0], columns[1], np.zeros(len(listed), np.int64))

    times = np.array([one[2] for one in train], np.int64)
    cut = len(train) // 2
    parts = [(pairs(train[:cut]), times[:cut]), (pairs(train[cut:]), times[cut:])]
    model = CountModel.fit(parts, 8, order)
    assert model.nats(pairs(test)) == pytest.approx(naive_nats(train, test, 8, order))
    every = pairs([(1, token) for token in range(8)])
    assert np.exp(-model.nats(every)).sum() == pytest.approx(1)


def planted(weights):
    return 2 + np.exp(weights @ np.array([0.4, -0.9, 0.3, -0.2]))


def test_a_proposal_is_the_best_within_caps_and_the_pull_draws_it_to_the_prior():
    most = np.array([1.0, 0.6, 1.0, 0.2])
    best = np.array([0.1, 0.6, 0.1, 0.2])
    found = propose(planted, PRIOR, most, 0.0, [])
    assert found[[1, 3]] == pytest.approx([0.6, 0.2], abs=1e-3)  # both at their caps
    assert planted(found[None])[0] <= planted(best[None])[0] + 1e-3
    apart = [divergence(propose(planted, PRIOR, OPEN, pull, [])[None], PRIOR)[0] for pull in (0.01, 0.1, 3.0)]
    assert apart == sorted(apart, reverse=True)
    assert apart[2] < 0.1 < apart[0]
    free = propose(planted, PRIOR, OPEN, 0.1, [])
    others = np.random.default_rng(0).dirichlet(np.ones(4) * 2, 4000)
    cost = planted(others) + 0.1 * divergence(others, PRIOR)
    assert planted(free[None])[0] + 0.1 * divergence(free[None], PRIOR)[0] <= cost.min() + 1e-4


def test_noise_is_that_of_repeats_and_the_fit_finds_the_planted_best():
    trials = swarm(PRIOR, OPEN, 60, 3)
    weights = np.array([one.weights for one in trials])
    rng = np.random.default_rng(1)
    values = np.stack([planted(weights), 2 * planted(weights)], axis=1) + rng.normal(0, 0.02, (60, 2))
    runs = Runs(weights, values, np.array([0.5, 0.5]))
    deviation, freedom = noise(runs)
    assert freedom == 10
    assert deviation == pytest.approx(0.02 * 0.5**0.5, rel=0.5)
    fit, kinds = best_fit(runs)
    assert kinds[0].error == min(one.error for one in kinds)
    assert kinds[0].rank_correlation > 0.9
    assert fit.predict(weights) == pytest.approx(1.5 * planted(weights), abs=0.06)


def test_two_mixtures_are_distinguished_only_where_the_pairs_do():
    rng, base = np.random.default_rng(0), np.linspace(1, 2, 6)  # seeds differ by more than mixtures do
    clear = compare(base - 0.05 + rng.normal(0, 0.01, 6), base)
    assert clear.distinguished
    assert "a is better: a less b is -0.0" in clear.sentence("a", "b")
    assert "b is better" in compare(base, base - 0.05).sentence("a", "b")
    open_ = compare(base - 0.01 + np.array([0.05, -0.05] * 3), base)
    assert not open_.distinguished
    assert open_.sentence("a", "b").startswith("a and b cannot be distinguished with 12 runs")
    assert open_.pairs_needed is not None
    assert open_.pairs_needed > 6
    assert compare(base, base).pairs_needed is None
    held = [abs(found.difference + 0.02) <= found.half_width for found in noisy_comparisons(400)]
    assert 0.85 <= np.mean(held) <= 0.95
    assert [t_quantile(n) for n in (1, 9, 10, 60)] == pytest.approx([6.3138, 1.8331, 1.8125, 1.6706], abs=2e-3)


def noisy_comparisons(n):
    rng = np.random.default_rng(2)
    return [compare(rng.normal(-0.02, 0.03, 5), np.zeros(5)) for _ in range(n)]


@pytest.mark.parametrize(
    ("tune", "heldout", "full", "text"),
    [
        (Tune(tokens=100, preset="moe-tiny"), 0.1, None, "100 tokens are less than one step of preset 'moe-tiny', 512"),
        (Tune(tokens=50), 0.1, None, "50 tokens are less than one step of preset 'bigram', 64"),
        (Tune(), 0, None, "nothing is held out"),
        (Tune(tokens=5000), 0.1, 4000, "a proxy run of 5000 tokens is longer than the run it stands for, of 4000"),
    ],
)
def test_what_tuning_needs_of_other_tables(tune, heldout, full, text):
    assert [text in mistake.text for mistake in tuning_mistakes(tune, 64, heldout, full)] == [True]
    assert not list(tuning_mistakes(Tune(), 64, 0.1, None))
    assert all(preset.step_rows >= 1 for preset in PRESETS.values())


def test_a_fit_that_the_runs_do_not_bear_out_is_doubted():
    def answer(expected, mixtures):
        return Fitted(FitReport((), 0.0, 0, 0.1), Proposal({}, 3.0, 0.1, expected, {}), PRIOR, mixtures)

    found = compare(np.array([3.0, 3.1, 2.9]) - 0.05, np.array([3.0, 3.1, 2.91]))
    assert doubts(answer(-0.05, 12), found, 4) == []
    few, gain = doubts(answer(-0.4, 11), found, 4)
    assert "11 mixtures are few for 4 domains" in few
    assert "the fit expected -0.4000 from the prior, the paired runs found -0.05" in gain
