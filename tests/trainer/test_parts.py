"""A step in parts: micro-batches of one process, and the rows of two, against one batch."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.errors import TrainError
from gristmill.handoff.loader import Loader
from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.training.checkpoint import folder_of
from gristmill.trainer.training.consumption import figures_of_parts
from gristmill.trainer.training.division import expect_divisible
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.micro_batches import parts_of
from gristmill.trainer.training.ranks import Ranks
from gristmill.trainer.training.session import begin
from gristmill.trainer.training_stage import TrainingStage
from tests.trainer.conftest import changed, make_run

SAMPLES, STEPS = 25, 7  # 4 rows a step; the last has one row, and the second of two ranks none


@pytest.fixture
def still(config):
    return changed(config, dropout=0.0, checkpoint_steps=3)


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


RANK = """
import sys
from torch import distributed
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.loop import train
from pathlib import Path
run, out, meeting, rank, stop, config = sys.argv[1:]
distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2)
summary = train(Path(run), Path(out), eval(config), max_steps=int(stop))
print(summary.steps, summary.loss.heldout_after)
distributed.destroy_process_group()
"""


def train_on_two(run, out, config, stop):
    meeting = out.with_name(f"meeting-{stop}")
    command = [sys.executable, "-c", RANK, str(run), str(out), str(meeting)]
    both = [
        subprocess.Popen([*command, str(rank), str(stop), repr(config)], cwd=HOUSE, text=True, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    return told


EXCHANGE = """
import sys
import torch
from torch import distributed
from gristmill.trainer.model import exchange, experts as experts_module
from gristmill.trainer.model.experts import Experts
from gristmill.trainer.model.router import Router
from gristmill.trainer.model.shape import Shape
rank, meeting = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
torch.manual_seed(0)
shape = Shape(width=16, experts=4, expert_width=8)
experts, router = Experts(shape), Router(shape)
right, there = exchange.through_ranks, [torch.randn(5, 16) + 2 * router.weight[0], torch.zeros(0, 16)]
def difference(through, xs):
    experts_module.through_ranks = through
    found = []
    for spread in (False, True):
        x = xs[rank].detach().requires_grad_()
        weights = [w.detach().chunk(2)[rank] if spread else w.detach() for w in (whole_gate_up, whole_down)]
        experts.gate_up.data, experts.down.data, experts.spread = weights[0].clone(), weights[1].clone(), spread
        experts.zero_grad()
        (experts(x, router(x)) * torch.arange(16.0)).sum().backward()
        grads = [experts.gate_up.grad, experts.down.grad]
        if not spread:
            for grad in grads:
                distributed.all_reduce(grad)
            grads = [grad.chunk(2)[rank] for grad in grads]
        found.append([torch.zeros_like(x) if x.grad is None else x.grad, *grads])
    return max((float((a - b).abs().max()) for a, b in zip(*found) if a.numel()), default=0.0)
whole_gate_up, whole_down = experts.gate_up.data.clone(), experts.down.data.clone()
def unsorted(rows, counts, run):
    return right(rows, counts, lambda here, n: run(here.flip(0), n))
def kept(rows, counts, run):
    return right(rows.detach(), counts, run)
both = [torch.randn(7, 16), torch.randn(9, 16)]
print(*[difference(way, xs) for way in (right, unsorted, kept) for xs in (both, there)])
distributed.destroy_process_group()
"""


def test_rows_come_back_from_other_ranks_as_from_this_one(tmp_path):
    """Also where a rank has no rows, and an expert none; rows in another order, or without a gradient, are seen."""
    command = [sys.executable, "-c", EXCHANGE]
    both = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "m")], cwd=HOUSE, text=True, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]
    told = [[float(n) for n in process.communicate(timeout=300)[0].split()] for process in both]
    for right, alone, unsorted, _, kept, _ in told:
        assert max(right, alone) < 1e-5
        assert unsorted > 1e-2
        assert kept > 1e-2


@pytest.mark.parametrize("key", ["spread_experts", "shard_weights"])
def test_what_two_ranks_divide_is_trained_as_by_one(short_run, still, whole, tmp_path, key):
    """With micro-batches, and recomputation; one process begins the training and ends it, two are between."""
    divided = replace(still, micro_batches=2, recompute=True, **{key: True})
    train(short_run, tmp_path / "out", divided, max_steps=1)
    train_on_two(short_run, tmp_path / "out", divided, 5)
    train(short_run, tmp_path / "out", divided)
    expect_equal_trainings(tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"spread_experts": True, "quantise": Quantise(weights=("*.experts.*",))}, "spread_experts: with lora or"),
        ({"shard_weights": True, "quantise": Quantise(weights=("*.experts.*",))}, "shard_weights: with lora or"),
        ({"shard_weights": True, "spread_experts": True}, "shard_weights divides experts as well"),
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
    first, second = train_on_two(short_run, tmp_path / "two", still, STEPS)
    assert first == second
    expect_equal_trainings(tmp_path / "two", whole)
    ranks = pq.read_table(tmp_path / "two" / "consumption.parquet")["rank"].to_pylist()
    assert ranks == [*[0, 1] * 12, 0]
    train_on_two(short_run, tmp_path / "mixed", still, 4)
    train(short_run, tmp_path / "mixed", still)
    expect_equal_trainings(tmp_path / "mixed", whole)
