"""The loader, trace and audit: one stream for any ranks, exact resume, and nothing consumed that was not planned."""

import json
import shutil
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest

from gristmill.corpus.errors import PlanError, StoreError
from gristmill.handoff import loader as loader_module
from gristmill.handoff.audit import consumed, differences
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.trace import trace

SAMPLES = 203


def stream(loader):
    """Everything a loader yields, by sample."""
    found = {}
    for batch in loader:
        for i, sample in enumerate(batch.sample.tolist()):
            mine = batch.slices.row == i
            slices = np.transpose([batch.slices.start[mine], batch.slices.length[mine]]).tolist()
            place = (int(batch.domain[i]), int(batch.epoch[i]), int(batch.row[i]))
            found[sample] = (batch.step, *place, batch.tokens[i].tolist(), slices)
    return found


@pytest.fixture(scope="module")
def whole(written):
    return stream(Loader(written[0], batch_rows=8))


def test_every_planned_sample_is_delivered_once_and_right(written, whole):
    folder, content = written
    plan = Plan.load(folder / "plan")
    assert sorted(whole) == list(range(SAMPLES))
    located = plan.locate(0, SAMPLES)
    for sample, (step, domain, epoch, row, tokens, slices) in whole.items():
        assert (domain, epoch, row) == tuple(int(column[sample]) for column in located)
        written_tokens, documents = content[plan.names[domain]]
        assert tokens == written_tokens[row].tolist()
        assert slices == [[d["start"], d["length"]] for d in documents[row]]
        assert step == sample // 8


def test_batches_have_the_planned_shapes(written):
    batches = list(Loader(written[0], batch_rows=8))
    assert [batch.step for batch in batches] == list(range(26))
    assert [len(batch.tokens) for batch in batches] == [8] * 25 + [3]  # the last step is short, not dropped
    assert batches[0].tokens.dtype == np.int64
    assert batches[-1].cursor == SAMPLES


