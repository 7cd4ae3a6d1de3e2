"""The report page of a tuning: it stands alone, says what was found, and draws every number where it belongs."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from gristmill.flows.tune.proxy_runs import Finished
from gristmill.flows.tune.proxy_task import DomainBits, ProxyFacts
from gristmill.flows.tune.report_figures import Figures, Slice, Triangle, figures_of
from gristmill.flows.tune.report_page import report_page
from gristmill.flows.tune.report_svg import EDGE, HIGH, WIDE, Frame
from gristmill.flows.tune.search_space import SearchSpace
from gristmill.flows.tune.tune_answer import fit_swarm
from gristmill.mixing.swarm import swarm

NAMES, EVIL = ("a", "b", "c"), "<script>alert('x')</script>"
SPACE = SearchSpace(NAMES, np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.9, 0.4]), NAMES, np.ones(3) / 3, 1000, ())


@pytest.fixture(scope="module")
def finished():
    """Forty runs whose loss falls with the share of each domain, and some noise."""
    rng, found = np.random.default_rng(3), []
    for trial in swarm(SPACE.prior, SPACE.most, 40, 1):
        values = 2 + np.exp(-np.array(trial.weights) * [1.0, 2.0, 3.0]) + rng.normal(0, 0.01, 3)
        bits = {name: DomainBits(float(value), 0.01, 9) for name, value in zip(NAMES, values, strict=True)}
        found.append(Finished(trial, "key", False, ProxyFacts(bits, bits, {})))
    return found


@pytest.fixture(scope="module")
def figures(finished):
    return figures_of(SPACE, finished, fit_swarm(SPACE, finished))


def found_of(name="a"):
    kinds = [{"name": "law", "error": 0.1, "half_width": 0.2, "rank_correlation": 0.9}]
    shares = {name: 0.5, "b": 0.5}
    return {
        "proposal": {"predicted": 2.5, "half_width": 0.1, "shares": shares},
        "fit": {"kinds": kinds, "noise": 0.01, "noise_freedom": 3, "swarm_deviation": 0.2},
        "comparison": {"sentence": f"{name} is better", "difference": -0.1, "half_width": 0.01, "pairs": 3},
        "run": "runs/mine/0123",
        "notices": [f"few documents in {name}"],
        "curriculum": f"shares = {{ {name} = 0.5 }}",
        "prior": shares,
        "caps": shares,
        "next_runs": [{"runs": 2, "shares": shares, "why": f"tells {name} apart"}],
    }


def test_figures_are_what_the_runs_measured(figures, finished):
    totals = [sum(one.facts.fit[name].bits_per_byte for name in NAMES) / 3 for one in finished]
    assert figures.measured == pytest.approx(totals, abs=1e-6)
    assert np.corrcoef(figures.measured, figures.predicted)[0, 1] > 0.7
    assert figures.predicted != figures.measured
    assert list(figures.regret) == sorted(figures.regret, reverse=True)
    assert sum(map(len, figures.repeats)) - len(figures.repeats) == 6  # one run in six repeats a mixture
    for one, most in zip(figures.slices, SPACE.most, strict=True):
        assert (one.shares[0], one.shares[-1]) == pytest.approx((0, most))
    assert figures.triangle.domains == NAMES
    assert all(a + b <= 1 + 1e-9 for a, b in figures.triangle.points)


def test_the_page_stands_alone_and_is_well_formed(figures):
    page = report_page(found_of(EVIL), figures)
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|src=|href=\"[^#]|url\(|@import|https?:", page)
    opened = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.append(tag)

    Reader().feed(page)
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == opened.count("svg") == 4  # predicted, slices with the triangle, regret, noise
    assert [one.count("<g ") for one in drawn] == [1, 3 + 1, 1, 1]
    for one in drawn:
        root = ET.fromstring(one)
        for circle in root.iter("circle"):
            assert -8 <= float(circle.get("cx")) <= WIDE + 8
            assert -8 <= float(circle.get("cy")) <= HIGH + 8
    assert drawn[0].count("<circle") == len(figures.measured)


def test_values_stand_where_the_axes_say():
    frame = Frame([0, 10], [1, 3], ("x", "y"))
    assert frame.place(0, 1) == (EDGE, HIGH - EDGE)
    assert frame.place(10, 3) == (WIDE - 8, 8)
    assert frame.place(5, 2) == (EDGE + (WIDE - EDGE - 8) / 2, HIGH - EDGE - (HIGH - EDGE - 8) / 2)
    assert Frame([2], [5], ("x", "y")).place(2, 5)[0] == EDGE + (WIDE - EDGE - 8) / 2  # one value alone


def test_two_domains_and_no_repeats_have_a_page():
    slices = (Slice("a", (0.0, 1.0), (2.0, 1.0), 0.5, 0.4),)
    figures = Figures((2.0, 1.0), (1.9, 1.1), 0.1, slices, None, (0.2, 0.0), ())
    assert report_page(found_of(), figures).count("<g ") == 4
    with_triangle = Figures((2.0,), (2.0,), 0.1, slices, Triangle(NAMES, ((0.0, 0.0),), (1.0,), (0.2, 0.3)), (0.0,), ())
    assert report_page(found_of(), with_triangle).count("<g ") == 5
