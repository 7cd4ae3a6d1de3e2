"""Rows under torch's loader: one stream, whatever ranks, workers and batch sizes there are, from any point on.

``bench/order.py`` is the long form: 100 points for each of the 28 pairs, and each pair with real processes.
"""

import json
import pickle
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from gristmill.handoff import torch as handed  # noqa: E402
from gristmill.handoff.failures import PlanError, StoreError  # noqa: E402
from gristmill.handoff.loader import Loader  # noqa: E402
from gristmill.handoff.torch import PlannedBatches, PlannedSteps  # noqa: E402

SAMPLES = 203
WORLDS, WORKERS = (1, 2, 3, 4, 5, 7, 8), (0, 1, 2, 4)


@pytest.fixture(scope="module")
def whole(written):
    """The digest of every sample's row."""
    return {
        int(s): d.tobytes() for b in Loader(written[0], batch_rows=8) for s, d in zip(b.sample, b.digest, strict=True)
    }


def in_turn(dataset, workers, monkeypatch):
    """What ``DataLoader`` would hand out: an item of each worker in turn, each a copy of the data set."""
    if not workers:
        monkeypatch.setattr(handed, "get_worker_info", lambda: None)
        yield from dataset
        return
    copies = [iter(pickle.loads(pickle.dumps(dataset))) for _ in range(workers)]
    left = list(range(workers))
    while left:
        for worker in list(left):
            monkeypatch.setattr(handed, "get_worker_info", lambda w=worker: SimpleNamespace(id=w, num_workers=workers))
            item = next(copies[worker], None)
            if item is None:
                left.remove(worker)
            else:
                yield item


def rows_of(items):
    return {int(s): d.numpy().tobytes() for item in items for s, d in zip(item["sample"], item["digest"], strict=True)}


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("world", WORLDS)
def test_the_stream_is_the_same_for_any_ranks_and_workers_from_any_point(written, whole, world, workers, monkeypatch):
    rng = np.random.default_rng([world, workers])
    for cursor in (0, int(rng.integers(SAMPLES)), SAMPLES - 3):
        found, batch_rows = {}, int(rng.integers(1, 20))
        for rank in range(world):
            data = PlannedBatches(written[0], batch_rows=batch_rows, rank=rank, world=world, digests=True)
            data.load_state_dict({"cursor": cursor, "step": 5, "plan": data.state_dict()["plan"]})
            items = list(in_turn(data, workers, monkeypatch))
            assert [int(item["step"]) for item in items] == list(range(5, 5 + len(data)))
            part = rows_of(items)
            assert not found.keys() & part.keys()
            found |= part
        assert found == {sample: row for sample, row in whole.items() if sample >= cursor}


def test_workers_that_do_not_know_of_each_other_would_be_seen(written, whole, monkeypatch):
    """The fault of many a data set: with two workers every row came twice."""
    monkeypatch.setattr(handed, "get_worker_info", lambda: None)
    data = PlannedBatches(written[0], batch_rows=8, digests=True)
    one, other = rows_of(data), rows_of(pickle.loads(pickle.dumps(data)))
    assert one == other == whole


