"""A step in parts: micro-batches of one process, and the rows of two, against one batch."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from gristmill.corpus.errors import TrainError
from gristmill.handoff.loader import Loader
from gristmill.trainer.model import exchange
from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.training.checkpoint import folder_of, load
from gristmill.trainer.training.consumption import figures_of_parts
from gristmill.trainer.training.division import expect_divisible
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.int8_sums import (
    add_gradients_in_int8,
    rounded,
    scale_of,
    stored,
    taken_out,
)
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.micro_batches import parts_of
from gristmill.trainer.training.ranks import Ranks
from gristmill.trainer.training.replay import unequal
from gristmill.trainer.training.session import begin
from gristmill.trainer.training_stage import TrainingStage
from tests.trainer.conftest import changed, make_run
from tests.trainer.processes import exchanged_differences, on_two_ranks, train_on_rank

SAMPLES, STEPS = 25, 7  # 4 rows a step; the last has one row, and the second of two ranks none


@pytest.fixture
def still(config):
    return changed(config, dropout=0.0, checkpoint_steps=3, ahead=1)


@pytest.mark.parametrize("rows", [0, 1, 4, 5])
@pytest.mark.parametrize("parts", [1, 2, 3, 9])
def test_parts_hold_every_row_once_in_order(run, rows, parts):
    batch = next(iter(Loader(run, batch_rows=8)))
    inside = batch.slices.row < rows
    columns = {name: getattr(batch, name)[:rows] for name in ("sample", "tokens", "domain", "epoch", "row")}
    batch = batch._replace(**columns, slices=type(batch.slices)(*(column[inside] for column in batch.slices)))
    found = parts_of(batch, parts)
    assert len(found) == (1 if parts == 1 else max(min(parts, rows), 1))
    assert [n for part in found for n in part.sample.tolist()] == batch.sample.tolist()
    assert np.array_equal(np.concatenate([part.digest for part in found]), batch.digest)


@pytest.mark.parametrize("name", ["", *sorted(BALANCES.keys() - {"switch"})])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_give_the_gradient_counts_and_digests_of_one_batch(long_run, still, name, parts):
    config = replace(still, balance={name: 0.5} if name else {}, seed=1)
    model, batch = begin(config).model, next(iter(Loader(long_run, batch_rows=8)))
    for router in model.routers:
        router.weight.data *= 20  # loads far from even
    found = []
    for n in (1, parts):
        packed = [pack_batch(part) for part in parts_of(batch, n)]
        model.zero_grad()
        sums = add_gradients(model, packed, config)
        figures = figures_of_parts(packed, sums.each)
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        found.append((sums, figures, gradient))
    (one, figures, gradient), (several, in_parts, of_parts) = found
    assert torch.equal(one.counts, several.counts)
    assert one.loss == pytest.approx(several.loss, abs=1e-6)
    assert one.ahead == pytest.approx(several.ahead, abs=1e-6)
    assert (gradient - of_parts).abs().max() < 1e-6 * max(1.0, float(gradient.abs().max()))
    assert np.array_equal(figures.digest, in_parts.digest)
    assert figures.targets.tolist() == in_parts.targets.tolist()


def test_the_second_pass_drops_what_the_first_one_dropped(long_run, still):
    config = changed(still, dropout=0.3, expert_dropout=0.3, balance={"frequency": 0.5})
    batch = next(iter(Loader(long_run, batch_rows=8)))
    packed = [pack_batch(part) for part in parts_of(batch, 2)]
    seen, real = [], torch.get_rng_state
    model = begin(config).model
    counts = add_gradients(model, packed, config).counts
    torch.manual_seed(config.seed)
    again = begin(config).model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_rng_state", lambda: seen.append(0) or real())
        assert torch.equal(add_gradients(again, packed, config).counts, counts)
    assert seen == [0]


def logged(out):
    log = pq.read_table(out / "consumption.parquet")
    return log.drop(["nats", "rank"]), np.array(log["nats"].to_pylist())


def expect_equal_trainings(one, other):
    """Counts, digests and biases exactly, loss and weights but for rounding."""
    ours, theirs = (pq.read_table(out / "metrics.parquet") for out in (one, other))
    exact = [name for name in ours.column_names if name.startswith(("load_", "tokens/", "step", "tokens", "learning"))]
    exact.remove("tokens_per_second")
    assert ours.select(exact).equals(theirs.select(exact))
    assert np.allclose(ours["loss"].to_numpy(), theirs["loss"].to_numpy(), atol=1e-6)
    (lines, nats), (same, other_nats) = logged(one), logged(other)
    assert lines.equals(same)
    assert np.allclose(nats, other_nats, atol=1e-3)
    mine, its = (load_file(folder_of(out / "checkpoints", STEPS) / "model.safetensors") for out in (one, other))
    biases = [name for name in mine if name.endswith("bias")]
    assert all(torch.equal(mine[name], its[name]) for name in biases)
    apart = torch.cat([(mine[name] - its[name]).abs().flatten() for name in mine])
    assert apart.median() < 1e-7  # AdamW makes steps of gradients that are all rounding
    assert apart.mean() < 1e-5


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("short"), SAMPLES)


@pytest.fixture
def whole(short_run, still, tmp_path):
    train(short_run, tmp_path / "whole", still)
    return tmp_path / "whole"


def test_a_training_in_micro_batches_equals_one_without(short_run, still, whole, tmp_path):
    train(short_run, tmp_path / "parts", replace(still, micro_batches=3))
    expect_equal_trainings(tmp_path / "parts", whole)


def train_on_two(run, *jobs):
    """Each job is a folder, the step to stop at, and a config."""
    return on_two_ranks(train_on_rank, jobs[0][0].with_name(f"{jobs[0][0].name}-meeting"), run, list(jobs))


def test_rows_come_back_from_other_ranks_as_from_this_one(tmp_path):
    """Also where a rank has no rows, and an expert none; rows in another order, or without a gradient, are seen."""
    told = on_two_ranks(exchanged_differences, tmp_path / "meeting")
    for right, alone, unsorted, _, kept, _ in told:
        assert max(right, alone) < 1e-5
        assert unsorted > 1e-2
        assert kept > 1e-2


def test_what_is_sent_to_other_ranks_holds_no_graph(monkeypatch):
    """Gloo lets go of it late: a graph that lived on knew the shape of weights before they were spread."""
    sent = []
    monkeypatch.setattr(exchange.distributed, "all_to_all_single", lambda out, rows, *_: sent.append(rows))
    weight = torch.ones(3, 2, requires_grad=True)
    exchange.all_to_all(weight * 2, [3], [3]).sum().backward()
    assert [rows.grad_fn for rows in sent] == [None, None]


def test_what_two_ranks_divide_is_trained_as_by_one(short_run, still, whole, tmp_path):
    """With micro-batches, and recomputation; one process begins the training and ends it, two are between."""
    divided = {
        key: replace(still, micro_batches=2, recompute=True, **{key: True})
        for key in ("spread_experts", "shard_weights")
    }
    for key, config in divided.items():
        train(short_run, tmp_path / key, config, max_steps=1)
    train_on_two(short_run, *((tmp_path / key, 5, config) for key, config in divided.items()))
    for key, config in divided.items():
        train(short_run, tmp_path / key, config)
        expect_equal_trainings(tmp_path / key, whole)


def test_gradients_in_8_bits_go_on_to_the_bit_and_not_without_their_residuals(short_run, still, whole, tmp_path):
    config, through, stopped = replace(still, int8_gradients=True), tmp_path / "through", tmp_path / "stopped"
    forgot = tmp_path / "stopped-forgot"
    jobs = [(through, STEPS), (stopped, 4), (stopped, 0), (stopped, STEPS), (forgot, STEPS)]
    told = train_on_two(short_run, *((out, stop, config) for out, stop in jobs))
    assert told[0] == told[1]
    ends = [load(folder_of(out / "checkpoints", STEPS)) for out in (through, stopped, forgot)]
    assert not list(unequal(ends[0], ends[1]))
    assert list(unequal(ends[0], ends[2]))
    losses = [pq.read_table(out / "metrics.parquet")["loss"].to_numpy() for out in (through, whole)]
    assert 0 < np.abs(losses[0] - losses[1]).max() < 0.01


MATRICES = st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6), min_size=2, max_size=8)


@given(MATRICES, st.integers(1, 3))
def test_what_is_sent_and_what_is_left_are_the_gradients(steps, world):
    """In each step and over all of them, whatever the ranks; and no step leaves more than half a unit."""
    gradients = torch.tensor(steps)[:, None, None] * torch.arange(1.0, world + 1)[:, None, None]  # [steps, W, 1, 6]
    left, sent = torch.zeros(world, 1, 6), torch.zeros(1, 6, dtype=torch.float64)
    for gradient in gradients:
        wanted = gradient + left
        scale = scale_of(wanted.abs().amax(-1, keepdim=True).amax(0))
        numbers = rounded(wanted, scale)
        left = wanted - scale * numbers
        assert (left.abs() <= scale * 0.5001).all()
        sent += (scale * numbers.sum(0, dtype=torch.int32)).double()
    total = gradients.double().sum((0, 1))
    assert torch.allclose(sent + left.double().sum(0), total, rtol=1e-5, atol=1e-5 * (1 + float(total.abs().max())))


def test_residuals_of_another_number_of_ranks_are_the_first_ones(still):
    """And one process adds them to its first gradient, and has none then."""
    tensors = stored([{"a": torch.ones(2, 3)}, {"a": 2 * torch.ones(2, 3), "b": torch.ones(1, 1)}])
    assert taken_out(dict(tensors), Ranks(1, 2)).keys() == {"a", "b"}
    assert taken_out(dict(tensors), Ranks(1, 3)) == {}
    of_all = taken_out(tensors, Ranks())
    assert not tensors
    assert of_all["a"].tolist() == [[3.0] * 3] * 2
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.full((2, 3), 4.0)
    add_gradients_in_int8([("a", weight)], of_all, Ranks())
    assert weight.grad.tolist() == [[7.0] * 3] * 2
    assert of_all.keys() == {"b"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"spread_experts": True, "quantise": Quantise(weights=("*.experts.*",))}, "spread_experts: with lora or"),
        ({"shard_weights": True, "quantise": Quantise(weights=("*.experts.*",))}, "shard_weights: with lora or"),
        ({"shard_weights": True, "spread_experts": True}, "shard_weights divides experts as well"),
        ({"shard_weights": True, "int8_gradients": True}, "int8_gradients: with shard_weights torch sums"),
        (
            {"shard_weights": True, "stages": (TrainingStage(name="a", frozen=("embedding",)),), "stage_stops": (9,)},
            "shard_weights: weights of a group",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(still, changes, text):
    with pytest.raises(TrainError, match=f"trainer.{text}"):
        replace(still, **changes)


def test_experts_that_ranks_cannot_share_evenly_are_refused(still):
    expect_divisible(replace(still, spread_experts=True), Ranks(1, 2))
    with pytest.raises(TrainError, match=r"spread_experts: trainer\.model\.experts 4 cannot be divided among 3"):
        expect_divisible(replace(still, spread_experts=True), Ranks(0, 3))


def test_two_ranks_equal_one_and_go_on_as_one(short_run, still, whole, tmp_path):
    """Two ranks to the end, the second without a row in the last step; and two for four steps, then one."""
    first, second = train_on_two(short_run, (tmp_path / "two", STEPS, still), (tmp_path / "mixed", 4, still))
    assert first == second
    expect_equal_trainings(tmp_path / "two", whole)
    ranks = pq.read_table(tmp_path / "two" / "consumption.parquet")["rank"].to_pylist()
    assert ranks == [*[0, 1] * 12, 0]
    train(short_run, tmp_path / "mixed", still)
    expect_equal_trainings(tmp_path / "mixed", whole)
