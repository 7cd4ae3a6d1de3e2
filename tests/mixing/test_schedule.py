"""Phases to segments, the integral of a schedule, caps, baselines."""

import json
import subprocess
import sys
import tomllib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.handoff.schedule import ONE, Segment, pieces, quantise
from gristmill.mixing.baselines import proportional, temperature, unimax
from gristmill.mixing.curriculum import Phase, drawn_domains, segments
from gristmill.mixing.feasibility import EpochCaps, check, demand, within_caps
from gristmill.mixing.named_shares import FORMAT, parse, tuned_shares
from gristmill.mixing.shapes import SHAPES, Shape

NAMES = ("code", "math", "web")
BASE = {"web": 0.7, "code": 0.2, "math": 0.1}
LATE = {"web": 0.2, "code": 0.3, "math": 0.5}


def test_phases_become_whole_rows():
    found = segments([Phase(1000, BASE), Phase(1999, LATE, "linear"), Phase(3000, BASE)], NAMES, 16)
    base, late = quantise([0.2, 0.1, 0.7]), quantise([0.3, 0.5, 0.2])
    assert found == (Segment(63, base, base), Segment(125, base, late), Segment(188, base, base))


def test_a_ramp_starts_where_the_phase_before_ended():
    found = segments([Phase(160, BASE), Phase(320, LATE, "linear"), Phase(480, BASE, "linear")], NAMES, 16)
    assert found[1].first == found[0].last
    assert found[2].first == found[1].last


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([Phase(100, BASE, "linear")], r"curriculum\.0\.shape: the first phase cannot be 'linear'"),
        ([Phase(100, BASE), Phase(101, LATE)], r"curriculum\.1\.until_tokens: 101 adds no whole row of 16 tokens"),
        ([Phase(0, BASE)], r"curriculum\.0\.until_tokens"),
        ([Phase(100, {"web": 0.5})], r"curriculum\.0\.shares sum to 0\.5, not 1"),
        ([Phase(100, {"wed": 1.0})], r"curriculum\.0\.shares: unknown domain 'wed'; did you mean 'web'\?"),
        ([Phase(100, {"web": 1.5, "code": -0.5})], r"curriculum\.0\.shares\.web: 1\.5 is not between 0 and 1"),
        ([Phase(100, {"web": float("nan"), "code": 1.0})], r"curriculum\.0\.shares\.web: nan is not between"),
    ],
)
def test_wrong_phases_are_refused(phases, message):
    with pytest.raises(PlanError, match=message):
        segments(phases, NAMES, 16)


def test_domains_are_those_with_a_share():
    assert drawn_domains([Phase(1, {"web": 1.0, "code": 0.0}), Phase(2, {"books": 1.0})]) == ("books", "web")


shares_of_three = st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any)


@given(st.lists(st.tuples(st.integers(1, 5000), shares_of_three, st.booleans()), min_size=1, max_size=5))
def test_demand_is_the_integral_of_the_staircase(phases):
    stop, found = 0, []
    for length, weights, ramp in phases:
        stop += length
        shares = {name: w / sum(weights) for name, w in zip(NAMES, weights, strict=True)}
        found.append(Phase(stop, shares, "linear" if ramp and found else "step"))
    schedule = segments(found, NAMES, 1)
    cut = pieces(schedule)
    walked = [Fraction(int(w), ONE) for w in np.diff(cut.starts) @ cut.weights.astype(object)]
    needed = demand(schedule, NAMES)
    for name, exact in zip(NAMES, walked, strict=True):
        assert needed[name] == pytest.approx(float(exact), abs=3)  # steps of a ramp differ in length by one sample
    assert sum(needed.values()) == pytest.approx(stop)


def test_an_unknown_shape_is_named():
    with pytest.raises(PlanError, match=r"curriculum\.0\.shape: unknown shape 'linea'; did you mean 'linear'"):
        segments([Phase(160, BASE, "linea")], NAMES, 16)