def test_ranks_workers_and_batches_change_in_mid_run(written, whole, monkeypatch):
    found, state = {}, None
    for world, workers, batch_rows, steps in ((2, 2, 8, 5), (3, 0, 11, 4), (1, 4, 5, 7), (8, 1, 16, 99)):
        after = set()
        for rank in range(world):
            data = PlannedBatches(written[0], batch_rows=batch_rows, rank=rank, world=world, digests=True)
            if state:
                data.load_state_dict(json.loads(json.dumps(state)))
            items = list(islice(in_turn(data, workers, monkeypatch), steps))
            part = rows_of(items)
            assert not found.keys() & part.keys()
            found |= part
            after.add(json.dumps(data.state_after(items[-1])))
        (state,) = map(json.loads, after)
    assert found == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_torchs_own_loader_hands_out_the_steps_in_order(written, whole, workers):
    for data in (PlannedBatches(written[0], batch_rows=8, digests=True), PlannedSteps(written[0], batch_rows=8)):
        loader = DataLoader(data, batch_size=None, num_workers=workers)
        items = list(loader)
        assert [int(item["step"]) for item in items] == list(range(26)) == list(range(len(loader)))
        assert torch.cat([item["sample"] for item in items]).tolist() == list(range(SAMPLES))
        assert not isinstance(data, PlannedBatches) or rows_of(items) == whole
        assert int(data[-1]["cursor"]) == SAMPLES if isinstance(data, PlannedSteps) else len(list(loader)) == 26


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_each_workers_own_state_goes_on_with_its_next_step(written, workers, monkeypatch):
    """What torchdata's loader does: it saves the state of each worker's copy and gives each its own back."""
    data = PlannedBatches(written[0], batch_rows=8)
    for worker in range(max(workers, 1)):
        info = SimpleNamespace(id=worker, num_workers=workers) if workers else None
        monkeypatch.setattr(handed, "get_worker_info", lambda info=info: info)
        expected = [int(item["step"]) for item in data]
        steps = iter(data)
        seen = [int(next(steps)["step"]) for _ in range(3)]
        again = PlannedBatches(written[0], batch_rows=8)
        again.load_state_dict(json.loads(json.dumps(data.state_dict())))
        assert [*seen, *(int(item["step"]) for item in again)] == expected
        assert expected == list(range(worker, 26, max(workers, 1)))
        assert again.state_dict()["plan"] == data.state_dict()["plan"]


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # of torchdata, by torch 2.13
def test_torchdatas_loader_goes_on_where_it_was(written, whole):
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    for workers in (0, 2):
        loader = stateful(PlannedBatches(written[0], batch_rows=8, digests=True), batch_size=None, num_workers=workers)
        first = list(islice(loader, 7))
        again = stateful(PlannedBatches(written[0], batch_rows=8, digests=True), batch_size=None, num_workers=workers)
        again.load_state_dict(loader.state_dict())
        assert rows_of([*first, *again]) == whole


def test_states_of_other_workers_and_plans_are_refused(written, monkeypatch):
    data = PlannedBatches(written[0], batch_rows=8)
    with pytest.raises(PlanError, match="the checkpoint belongs to plan"):
        data.load_state_dict({"cursor": 8, "plan": "0" * 64})
    data.load_state_dict({**data.state_dict(), "taken": 2, "workers": 3})
    assert len(data) == 26 - 6
    with pytest.raises(PlanError, match="of one of 3 workers, here are 1; keep state_after"):
        next(iter(data))
    with pytest.raises(IndexError, match="step 26 of 26"):
        PlannedSteps(written[0], batch_rows=8)[26]


def test_a_workers_error_arrives_with_the_shards_name(written, tmp_path):
    import shutil

    folder = shutil.copytree(written[0], tmp_path / "run")
    one, other = (folder / "shards" / "web" / f"data-0000{n}-of-00007.arrow" for n in (1, 2))
    moved = one.read_bytes()
    one.write_bytes(other.read_bytes() if len(moved) == other.stat().st_size else moved[:-1] + b"x")
    loader = DataLoader(PlannedBatches(folder, batch_rows=8), batch_size=None, num_workers=1)
    with pytest.raises(StoreError, match="data-00001-of-00007"):
        list(loader)


def test_a_state_that_persistent_workers_cannot_see_is_an_error(written):
    data = PlannedBatches(written[0], batch_rows=8)
    loader = DataLoader(data, batch_size=None, num_workers=1, persistent_workers=True)
    first = [item["cursor"] for item in loader]
    assert [item["cursor"] for item in loader] == first
    data.load_state_dict(data.state_after(next(iter(PlannedBatches(written[0], batch_rows=8)))))
    with pytest.raises(PlanError, match="make a new DataLoader"):
        list(loader)
    again = DataLoader(data, batch_size=None, num_workers=1)
    assert [item["cursor"] for item in again] == first[1:]
