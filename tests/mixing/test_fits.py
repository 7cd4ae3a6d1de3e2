"""Fits of a loss over mixtures: planted laws are found again, the process equals its definition, intervals hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.mixing.gaussian_process import GaussianProcess
from gristmill.mixing.log_linear_law import LogLinearLaw
from gristmill.mixing.mixture_fits import FITS, cross_validated, half_width, spearman

SLOPES = np.array([0.3, -0.8, 1.1, 0.0, 0.5])


def mixtures(n, seed=0, n_domains=5):
    return np.random.default_rng(seed).dirichlet(np.full(n_domains, 0.6), n)


def planted(weights, noise=0.0, seed=1):
    """Losses of a law with known slopes."""
    return 2 + np.exp(weights @ SLOPES) + noise * np.random.default_rng(seed).normal(size=len(weights))


@pytest.mark.parametrize("runs", [12, 200])
def test_the_law_that_made_the_runs_is_found(runs):
    seen, new = mixtures(runs), mixtures(300, 5)
    law = LogLinearLaw.fit(seen, planted(seen))
    assert spearman(law.predict(new), planted(new)) > 0.995
    if runs == 200:
        assert np.exp(law.floor) == pytest.approx(2, abs=0.1)
        assert law.slopes - law.slopes.mean() == pytest.approx(SLOPES - SLOPES.mean(), abs=0.1)


def test_a_process_equals_its_definition():
    seen, new = mixtures(30), mixtures(7, 5)
    values = planted(seen, 0.05)
    fitted = GaussianProcess.fit(seen, values)

    def kernel(a, b):
        apart = [[((np.sqrt(x) - np.sqrt(y)) ** 2).sum() for y in b] for x in a]
        return np.exp(-np.array(apart) / (2 * fitted.length**2))

    inverse = np.linalg.inv(kernel(seen, seen) + fitted.noise * np.eye(30))
    due = values.mean() + kernel(new, seen) @ inverse @ (values - values.mean())
    assert fitted.predict(new) == pytest.approx(due, abs=1e-6)
    assert 1e-4 < fitted.noise < 0.1


def test_a_process_follows_what_the_law_cannot():
    seen, new = mixtures(150, n_domains=3), mixtures(100, 5, n_domains=3)
    bump = [3 - np.exp(-4 * ((w - 1 / 3) ** 2).sum(axis=1)) for w in (seen, new)]
    found = {name: spearman(FITS[name](seen, bump[0]).predict(new), bump[1]) for name in FITS}
    assert found["process"] > 0.97 > 0.6 > found["law"]


@pytest.mark.parametrize("name", list(FITS))
def test_nine_of_ten_new_runs_lie_in_the_interval(name):
    seen, new = mixtures(160), mixtures(400, 5)
    values = planted(seen, 0.1)
    width = half_width(cross_validated(FITS[name], seen, values))
    off = np.abs(FITS[name](seen, values).predict(new) - planted(new, 0.1, 6))
    assert 0.84 < (off <= width).mean() < 0.96
    assert width == pytest.approx(0.1645, rel=0.3)  # 1.645 standard deviations of the planted noise


def test_repeats_of_a_mixture_are_left_out_together():
    """A fit that only remembers runs: with a repeat on the other side it would look perfect."""

    class Remembers:
        def __init__(self, weights, values):
            self.known = {tuple(w): v for w, v in zip(weights, values, strict=True)}

        def predict(self, weights):
            return np.array([self.known.get(tuple(w), 0.0) for w in weights])

    seen = np.repeat(mixtures(20), 2, axis=0)
    assert (cross_validated(Remembers, seen, planted(seen)) == planted(seen)).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_spearman_is_the_correlation_of_ranks(pairs):
    a, b = np.array(pairs, float).T
    if a.std() and b.std():
        ranks = [[np.mean([i + 1 for i, v in enumerate(sorted(c)) if v == x]) for x in c] for c in (a, b)]
        assert spearman(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9)