def test_a_new_shape_is_one_entry_of_the_table(monkeypatch):
    """No share moves in the first half. Segments meet, end at the shares of the phase, and sum to one."""
    monkeypatch.setitem(SHAPES, "late", Shape(lambda progress: max(0.0, 2 * progress - 1), pieces=4))
    found = segments([Phase(1600, BASE), Phase(3200, LATE, "late")], NAMES, 16)
    assert [segment.stop for segment in found] == [100, 125, 150, 175, 200]
    assert found[1] == Segment(125, found[0].last, found[0].last)
    assert found[2].last == found[0].last
    assert found[3].last == found[4].first
    assert found[3].last == pytest.approx([(a + b) / 2 for a, b in zip(found[0].last, found[4].last, strict=True)])
    assert found[4].last == quantise([0.3, 0.5, 0.2])
    assert all(sum(segment.last) == ONE for segment in found)
    with pytest.raises(PlanError, match="the first phase cannot be 'late'"):
        segments([Phase(160, BASE, "late")], NAMES, 16)


def test_a_phase_of_fewer_rows_than_pieces_still_ends_at_its_shares(monkeypatch):
    monkeypatch.setitem(SHAPES, "slow", Shape(lambda progress: progress**2, pieces=8))
    found = segments([Phase(160, BASE), Phase(208, LATE, "slow")], NAMES, 16)
    assert [segment.stop for segment in found] == [10, 11, 12, 13]
    assert found[-1].last == quantise([0.3, 0.5, 0.2])


def test_the_names_of_shapes_need_no_numba():
    heavy = "{'numba', 'pyarrow', 'numpy'} & set(sys.modules)"
    code = f"import sys, gristmill.mixing.stage; sys.exit(bool({heavy}))"  # which imports shapes and named shares
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_schedule_within_its_caps_passes():
    check([Phase(1600, BASE)], {"web": 70, "code": 20, "math": 10}, 16, EpochCaps(1.0))
    check([Phase(1600, BASE)], {"web": 70, "code": 20, "math": 5}, 16, EpochCaps(1.0, {"math": 2}))


def test_the_cap_is_checked_on_the_integral_and_not_at_the_peak():
    """Half of the last rows are math, but only 20 of 100 rows in all."""
    phases = [Phase(800, BASE), Phase(1600, LATE, "linear")]
    check(phases, {"web": 99, "code": 99, "math": 20}, 16, EpochCaps(1.0))
    with pytest.raises(PlanError, match=r"math: 1\.05 epochs of 19 rows; the cap is 1"):
        check(phases, {"web": 99, "code": 99, "math": 19}, 16, EpochCaps(1.0))


@pytest.mark.parametrize("rows", [{"web": 5, "code": 5}, {"web": 5, "code": 5, "math": 0}])
def test_a_share_of_nothing_is_refused(rows):
    with pytest.raises(PlanError, match=r"domain 'math' has a share, but no row .*\[\[sources\]\], at \[decide\]"):
        check([Phase(16, BASE)], rows, 16, EpochCaps(4.0))


def pasted(message):
    """The curriculum in an error message, read as TOML."""
    text = message[message.index("[[curriculum]]") :]
    return [Phase(**phase) for phase in tomllib.loads(text)["curriculum"]]


def test_the_refusal_holds_a_budget_and_a_curriculum_that_work():
    phases, rows = [Phase(16_000, BASE), Phase(32_000, LATE, "linear")], {"web": 900, "code": 900, "math": 100}
    with pytest.raises(PlanError) as caught:
        check(phases, rows, 16, EpochCaps(4.0, {"math": 2}))
    message = str(caught.value)
    budget = int(message.split("With these shares ")[1].split()[0])
    scale = budget / 32_000
    check(
        [Phase(int(p.until_tokens * scale), p.shares, p.shape) for p in phases], rows, 16, EpochCaps(4.0, {"math": 2})
    )
    larger = [Phase(int(p.until_tokens * scale * 1.02), p.shares, p.shape) for p in phases]
    with pytest.raises(PlanError):
        check(larger, rows, 16, EpochCaps(4.0, {"math": 2}))
    fitted = pasted(message)
    assert [(p.until_tokens, p.shape) for p in fitted] == [(16_000, "step"), (32_000, "linear")]
    check(fitted, rows, 16, EpochCaps(4.0, {"math": 2}))
    needed = demand(segments(fitted, NAMES, 16), NAMES)
    assert needed["math"] == pytest.approx(200, rel=0.01)  # the scarce domain is at its cap
    assert fitted[0].shares["web"] / fitted[0].shares["code"] == pytest.approx(3.5, rel=1e-3)  # the others keep theirs


