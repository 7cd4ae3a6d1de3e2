"""Pace and weights in whole rows: no bucket before its time, every row once per epoch, tokens that stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.mixing.bucket_draws import PACES, PackedBucket, bucket_draws, buckets_of, shared_out
from gristmill.mixing.compile import Packed, RowsInOrder, compile_plan
from gristmill.mixing.curriculum import Phase
from gristmill.mixing.feasibility import EpochCaps
from gristmill.mixing.order_sections import PACE_NAMES
from gristmill.mixing.preview import preview

packed = st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.floats(0.1, 5)), min_size=1, max_size=12)


def buckets(drawn, weighted=True):
    group, found = 0, []
    for rows, next_group, weight in drawn:
        group += next_group and bool(found)
        found.append(PackedBucket(rows, group, weight if weighted else 1.0))
    return found


@given(packed, st.sampled_from([*PACES, ""]), st.booleans())
def test_an_epoch_draws_all_rows_and_no_bucket_before_its_time(drawn, pace, weighted):
    held = buckets(drawn, weighted)
    found = buckets_of(held, pace)
    draws, total = np.array(found.draws), sum(one.rows for one in held)
    assert draws.sum() == total
    found.check("d", total)
    wanted = np.array([one.rows * one.weight for one in held])
    assert (np.abs(draws.sum(axis=0) - total * wanted / wanted.sum()) < 1).all()
    if not weighted:
        assert tuple(draws.sum(axis=0)) == found.rows
    begins, groups = np.cumsum(draws.sum(axis=1)) - draws.sum(axis=1), np.array([one.group for one in held])
    for number, one in enumerate(held):
        if pace and draws[:, number].any():
            before = draws[:, groups < one.group].sum() / total
            assert begins[np.argmax(draws[:, number] > 0)] >= PACES[pace](before) * total - 1e-6
    assert sum(one.rows * one.times for one in bucket_draws(held, pace)) == pytest.approx(total)


def test_root_is_spread_and_linear_is_not():
    held = [PackedBucket(100, number) for number in range(4)]
    linear, root = (np.array(buckets_of(held, pace).draws) for pace in ("linear", "root"))
    assert ((linear > 0).sum(axis=1) == 1).all()
    assert (root > 0).sum(axis=1).tolist() == [1, 2, 3, 4]
    assert [one.opens for one in bucket_draws(held, "root")] == pytest.approx([0, 1 / 16, 1 / 4, 9 / 16])


@given(st.integers(0, 1000), st.lists(st.integers(0, 500), min_size=1, max_size=9).filter(any))
def test_shares_of_integers_never_exceed_them(whole, parts):
    found = shared_out(whole, np.array(parts))
    assert found.sum() == whole
    assert (np.abs(found - whole * np.array(parts) / sum(parts)) < 1).all()
    if whole <= sum(parts):
        assert (found <= parts).all()


def test_the_recipe_knows_the_paces():
    assert tuple(PACES) == PACE_NAMES


def packed_like(*held):
    rows = sum(one.rows for one in held)
    return {"a": Packed(rows, 8 * rows, 8 * rows, "", held), "b": Packed(40, 320, 320)}


def test_a_plan_draws_what_its_buckets_say_and_the_preview_shows_it():
    packed = packed_like(PackedBucket(30, 0, 1, 0.1, 0.4), PackedBucket(30, 1, 0.5), PackedBucket(40, 1, 1.5, 0.5, 2.0))
    phases, order = [Phase(8 * 280, {"a": 200 / 280, "b": 80 / 280})], RowsInOrder({"a": "linear"}, 5)
    caps = EpochCaps(4)
    plan = compile_plan(phases, packed, row_tokens=8, seed=1, caps=caps, order=order)
    assert plan.window_rows == 5
    assert plan.domains[1].buckets is None
    assert plan.bucket_counts(0, plan.samples).tolist() == [2 * n for n in plan.domains[0].buckets.draws[0][:1]] + [
        2 * n for n in plan.domains[0].buckets.draws[1][1:]
    ]
    shown = {one.domain: one.buckets for one in preview(phases, packed, 8, caps, order).domains}
    assert shown["b"] == ()
    first, second = shown["a"]
    assert (first.rows, first.low, first.high, first.opens) == (30, 0.1, 0.4, 0.0)
    assert (second.rows, second.low, second.high) == (70, 0.5, 2.0)
    assert second.opens == pytest.approx(first.rows * first.times / 100)
    assert first.rows * first.times + second.rows * second.times == pytest.approx(100)


def test_without_an_order_the_plan_is_as_it_was():
    packed = packed_like()
    phases = [Phase(320, {"b": 1.0})]
    plan = compile_plan(phases, packed, row_tokens=8, seed=1, caps=EpochCaps(4))
    assert plan._to_json()["format"] == "gristmill-plan-1"
    near = compile_plan(phases, packed, row_tokens=8, seed=1, caps=EpochCaps(4), order=RowsInOrder({}, 9))
    assert near._to_json()["format"] == "gristmill-plan-3"
    assert sorted(near.locate(0, 40).row.tolist()) == sorted(plan.locate(0, 40).row.tolist())
