"""From packed folders and a curriculum to a plan on disk."""

from dataclasses import fields

import numpy as np
import pytest

from gristmill.corpus.errors import PlanError
from gristmill.corpus.files import file_sha256
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.shards import ShardWriter
from gristmill.mixing.compile import VERSION, compile_plan, one_epoch, plan_stage
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


def compiled(phases, rows=ROWS, **options):
    digests = dict.fromkeys(rows, "0" * 64)
    defaults = {"row_tokens": L, "seed": 4, "caps": CAPS, "index_digests": digests}
    return compile_plan(phases, rows, **defaults | options)


def test_the_stage_writes_a_plan_that_the_loader_reads(run):
    outcome = stage(run, run / "plan")
    plan = Plan.load(run / "plan")
    assert VERSION == "1"
    assert outcome.rows == plan.samples == 110
    assert plan.names == ("code", "math", "web")  # by name; what no phase draws is not in the plan
    assert plan.domains[1].index == file_sha256(run / "shards" / "math" / "index.json")
    assert sum(len(batch.tokens) for batch in Loader(run, batch_rows=4)) == 110
    facts = outcome.facts
    assert list(facts) == [field.name for field in fields(PlanFacts)]
    assert (facts["samples"], facts["tokens"], facts["knots"]) == (110, 110 * L, 3)
    assert facts["digest"] == plan.digest
    drawn = plan.counts(0, 110)
    for name, entry in facts["by_domain"].items():
        assert entry["rows"] == ROWS[name]
        assert entry["drawn_rows"] == drawn.get(name, 0)
        assert entry["realised_share"] == pytest.approx(drawn.get(name, 0) / 110)
        assert abs(entry["target_share"] - entry["realised_share"]) < 2 / 110
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
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = {f"d{i}": int(n) for i, n in enumerate(rng.integers(0, 3000, int(rng.integers(1, 20))))} | {"e": 1}
        plan = compiled([], rows)
        present = {name: n for name, n in rows.items() if n}
        assert plan.samples == sum(present.values())
        assert plan.counts(0, plan.samples) == present
        assert (plan.locate(0, plan.samples).epoch == 0).all()


def test_a_cap_below_one_holds_without_a_curriculum():
    assert one_epoch({"web": 100, "math": 10}, L, EpochCaps(4.0, {"web": 0.5}))[0].until_tokens == 60 * L
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
