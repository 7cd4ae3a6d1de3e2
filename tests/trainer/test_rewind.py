"""Unlearning on a small run: overwritten rows, the step to go back to, and the weights of a fresh training."""

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gristmill.corpus.files import file_sha256, read_json, write_json
from gristmill.flows.takedown.overwritten_rows import (
    MASKED_FILE,
    Erasure,
    _left,
    pieces_of,
    restamp_plan,
    write_overwritten,
)
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.shards import ShardWriter
from gristmill.tokenizer.stage import PAD_ID
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.rewind import base_before, first_step, go_back

from .conftest import ROWS

COMPARED = ("consumption.parquet", "evaluation.parquet", "load.parquet", "summary.json")


@pytest.fixture
def spaced(config):
    """A checkpoint every step, three of them kept beside the last two."""
    return replace(config, checkpoint_steps=1, keep=3)


@pytest.fixture(scope="module")
def before(run, tmp_path_factory):
    """Where ``trained`` trains once for all tests."""
    return shutil.copytree(run, tmp_path_factory.mktemp("before") / "run")


@pytest.fixture
def trained(before, spaced, tmp_path):
    """A copy of a run with its training."""
    if not (before / "train").exists():
        train(before, before / "train", spaced)
    return shutil.copytree(before, tmp_path / "run")


def overwrite(run, doc_ids):
    """Overwrite pieces of all shards and held-out rows and restamp the plan; returns the pieces in the shards."""
    pieces = pa.concat_tables([pieces_of(run / "shards" / name, name, doc_ids) for name in ROWS])
    for stage in ("shards", "heldout"):
        (run / stage).rename(run / "old")
        for name in ROWS:
            write_overwritten(run / "old" / name, run / stage / name, Erasure(tuple(doc_ids), PAD_ID))
        shutil.rmtree(run / "old")
    (run / "plan").rename(run / "old")
    restamp_plan(run / "old", {name: run / "shards" / name for name in ROWS}, pieces, {}, run / "plan")
    shutil.rmtree(run / "old")
    return pieces


def rows_of(pieces):
    return {name: np.array([row["row"] for row in pieces.to_pylist() if row["domain"] == name], int) for name in ROWS}


def retrain(run, config, doc_ids, spoil=lambda run, base: base):
    """What the takedown does, without the mill around it; ``spoil`` plants a fault after going back."""
    plan = Plan.load(run / "plan")
    pieces = pa.concat_tables([pieces_of(run / "shards" / name, name, doc_ids) for name in ROWS])
    first = first_step(plan, rows_of(pieces), config.batch_rows)
    base = base_before(run / "train", config, plan, first)
    overwrite(run, doc_ids)
    base = spoil(run, base)
    go_back(run, run / "train", config, base)
    spoil(run, base)
    train(run, run / "train", config)
    return first, base


def unequal(run, other):
    """Files of common checkpoints, and tables, that differ."""
    steps = checkpoint.saved_steps(other / "checkpoints")
    names = (checkpoint.MODEL, checkpoint.TRAINING, checkpoint.STATE)
    paths = [f"checkpoints/step-{step:09d}/{name}" for step in steps for name in names]
    assert steps == checkpoint.saved_steps(run / "train" / "checkpoints")
    digests = [(file_sha256(run / "train" / path), file_sha256(other / path)) for path in (*paths, *COMPARED)]
    return [path for path, (mine, theirs) in zip((*paths, *COMPARED), digests, strict=True) if mine != theirs]


def documents_of(run):
    return sorted(
        {
            one["doc_id"]
            for stage in ("shards", "heldout")
            for name in ROWS
            for row in ShardReader(run / stage / name).documents(np.arange(ShardReader(run / stage / name).rows))
            for one in row
        }
    )


