"""From packed folders and a curriculum to a plan on disk."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.corpus.files import file_sha256
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.shards import ShardWriter
from gristmill.mixing.compile import Packed, compile_plan, draws_by_domain, one_epoch, plan_stage
from gristmill.mixing.curriculum import Phase
from gristmill.mixing.feasibility import EpochCaps
from gristmill.mixing.stage import PlanFacts

L = 8
ROWS = {"web": 61, "math": 9, "code": 30, "unused": 5}
CURRICULUM = [
    Phase(40 * L, {"web": 0.8, "code": 0.2}),
    Phase(80 * L, {"web": 0.3, "code": 0.3, "math": 0.4}, "linear"),
    Phase(110 * L, {"code": 0.5, "math": 0.5}),
]

CAPS = EpochCaps(5.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for number, (name, rows) in enumerate(ROWS.items()):
        tokens = np.random.default_rng(number).integers(0, 50, (rows, L))
        documents = [[{"doc_id": f"{name}{i}", "start": 0, "length": L, "offset": 0}] for i in range(rows)]
        with ShardWriter(folder / "shards" / name, row_tokens=L, vocab_size=50, shard_rows=20, batch_rows=7) as writer:
            writer.write(tokens, documents)
    return folder


def stage(run, folder, phases=CURRICULUM, **options):
    shards = {name: run / "shards" / name for name in ROWS}
    return plan_stage(folder, shards, phases, **{"row_tokens": L, "seed": 4, "caps": CAPS} | options)


def packed(rows, fill=None):
    fill = fill or {}
    tokens = {name: round(n * L * fill.get(name, 1)) for name, n in rows.items()}
    return {name: Packed(n, tokens[name], tokens[name], "0" * 64) for name, n in rows.items()}


def compiled(phases, rows=ROWS, fill=None, **options):
    return compile_plan(phases, packed(rows, fill), **{"row_tokens": L, "seed": 4, "caps": CAPS} | options)


def test_the_stage_writes_a_plan_that_the_loader_reads(run):
    outcome = stage(run, run / "plan")
    plan = Plan.load(run / "plan")
    assert outcome.rows == plan.samples == 110
    assert plan.names == ("code", "math", "web")  # by name; what no phase draws is not in the plan
    assert plan.domains[1].index == file_sha256(run / "shards" / "math" / "index.json")
    assert sum(len(batch.tokens) for batch in Loader(run, batch_rows=4)) == 110
    facts = outcome.facts
    assert list(facts) == [field.name for field in fields(PlanFacts)]
    assert (facts["samples"], facts["tokens"], facts["document_tokens"], facts["knots"]) == (110, 110 * L, 110 * L, 3)
    assert facts["digest"] == plan.digest
    assert facts["phases"][-1] == 110
    assert set(facts["phases"]) <= {one.stop for one in plan.segments}
    assert len(facts["phases"]) == len(CURRICULUM)
    drawn = plan.counts(0, 110)
    for name, entry in facts["by_domain"].items():
        assert entry["rows"] == ROWS[name]
        assert entry["drawn_rows"] == drawn.get(name, 0)
        assert entry["realised_share"] == pytest.approx(drawn.get(name, 0) / 110)
        assert abs(entry["target_share"] - entry["realised_share"]) < 2 / 110
        assert entry["tokens"] == entry["target_tokens"] == entry["drawn_rows"] * L
        assert entry["epochs"] == pytest.approx(drawn.get(name, 0) / ROWS[name])
    assert list(facts["by_domain"]) == sorted(ROWS)


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    assert stage(run, tmp_path / "a") == stage(run, tmp_path / "b")
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]


def test_shares_follow_the_phases():
    plan = compiled(CURRICULUM)
    first, last = plan.counts(0, 40), plan.counts(80, 110)
    assert first == {"code": 8, "math": 0, "web": 32}
    assert last == {"code": 15, "math": 15, "web": 0}
    early, late = plan.counts(40, 60), plan.counts(60, 80)
    assert early["math"] < late["math"]
    assert early["web"] > late["web"]


def test_without_a_curriculum_every_row_is_read_once():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = {f"d{i}": int(n) for i, n in enumerate(rng.integers(0, 3000, int(rng.integers(1, 20))))} | {"e": 1}
        plan = compiled([], rows, {name: rng.uniform(0.5, 1) for name in rows} if seed % 2 else {})
        present = {name: n for name, n in rows.items() if n}
        assert plan.samples == sum(present.values())
        assert plan.counts(0, plan.samples) == present
        assert (plan.locate(0, plan.samples).epoch == 0).all()


def test_a_cap_below_one_holds_without_a_curriculum():
    assert one_epoch(packed({"web": 100, "math": 10}), L, EpochCaps(4.0, {"web": 0.5}))[0].until_tokens == 60 * L
    plan = compiled([], {"web": 100, "math": 10}, caps=EpochCaps(4.0, {"web": 0.5}))
    assert plan.counts(0, plan.samples) == {"web": 50, "math": 10}


def test_no_domain_is_repeated_beyond_its_cap():
    shares = {"web": 0.5, "math": 0.5}
    plan = compiled([Phase(36 * L, shares)], caps=EpochCaps(2.0))
    assert plan.counts(0, 36) == {"math": 18, "web": 18}
    assert plan.locate(0, 36).epoch.max() == 1
    with pytest.raises(PlanError, match=r"math: 2\.11 epochs of 9 rows; the cap is 2"):
        compiled([Phase(38 * L, shares)], caps=EpochCaps(2.0))


def test_impossible_curricula_are_refused(run, tmp_path):
    with pytest.raises(PlanError, match="domain 'wed' has a share"):
        stage(run, tmp_path, [Phase(10 * L, {"wed": 1.0})])
    with pytest.raises(PlanError, match="no domain has a row"):
        compiled([], {"web": 0})
    with pytest.raises(PlanError, match=r"curriculum\.0\.shape"):
        compiled([Phase(10 * L, {"web": 1.0}, "linear")])


def test_seed_and_rows_decide_the_digest():
    digests = {compiled(CURRICULUM, seed=seed).digest for seed in range(3)}
    assert len(digests) == 3
    assert compiled(CURRICULUM).digest == compiled(CURRICULUM).digest


FILL = {"web": 1.0, "code": 0.5, "math": 0.8}


def test_shares_and_tokens_are_those_of_documents():
    """Rows of code are half padding: it gets twice the rows, and training as many more of them."""
    rows = {"web": 900, "code": 900}
    plan = compiled([Phase(300 * L, {"web": 0.5, "code": 0.5})], rows, FILL)
    assert plan.counts(0, plan.samples) == {"code": 300, "web": 150}
    draws = draws_by_domain(plan, packed(rows, FILL))
    assert {name: (draw.tokens, draw.realised_share) for name, draw in draws.items()} == {
        "web": (150 * L, 0.5),
        "code": (150 * L, 0.5),
    }


@given(
    st.lists(
        st.tuples(st.integers(50, 9000), st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)), min_size=1
    ),
    st.sampled_from(["step", "linear", "cosine"]),
    st.lists(st.floats(0.4, 1), min_size=3, max_size=3),
)
def test_tokens_of_each_domain_are_the_integral_of_its_share(phases, shape, fill):
    """Within a row for each domain, one for each phase that ends inside a row, and a quarter where a ramp bends."""
    stop, found, meant, before = 0, [], np.zeros(3), None
    for length, weights in phases:
        share = np.array(weights) / sum(weights)
        meant += length * L * (share if before is None or shape == "step" else (share + before) / 2)
        stop, before = stop + length * L, share
        found.append(Phase(stop, dict(zip("abc", share.tolist(), strict=True)), shape if found else "step"))
    rows = dict.fromkeys("abc", 100_000)
    plan = compiled(found, rows, dict(zip("abc", fill, strict=True)), caps=EpochCaps(99.0))
    draws = draws_by_domain(plan, packed(rows, dict(zip("abc", fill, strict=True))))
    off = L * (2 + len(found) * (1 if shape == "step" else 12 if shape == "cosine" else 1.5))
    assert [draws[name].tokens for name in "abc"] == pytest.approx(meant.tolist(), abs=off)


@pytest.mark.parametrize(
    ("named", "shares"),
    [
        ("proportional", {"web": 0.6, "code": 0.3, "math": 0.1}),
        ("temperature", {"web": 0.472, "code": 0.334, "math": 0.193}),
        ("temperature:1e9", {"web": 1 / 3, "code": 1 / 3, "math": 1 / 3}),
        ("unimax", {"web": 0.45, "code": 0.45, "math": 0.1}),
    ],
)
def test_shares_by_name_come_from_the_tokens_that_there_are(named, shares):
    rows, caps = {"web": 600, "code": 600, "math": 100, "none": 0}, {"math": 0.5} if named == "unimax" else {}
    plan = compiled([Phase(500 * L, {}, named=named)], rows, {"code": 0.5}, caps=EpochCaps(4.0, caps))
    found = draws_by_domain(plan, packed(rows, {"code": 0.5}))
    assert {name: found[name].realised_share for name in shares} == pytest.approx(shares, abs=4e-3)
    assert found["none"].drawn_rows == 0


def test_of_a_cap_a_phase_has_its_part():
    """Two phases of equal length: unimax leaves half of what math may give to the second."""
    named = [Phase(100 * L, {}, named="unimax"), Phase(200 * L, {}, named="unimax")]
    plan = compiled(named, {"web": 200, "math": 10}, caps=EpochCaps(4.0))
    assert [plan.counts(at, at + 100)["math"] for at in (0, 100)] == [20, 20]
