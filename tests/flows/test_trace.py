"""From a step to its documents and back, each against a walk over all samples."""

import re
import shutil
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import AmbiguousNameError, PlanError, StoreError, UnknownNameError
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.trace import trace_document, trace_step
from gristmill.handoff.piece_index import FOLDER
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader

BATCH_ROWS = 8
STEP_KEYS = ("step", "sample", "epoch")


@pytest.fixture(scope="module")
def walked(small_run):
    """By doc_id all steps, found by going through every sample of the plan and every document of its row."""
    plan = Plan.load(small_run / "plan")
    readers = [ShardReader(small_run / "shards" / name) for name in plan.names]
    found = defaultdict(list)
    for sample, (domain, epoch, row) in enumerate(zip(*plan.locate(0, plan.samples), strict=True)):
        for place, document in enumerate(readers[domain].documents(np.array([row]))[0]):
            step = {"step": sample // BATCH_ROWS + 1, "sample": sample, "epoch": epoch, "row": row, "slice": place}
            found[document["doc_id"]].append(step)
    return found


def test_every_document_has_the_steps_that_a_walk_finds(small_run, walked):
    for doc_id, steps in list(walked.items())[::3]:
        answer = trace_document(small_run, doc_id)
        assert answer["steps"] == steps
        assert {(one["row"], one["slice"]) for one in steps} <= {(p["row"], p["slice"]) for p in answer["pieces"]}
        assert (answer["verdict"], answer["batch_rows"]) == ("kept", BATCH_ROWS)


def test_steps_and_documents_are_inverse_to_each_other(small_run):
    for row in trace_step(small_run, 11)["rows"]:
        for place, document in enumerate(row["documents"]):
            steps = trace_document(small_run, document["doc_id"])["steps"]
            here = {"step": 11, "slice": place, **{key: row[key] for key in ("sample", "epoch", "row")}}
            assert here in steps


def test_explain_has_the_same_steps(small_run, walked):
    doc_id = max(walked, key=lambda name: len(walked[name]))
    rows = explain_document(small_run, doc_id)["rows"]
    explained = [{key: one[key] for key in STEP_KEYS} for row in rows for one in row["steps"]]
    assert sorted(explained, key=lambda one: one["sample"]) == [
        {key: one[key] for key in STEP_KEYS} for one in walked[doc_id]
    ]
    assert all(row["doc_id"] == doc_id for row in rows)


def verdicts_of(run, verdict):
    return [doc["doc_id"] for doc in ledger(run) if doc["verdict"] == verdict]


def ledger(run):
    from gristmill.flows.pipeline.open_context import read_run

    return pq.read_table(read_run(run).file("decide", "ledger.parquet")).to_pylist()


def test_a_document_that_no_step_trains_on_says_why(small_run, walked):
    heldout = ShardReader(small_run / "heldout" / "forum").documents(np.array([0]))[0][0]["doc_id"]
    dropped, merged = (verdicts_of(small_run, verdict)[0] for verdict in ("dropped", "merged"))
    for doc_id, verdict in ((heldout, "heldout"), (dropped, "dropped"), (merged, "merged")):
        answer = trace_document(small_run, doc_id)
        assert (answer["doc_id"], answer["verdict"], answer["steps"], answer["pieces"]) == (doc_id, verdict, [], [])
    unused = next(one for one in verdicts_of(small_run, "kept") if one not in walked and one != heldout)
    assert trace_document(small_run, unused)["steps"] == []


def test_by_prefix_locator_and_the_inputs_own_id(small_run, walked):
    locator = explain_document(small_run, "sotu/2016_barack_obama_d")["stages"][0]["locator"]
    with pytest.raises(UnknownNameError, match=f"'{re.escape(locator)}'|known: .*{re.escape(locator)}"):
        explain_document(small_run, locator.rsplit("/", 1)[1])
    answer = trace_document(small_run, locator)
    assert answer == trace_document(small_run, "sotu/2016_barack_obama_d")
    assert answer == trace_document(small_run, answer["doc_id"])
    assert answer == trace_document(small_run, answer["doc_id"][:8])
    assert answer["steps"] == walked[answer["doc_id"]]
    with pytest.raises(UnknownNameError, match="unknown document"):
        trace_document(small_run, "0" * 32)


def test_a_prefix_of_several_documents_is_refused(small_run, walked, monkeypatch):
    monkeypatch.setattr("gristmill.flows.inspect.trace.is_prefix", bool)
    with pytest.raises(AmbiguousNameError, match="is the beginning of"):
        trace_document(small_run, next(iter(walked))[:1])


def test_without_an_index_or_a_plan_the_run_is_to_be_run_again(small_run, tmp_path, walked):
    copied, doc_id = shutil.copytree(small_run, tmp_path / "copy"), next(iter(walked))
    shutil.rmtree(copied / "plan" / FOLDER)
    with pytest.raises(StoreError, match="run the recipe again"):
        trace_document(copied, doc_id)
    shutil.rmtree(copied / "plan")
    with pytest.raises(StoreError, match="has no plan yet"):
        trace_step(copied, 1)


def test_a_row_has_its_own_loss_once_it_is_trained_on(small_run, tmp_path):
    copied = shutil.copytree(small_run, tmp_path / "copy")
    log = pa.table(
        {"sample": list(range(16, 22)), "nats": [3.0, 8.0, 0.0, 1.0, 2.0, 4.0], "targets": [2, 4, 0, 1, 1, 8]}
    )
    shutil.rmtree(copied / "train")
    (copied / "train" / "log").mkdir(parents=True)
    for number, part in enumerate((log.slice(0, 4), log.slice(4))):  # sealed by two checkpoints of a training
        pq.write_table(part, copied / "train" / "log" / f"consumption-{number:09d}.parquet")
    losses = [row["loss"] for row in trace_step(copied, 3)["rows"]]
    assert losses == [1.5, 2.0, None, 1.0, 2.0, 0.5, None, None]
    assert {row["loss"] for row in trace_step(copied, 2)["rows"]} == {None}


def test_the_text_is_what_the_tokens_spell(small_run):
    for row in trace_step(small_run, 6, text=True)["rows"]:
        for document in row["documents"]:
            head = explain_document(small_run, document["doc_id"])["stages"][0]["head"]
            assert document["text"]
            assert document["offset"] or document["text"][:40] == head[: len(document["text"])][:40]
    assert "text" not in trace_step(small_run, 6)["rows"][0]["documents"][0]


def test_a_step_beyond_the_plan(small_run):
    with pytest.raises(PlanError, match="steps 1 to"):
        trace_step(small_run, 10**6)