@pytest.mark.parametrize("seed", range(4))
def test_going_on_equals_training_from_the_start(trained, spaced, tmp_path, seed):
    rng = np.random.default_rng(seed)
    doc_ids = rng.choice(documents_of(trained), [1, 2, 9, 60][seed], replace=False).tolist()
    order = Plan.load(trained / "plan").locate(0, 26)
    first, base = retrain(trained, spaced, doc_ids)
    assert base < (first or 99)
    train(trained, tmp_path / "fresh", spaced)
    assert unequal(trained, tmp_path / "fresh") == []
    assert not set(doc_ids) & set(documents_of(trained))
    assert all(np.array_equal(a, b) for a, b in zip(order, Plan.load(trained / "plan").locate(0, 26), strict=True))


def test_a_step_that_lost_every_token_is_taken_all_the_same(trained, spaced, tmp_path):
    located = Plan.load(trained / "plan").locate(24, 26)  # the last, short step
    gone = [
        one["doc_id"]
        for domain, row in zip(located.domain, located.row, strict=True)
        for one in ShardReader(trained / "shards" / list(ROWS)[domain]).documents(np.array([row]))[0]
    ]
    retrain(trained, spaced, gone)
    train(trained, tmp_path / "fresh", spaced)
    assert unequal(trained, tmp_path / "fresh") == []
    last = pq.read_table(trained / "train" / "metrics.parquet").to_pylist()[-1]
    assert (last["step"], last["tokens"], last["loss"]) == (7, 0, 0.0)


def late(run, config):
    """A document that a middle step sees first, with checkpoints before and behind."""
    for doc_id in documents_of(run):
        pieces = pa.concat_tables([pieces_of(run / "shards" / name, name, [doc_id]) for name in ROWS])
        if first_step(Plan.load(run / "plan"), rows_of(pieces), config.batch_rows) == 4:
            return doc_id
    raise AssertionError("no document is seen first in step 4")


def one_moment(run, base):
    path = checkpoint.folder_of(run / "train" / "checkpoints", base)
    document = read_json(path / checkpoint.STATE)
    if document["state"]["loader"]["plan"] == Plan.load(run / "plan").digest:  # after going back
        tensors = load_file(path / checkpoint.TRAINING)
        tensors["optimizer.exp_avg.embedding"][3, 3] += 1e-4
        save_file(tensors, path / checkpoint.TRAINING)
        document["files"][checkpoint.TRAINING] = file_sha256(path / checkpoint.TRAINING)
        write_json(path / checkpoint.STATE, document)
    return base


def later_checkpoint(run, base):
    return min(step for step in checkpoint.saved_steps(run / "train" / "checkpoints") if step >= max(base, 4))


@pytest.mark.parametrize("fault", ["none", "copy forgotten", "moment altered", "wrong checkpoint"])
def test_three_planted_faults_are_seen(trained, spaced, tmp_path, fault):
    whole = [late(trained, spaced), "web1.4"]
    right = shutil.copytree(trained, tmp_path / "right")
    overwrite(right, whole)
    train(right, tmp_path / "fresh", spaced)
    spoil = {"moment altered": one_moment, "wrong checkpoint": later_checkpoint}.get(fault, lambda run, base: base)
    retrain(trained, spaced, whole[1:] if fault == "copy forgotten" else whole, spoil)
    weights = [path for path in unequal(trained, tmp_path / "fresh") if path.endswith(checkpoint.MODEL)]
    assert bool(weights) == (fault != "none")


@pytest.mark.parametrize("batch_rows", [1, 4, 100])
def test_the_first_step_is_the_one_of_a_walk(run, batch_rows, monkeypatch):
    monkeypatch.setattr("gristmill.trainer.training.rewind.WALK", 5)
    plan = Plan.load(run / "plan")
    located = [column.tolist() for column in plan.locate(0, 26)]
    for name, row in (("books", 3), ("code", 0), ("web", 49), ("web", 7)):
        seen = [i for i, (d, _, r) in enumerate(zip(*located, strict=True)) if (plan.names[d], r) == (name, row)]
        expected = seen[0] // batch_rows + 1 if seen else None
        assert first_step(plan, {name: np.array([row])}, batch_rows) == expected
    assert first_step(plan, {}, batch_rows) is None