def test_when_nothing_fits_it_says_so():
    with pytest.raises(PlanError, match=r"No shares meet the caps.*mixing\.caps\.max_epochs"):
        check([Phase(1600, BASE)], {"web": 7, "code": 2, "math": 1}, 16, EpochCaps(2.0))
    assert within_caps([Phase(160, {"web": 1.0})], lambda phases: segments(phases, ["web"], 16), {"web": 5.0}) is None


def test_baselines():
    sizes = {"a": 800, "b": 150, "c": 50, "empty": 0}
    assert proportional(sizes) == {"a": 0.8, "b": 0.15, "c": 0.05, "empty": 0.0}
    flat = temperature(sizes, 1e9)
    assert flat["empty"] == 0
    assert [flat[name] for name in "abc"] == pytest.approx([1 / 3] * 3)
    assert temperature(sizes, 2)["a"] == pytest.approx(800**0.5 / (800**0.5 + 150**0.5 + 50**0.5))


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1000), min_size=1).filter(lambda n: any(n.values())),
    st.floats(1, 5000),
    st.floats(0.5, 8),
)
def test_unimax_is_uniform_below_the_caps(rows, budget, max_epochs):
    shares = unimax(rows, budget, max_epochs)
    assert sum(shares.values()) == pytest.approx(1)
    capacity = {name: n * max_epochs for name, n in rows.items()}
    spent = min(budget, sum(capacity.values()))
    taken = {name: share * spent for name, share in shares.items()}
    assert all(taken[name] <= capacity[name] + 1e-6 for name in rows)
    free = [taken[name] for name in rows if taken[name] < capacity[name] - 1e-6]
    assert not free or max(free) - min(free) < 1e-6  # equal, and no capped domain has more
    assert all(taken[name] <= min(free, default=np.inf) + 1e-6 for name in rows)


@pytest.mark.parametrize(
    "call", [lambda: proportional({"a": 0}), lambda: unimax({"a": 0}, 5, 1), lambda: unimax({}, 5, 1)]
)
def test_nothing_to_share_is_refused(call):
    with pytest.raises(PlanError, match="no domain has a row"):
        call()


@pytest.mark.parametrize("T", [0, -1, float("nan")])
def test_a_temperature_is_positive(T):
    with pytest.raises(PlanError, match="not above 0"):
        temperature({"a": 1}, T)


def test_a_cosine_is_level_at_both_ends_and_half_way_in_the_middle():
    found = segments([Phase(1600, BASE), Phase(33_600, LATE, "cosine")], NAMES, 16)
    assert len(found) == 33
    math = [segment.last[1] / ONE for segment in found]
    assert math[16] == pytest.approx(0.3)
    assert np.diff(math)[[0, 15, 31]] == pytest.approx([0.4 * 0.0024, 0.4 * 0.049, 0.4 * 0.0024], rel=0.02)
    assert demand(found, NAMES)["math"] == pytest.approx(10 + 2000 * 0.3, abs=0.2)  # lines end with whole rows


TUNED = {"format": FORMAT, "corpus": {"web": ["a", "b"], "math": ["c"]}, "shares": {"web": 0.9, "math": 0.1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"format": "other"}, "format 'other'"),
        ({"corpus": {"web": ["a"], "math": ["c"]}}, "another corpus: domain 'web' came from a there, here from a, b"),
        ({"corpus": {"web": ["a", "b"]}}, "domain 'math' came from no source there, here from c"),
        ({"shares": {"web": 0.9}}, "no shares of this recipe's domains that sum to 1"),
        ({"shares": {"web": 1.0, "wed": 0.0}}, "no shares of this recipe's domains"),
        ({"shares": None}, "cannot read the mixture"),
    ],
)
def test_a_tuned_file_is_one_of_this_corpus(tmp_path, change, message):
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps(TUNED | change))
    if message is None:
        assert tuned_shares(path, TUNED["corpus"]) == TUNED["shares"]
    else:
        with pytest.raises(PlanError, match=message):
            tuned_shares(path, TUNED["corpus"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unimix", "no shares are called 'unimix'; did you mean 'unimax'"),
        ("temperature:0", "no temperature above 0"),
        ("temperature:", "no temperature above 0"),
        ("tuned", "write 'tuned:FILE'"),
        ("unimax:4", "takes nothing behind a colon"),
    ],
)
def test_wrong_names_of_shares_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)
