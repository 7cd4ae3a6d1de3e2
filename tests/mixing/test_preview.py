"""A curriculum before it is planned: what is shown is what the plan gives, to the row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.mixing.compile import Packed, compile_plan, draws_by_domain
from gristmill.mixing.curriculum import Phase
from gristmill.mixing.feasibility import EpochCaps
from gristmill.mixing.preview import preview

L, CAPS = 16, EpochCaps(4.0)
PACKED = {
    "code": Packed(500, 4000, 4000),
    "math": Packed(90, 1440, 1000),
    "none": Packed(0, 0, 0),
    "web": Packed(900, 14_000, 14_000),
}
shares = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)
phases = st.lists(st.tuples(st.integers(100, 4000), shares, st.sampled_from(["step", "linear", "cosine"])), min_size=1)


@given(phases)
def test_a_preview_is_what_the_plan_gives(drawn):
    stop, found = 0, []
    for length, weights, shape in drawn:
        stop += length
        named = dict(zip(("code", "math", "web"), (w / sum(weights) for w in weights), strict=True))
        found.append(Phase(stop, named, shape if found else "step"))
    shown = preview(found, PACKED, L, EpochCaps(1e6))
    plan = compile_plan(found, PACKED, row_tokens=L, seed=1, caps=EpochCaps(1e6))
    due = draws_by_domain(plan, PACKED)
    assert shown.feasible
    assert shown.samples == plan.samples == shown.phases[-1].until_sample
    for one in shown.domains:
        assert one.drawn_rows == pytest.approx(due[one.domain].drawn_rows, abs=2)  # steps of a ramp end with whole rows
        assert one.share == pytest.approx(due[one.domain].target_share, abs=3 / plan.samples + 1e-6)
        assert sum(part.tokens[one.domain] for part in shown.phases) == pytest.approx(
            one.drawn_tokens, abs=len(found) + 1
        )


def test_what_is_not_feasible_is_shown_with_advice():
    shown = preview([Phase(16_000, {"web": 0.5, "math": 0.5})], PACKED, L, CAPS)
    assert not shown.feasible
    assert "math: 5.56 epochs of 90 rows; the cap is 4" in shown.advice
    math = next(one for one in shown.domains if one.domain == "math")
    assert (math.epochs, math.drawn_tokens, math.targets) == pytest.approx((5.556, 8000, 5556), rel=1e-3)
    empty = preview([Phase(1600, {"none": 1.0})], PACKED, L, CAPS)
    assert "no row of it is left to train on" in empty.advice
    assert [one.epochs for one in empty.domains if one.domain == "none"] == [None]


def test_without_a_curriculum_every_row_is_shown_once():
    shown = preview([], PACKED, L, CAPS)
    assert [one.epochs for one in shown.domains] == pytest.approx([1, 1, 0, 1], abs=1e-3)
    assert shown.tokens == 19_440