def test_a_damaged_checkpoint_is_passed_over(trained, spaced):
    plan = Plan.load(trained / "plan")
    saved = checkpoint.saved_steps(trained / "train" / "checkpoints")
    assert base_before(trained / "train", spaced, plan, None) == saved[-1] == 7
    (checkpoint.folder_of(trained / "train" / "checkpoints", 7) / checkpoint.MODEL).write_bytes(b"")
    assert base_before(trained / "train", spaced, plan, None) == saved[-2]
    assert base_before(trained / "train", spaced, plan, 1) == 0


intervals = st.lists(st.tuples(st.integers(0, 15), st.integers(1, 5)), max_size=4)


@given(intervals, st.sets(st.integers(0, 15)))
def test_targets_left_equal_a_set_of_positions(slices, gone):
    starts, end = [], 0
    for gap, length in slices:
        if end + gap + length <= 16:
            starts.append({"start": end + gap, "length": length})
            end += gap + length
    inside = np.isin(np.arange(16), sorted(gone))
    positions = {p for one in starts for p in range(one["start"], one["start"] + one["length"])}
    left = _left(starts, inside)
    assert {p for one in left for p in range(one["start"], one["start"] + one["length"])} == positions - gone
    assert all(a["start"] + a["length"] <= b["start"] for a, b in pairwise(left))


@pytest.mark.parametrize(("masked", "ordered"), [(False, False), (True, False), (True, True)])
def test_only_the_pieces_change(tmp_path, masked, ordered):
    """Against a copy of every row that is changed by hand; files without a piece keep their bytes."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(2, 50, (20, 8))
    documents = [
        [
            {"doc_id": f"d{row % 7}", "start": 0, "length": 3, "offset": 0},
            {"doc_id": f"e{row}", "start": 3, "length": 4, "offset": 5},
        ]
        for row in range(20)
    ]
    targets = [[{"start": 1, "length": 5}] for _ in range(20)] if masked else None
    writer = ShardWriter(tmp_path / "a", row_tokens=8, vocab_size=50, shard_rows=5, batch_rows=2, targets=masked)
    with writer.with_buckets([{"group": 0}, {"group": 1}] if ordered else []):
        for bucket, at in enumerate((slice(0, 3), slice(3, 20))):
            writer.write(tokens[at], documents[at], targets and targets[at], bucket=bucket if ordered else None)
    write_overwritten(tmp_path / "a", tmp_path / "b", Erasure(("e1", "d3", "unknown"), PAD_ID))
    reader, rows = ShardReader(tmp_path / "b"), np.arange(20)
    touched = {1: slice(3, 7)} | {row: slice(0, 3) for row in (3, 10, 17)}
    for row, place in touched.items():
        tokens[row, place] = PAD_ID
        documents[row] = [one for one in documents[row] if one["doc_id"] not in ("e1", "d3")]
    assert np.array_equal(reader.tokens(rows), tokens)
    assert reader.documents(rows) == documents
    assert reader.index.get("buckets", []) == [{"group": 0, "rows": 3}, {"group": 1, "rows": 17}][: 2 * ordered]
    if masked:
        mask = np.zeros((20, 8), bool)
        mask[:, 1:6] = True
        for row, place in touched.items():
            mask[row, place] = False
        assert np.array_equal(reader.mask(rows), mask)
    files = [sorted((tmp_path / name).glob("data-*")) for name in "ab"]
    same = [a.read_bytes() == b.read_bytes() for a, b in zip(*files, strict=True)]
    assert same == [False, True, False, False]
    found = pieces_of(tmp_path / "a", "web", ["e1", "d3", "unknown"]).to_pylist()
    assert [(one["row"], one["start"], one["length"]) for one in found] == [
        (1, 3, 4), (3, 0, 3), (10, 0, 3), (17, 0, 3)]  # fmt: skip


def test_pieces_of_an_earlier_takedown_stay_in_the_mask(trained):
    first = overwrite(trained, ["web1.4"])
    second = overwrite(trained, ["web3.4", "books2.0"])
    masked = pq.read_table(trained / "plan" / MASKED_FILE)
    assert masked.equals(pa.concat_tables([first, second]))