@pytest.mark.parametrize("world", [1, 2, 3, 4, 5, 7, 8, 11])
@pytest.mark.parametrize("batch_rows", [8, 5])
def test_any_number_of_ranks_reads_the_same_stream(written, whole, world, batch_rows):
    found, steps = {}, set()
    for rank in range(world):
        loader = Loader(written[0], batch_rows=batch_rows, rank=rank, world=world)
        part = stream(loader)
        assert all(sample % batch_rows % world == rank for sample in part)
        assert not found.keys() & part.keys()
        found |= part
        steps.add(len(list(Loader(written[0], batch_rows=batch_rows, rank=rank, world=world))))
    assert steps == {-(-SAMPLES // batch_rows)}  # every rank takes every step, with no rows if need be
    assert {sample: value[1:] for sample, value in found.items()} == {s: value[1:] for s, value in whole.items()}


@pytest.mark.parametrize("ahead", [1, 200, 10_000])
def test_reading_ahead_changes_nothing(written, whole, ahead, monkeypatch):
    monkeypatch.setattr(loader_module, "AHEAD_TOKENS", ahead)
    assert stream(Loader(written[0], batch_rows=8)) == whole


def test_resume_anywhere_with_any_batch_and_world(written, whole):
    for after in range(0, 26, 3):
        first = Loader(written[0], batch_rows=8)
        batches = iter(first)
        seen = [sample for _ in range(after) for sample in next(batches).sample.tolist()]
        state = json.loads(json.dumps(first.state))
        assert len(json.dumps(state)) < 1000
        rest = {}
        for rank in range(3):
            second = Loader(written[0], batch_rows=7, rank=rank, world=3)
            second.resume(state)
            rest |= stream(second)
        assert sorted([*seen, *rest]) == list(range(SAMPLES))
        assert all(value[1:] == whole[sample][1:] for sample, value in rest.items())
        assert min(rest, default=SAMPLES) == state["cursor"]


def test_state_follows_the_batch_in_hand(written):
    loader = Loader(written[0], batch_rows=8)
    for batch in loader:
        assert loader.state == {"cursor": batch.cursor, "step": batch.step + 1, "plan": loader.plan.digest}
    assert list(loader) == []


def test_steps_run_on_after_a_change_of_batch_rows(written):
    """By the cursor alone the numbers of 2, 3, 4, 5, 6, 6 repeated, or left a gap."""
    for first, second in ((8, 5), (5, 8), (7, 7)):
        loader = Loader(written[0], batch_rows=first)
        seen = [batch.step for batch in islice(loader, 5)]
        rest = Loader(written[0], batch_rows=second)
        rest.resume(json.loads(json.dumps(loader.state)))
        seen += [batch.step for batch in rest]
        assert seen == list(range(5 + -(-(SAMPLES - 5 * first) // second)))
    assert next(iter(Loader(written[0], batch_rows=8, cursor=16))).step == 2


def test_another_plan_is_refused(written):
    loader = Loader(written[0], batch_rows=8)
    for state in ({"cursor": 8, "plan": "0" * 64}, {"cursor": 8}, {}):
        with pytest.raises(PlanError, match="the checkpoint belongs to plan"):
            loader.resume(state)
    with pytest.raises(PlanError, match="cursor 204 is not in the plan, which has 203"):
        loader.resume({"cursor": 204, "plan": loader.plan.digest})


@pytest.mark.parametrize(("rank", "world", "rows"), [(2, 2, 8), (-1, 2, 8), (0, 0, 8), (0, 1, 0)])
def test_impossible_ranks_are_refused(written, rank, world, rows):
    with pytest.raises(PlanError, match="cannot read steps"):
        Loader(written[0], batch_rows=rows, rank=rank, world=world)
    with pytest.raises(PlanError, match="reuse = -1"):
        Loader(written[0], batch_rows=1, reuse=-1)


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written[0], tmp_path / "run")


def test_shards_that_the_plan_was_not_made_for_are_refused(copy):
    index = copy / "shards" / "code" / "index.json"
    index.write_text(index.read_text().replace('"vocab_size": 100', '"vocab_size": 101'))
    with pytest.raises(PlanError, match=r"code.index\.json is missing or is not what the plan was made for"):
        Loader(copy, batch_rows=8)
    index.unlink()
    with pytest.raises(PlanError, match="is missing"):
        Loader(copy, batch_rows=8)


def test_a_flipped_bit_never_reaches_a_batch(copy):
    path = copy / "shards" / "web" / "data-00003-of-00007.arrow"
    content = bytearray(path.read_bytes())
    tokens = pa.ipc.open_stream(path).read_next_batch()["tokens"].flatten().to_numpy().tobytes()
    content[bytes(content).index(tokens) + 9] ^= 32
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"data-00003.*record batch 0"):
        list(Loader(copy, batch_rows=8))


def test_trace_names_the_documents_of_a_batch(written, whole):
    folder, content = written
    names = Plan.load(folder / "plan").names
    for step in (0, 11, 25):
        rows = trace(folder, step, 8)
        assert [row["sample"] for row in rows] == list(range(step * 8, min(step * 8 + 8, SAMPLES)))
        for row in rows:
            _, domain, epoch, number, _, _ = whole[row["sample"]]
            assert (row["domain"], row["epoch"], row["row"]) == (names[domain], epoch, number)
            assert row["documents"] == content[row["domain"]][1][number]


@pytest.mark.parametrize("step", [-1, 26])
def test_a_step_beyond_the_plan_is_refused(written, step):
    with pytest.raises(PlanError, match=f"steps 0 to 25; there is no step {step}"):
        trace(written[0], step, 8)


def record(folder, loader):
    names = loader.plan.names
    columns = {"domain": [], "epoch": [], "row": []}
    for batch in loader:
        columns["domain"] += [names[d] for d in batch.domain]
        columns["epoch"] += batch.epoch.tolist()
        columns["row"] += batch.row.tolist()
    return pa.table(columns)


def test_what_was_consumed_is_what_was_planned(written):
    folder, _ = written
    table = record(folder, Loader(folder, batch_rows=8))
    assert differences(folder, table) == []
    assert differences(folder, table.slice(0, 100)) == []
    assert differences(folder, table.set_column(0, "domain", table["domain"].dictionary_encode())) == []
    counts = {name: table["domain"].to_pylist()[:150].count(name) for name in ("books", "code", "web")}
    assert consumed(folder, 150) == counts


def test_differences_names_the_first_sample_that_differs(written):
    folder, _ = written
    table = record(folder, Loader(folder, batch_rows=8))
    swapped = table.take([*range(17), 18, 17, *range(19, SAMPLES)])
    assert differences(folder, swapped)[0].startswith("sample 17: the plan says ")
    strange = table.set_column(0, "domain", pa.array(["other"] * SAMPLES))
    assert differences(folder, strange)[0].startswith("sample 0: ")
    longer = pa.concat_tables([table, table.slice(0, 1)])
    assert differences(folder, longer) == ["204 samples were consumed, the plan has 203"]
