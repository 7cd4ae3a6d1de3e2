"""The plan file: saved, loaded, damaged; counts and errors."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.handoff.buckets import Buckets
from gristmill.handoff.plan import CHECKPOINTS, PLAN, STRIDE, Domain, Plan
from gristmill.handoff.schedule import ONE, Segment, quantise
from gristmill.mixing.bucket_draws import shared_out

DOMAINS = (Domain("a", 100, "11"), Domain("b", 50, "22"), Domain("c", 7, "33"))
SHARES = quantise([0.6, 0.3, 0.1])


def build(samples=40_000, seed=1, domains=DOMAINS, shares=SHARES):
    return Plan.build(domains, row_tokens=32, seed=seed, segments=(Segment(samples, shares, shares),))


@pytest.fixture(scope="module")
def plan():
    return build()


def test_saved_and_loaded_plans_are_equal(plan, tmp_path):
    plan.save(tmp_path)
    loaded = Plan.load(tmp_path)
    assert loaded == plan
    assert loaded.digest == plan.digest
    assert (loaded.samples, loaded.tokens, loaded.names) == (40_000, 40_000 * 32, ("a", "b", "c"))
    for ours, theirs in zip(loaded.locate(123, 17_000), plan.locate(123, 17_000), strict=True):
        assert (ours == theirs).all()


def test_equal_plans_have_equal_bytes(plan, tmp_path):
    plan.save(tmp_path / "one")
    build().save(tmp_path / "two")
    for name in (PLAN, CHECKPOINTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        build(seed=2),
        build(samples=40_001),
        build(shares=quantise([0.6, 0.2, 0.2])),
        build(domains=(*DOMAINS[:2], Domain("c", 8, "33"))),
        build(domains=(*DOMAINS[:2], Domain("c", 7, "34"))),
    ],
    ids=["seed", "samples", "shares", "rows", "index"],
)
def test_whatever_decides_the_order_is_in_the_digest(plan, other):
    assert other.digest != plan.digest


def test_a_seed_changes_rows_and_not_domains(plan):
    ours, theirs = plan.locate(0, 1000), build(seed=2).locate(0, 1000)
    assert (ours.domain == theirs.domain).all()
    assert (ours.row != theirs.row).any()


def test_a_new_domain_does_not_reshuffle_the_others(plan):
    more = build(domains=(*DOMAINS, Domain("d", 9, "44")), shares=quantise([0.5, 0.3, 0.1, 0.1]))
    rows = [p.locate(0, 3000).row[p.locate(0, 3000).domain == 1][:500] for p in (plan, more)]
    assert (rows[0] == rows[1]).all()


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_counts_equal_what_is_located(a, b):
    plan = build()
    start, stop = sorted((a, b))
    found = np.bincount(plan.locate(start, stop).domain, minlength=3)
    assert list(plan.counts(start, stop).values()) == found.tolist()
    assert sum(plan.counts(start, stop).values()) == stop - start


def test_checkpoints_stay_small(plan):
    """16 MB for 10^9 samples of 16 domains."""
    per_sample = plan.checkpoints[0].nbytes / 3 * 16 / STRIDE
    assert per_sample * 1e9 <= 16e6


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (0, 40_001), (7, 3), (40_001, 40_002)])
def test_samples_outside_the_plan_are_refused(plan, start, stop):
    with pytest.raises(PlanError, match="not in the plan, which has 40000"):
        plan.locate(start, stop)


def test_nothing_is_located_in_an_empty_range(plan):
    assert [len(column) for column in plan.locate(40_000, 40_000)] == [0, 0, 0]


def test_every_changed_byte_of_the_plan_is_noticed(plan, tmp_path):
    plan.save(tmp_path)
    for name in (PLAN, CHECKPOINTS):
        content = bytearray((tmp_path / name).read_bytes())
        for at in range(0, len(content), 1 if name == PLAN else 7):
            content[at] ^= 1
            (tmp_path / name).write_bytes(content)
            try:
                same = Plan.load(tmp_path).digest == plan.digest  # white space, or padding of the header
                assert same, (name, at)
                assert chr(content[at] ^ 1).isspace() or name == CHECKPOINTS
            except PlanError:
                pass
            content[at] ^= 1
        (tmp_path / name).write_bytes(content)
    assert Plan.load(tmp_path) == plan


@pytest.mark.parametrize("damage", ["plan", "checkpoints", "short", "format", "kind"])
def test_a_damaged_plan_is_refused(plan, tmp_path, damage):
    plan.save(tmp_path)
    if damage in ("plan", "checkpoints"):
        (tmp_path / {"plan": PLAN, "checkpoints": CHECKPOINTS}[damage]).unlink()
    elif damage == "short":
        (tmp_path / CHECKPOINTS).write_bytes((tmp_path / CHECKPOINTS).read_bytes()[:-8])
    elif damage == "format":
        value = json.loads((tmp_path / PLAN).read_text())
        (tmp_path / PLAN).write_text(json.dumps(value | {"format": "other"}))
    else:
        np.save(tmp_path / CHECKPOINTS, plan.checkpoints.view(np.uint64))
    with pytest.raises(PlanError, match="run the recipe again"):
        Plan.load(tmp_path)


@pytest.mark.parametrize(
    ("domains", "segments", "message"),
    [
        ((), (), "at least one domain"),
        (DOMAINS, (), "at least one domain"),
        (DOMAINS, (Segment(0, SHARES, SHARES),), r"curriculum\.0\.until_tokens"),
        (DOMAINS, (Segment(5, SHARES, SHARES), Segment(5, SHARES, SHARES)), r"curriculum\.1\.until_tokens"),
        (DOMAINS, (Segment(5, SHARES[:2], SHARES[:2]),), "need 3 shares"),
        (DOMAINS, (Segment(5, (ONE, 1, -1), SHARES),), "need 3 shares"),
        (DOMAINS, (Segment(5, SHARES, (ONE, 1, 0)),), "need 3 shares"),
        ((*DOMAINS[:2], Domain("c", 0, "")), (Segment(5, SHARES, SHARES),), r"shares\.c: the domain has no rows"),
    ],
)
def test_impossible_plans_are_refused(domains, segments, message):
    with pytest.raises(PlanError, match=message):
        Plan.build(domains, row_tokens=8, seed=0, segments=segments)


@st.composite
def any_buckets(draw, rows):
    """None, or up to three buckets in two stretches, the first of which some are left out of."""
    n_buckets = draw(st.integers(0, min(3, rows)))
    if not n_buckets:
        return None
    ends = np.linspace(0, rows, n_buckets + 1).astype(int)
    weights = np.array(draw(st.lists(st.integers(1, 9), min_size=n_buckets, max_size=n_buckets)))
    of_epoch = shared_out(rows, np.diff(ends) * weights)
    first = of_epoch // draw(st.integers(2, 5)) * (np.arange(n_buckets) < draw(st.integers(1, n_buckets)))
    stretches = [row.tolist() for row in (first, of_epoch - first) if row.any()]
    return Buckets(tuple(np.diff(ends).tolist()), tuple(map(tuple, stretches)))


@st.composite
def any_plan(draw):
    """One to four domains of few rows, up to three phases, and often more samples than lie between two checkpoints."""
    sizes = draw(st.lists(st.integers(1, 3 * STRIDE // 4), min_size=1, max_size=4))
    weights = st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any)
    shares = [quantise(draw(weights)) for _ in range(draw(st.integers(1, 3)))]
    stops = np.cumsum([draw(st.integers(1, STRIDE)) for _ in shares]).tolist()
    before = [shares[0], *shares] if draw(st.booleans()) else [shares[0], *shares[1:]]  # ramps, or steps
    segments = tuple(Segment(*phase) for phase in zip(stops, before, shares, strict=False))
    domains = tuple(Domain(f"d{place}", size, "", draw(any_buckets(size))) for place, size in enumerate(sizes))
    options = {"seed": draw(st.integers(0, 99)), "window_rows": draw(st.sampled_from([0, 0, 1, 100]))}
    return Plan.build(domains, row_tokens=8, segments=segments, **options)


@given(any_plan(), st.integers(0, 2**32))
def test_find_is_the_inverse_of_locate(plan, seed):
    every = plan.locate(0, plan.samples)
    for domain, (size, rng) in enumerate((one.rows, np.random.default_rng(seed)) for one in plan.domains):
        assert plan.find(domain, np.arange(size)).tolist() == np.flatnonzero(every.domain == domain).tolist()
        rows = rng.integers(0, size, 5)
        found = plan.draws(domain, rows)
        pairs = {(e, r) for e, r in zip(found.epoch.tolist(), found.row.tolist(), strict=True)}
        assert len(pairs) == len(found.sample)  # a row has each epoch once
        assert found.sample.tolist() == np.flatnonzero((every.domain == domain) & np.isin(every.row, rows)).tolist()
        assert found.epoch.tolist() == every.epoch[found.sample].tolist()
        assert found.row.tolist() == every.row[found.sample].tolist()
        assert plan.find(domain, rows[:0]).tolist() == []


@pytest.mark.parametrize(("domain", "rows", "message"), [(3, [0], "none at place 3"), (1, [50], "'b', which has 50")])
def test_rows_that_are_not_there_are_not_looked_for(plan, domain, rows, message):
    with pytest.raises(PlanError, match=message):
        plan.find(domain, np.array(rows))
