"""Biases settled behind the last step: the solution, the one pass over all layers, and what a training leaves of it."""

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gristmill.corpus.files import read_json
from gristmill.flows.inspect.verify_settled import settled_of
from gristmill.handoff.loader import Loader
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.model.selection_bias import EVEN, even_bias, unevenness
from gristmill.trainer.training import loop, settling
from gristmill.trainer.training.checkpoint import folder_of
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.settled_tables import SETTLED_ROWS
from gristmill.trainer.training.settling import settle_biases, settling_samples
from gristmill.trainer.training_stage import TrainingStage
from tests.trainer.conftest import VOCAB, changed
from tests.trainer.processes import on_two_ranks, settle_on_rank
from tests.trainer.test_planted_faults import replayed

STEPS = 7


def counts_of(scores, bias, top_k):
    """In plain Python: the best of each token, and how often each expert is one of them."""
    counts = [0] * len(bias)
    for row in scores:
        biased = [float(np.float32(score) + np.float32(b)) for score, b in zip(row, bias, strict=True)]
        for expert in sorted(range(len(bias)), key=lambda e: -biased[e])[:top_k]:
            counts[expert] += 1
    return counts


def counter(scores, top_k):
    """Choices under a bias. Of equal scores topk promises no order, and a bias can make scores equal: so they sort."""

    def count(bias):
        order = (scores + bias).sort(dim=1, descending=True, stable=True).indices
        return order[:, :top_k].flatten().bincount(minlength=scores.shape[1])

    return count


rows_of_scores = st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=30)


@given(rows_of_scores, st.integers(1, 4))
@example([[0.0, 0.0007, 0.0014, 0.0021], [0.0028, 0.0035, 0.0042, 0.0049]], 2)  # its solution makes scores equal
@settings(deadline=None)
def test_the_solution_counts_what_it_says_and_is_never_less_even(rows, top_k):
    scores = torch.tensor(rows, dtype=torch.float32)
    found = even_bias(torch.zeros(4), counter(scores, top_k))
    assert found.before.tolist() == counts_of(scores.tolist(), [0.0] * 4, top_k)
    assert found.after.tolist() == counts_of(scores.tolist(), found.bias.tolist(), top_k)
    assert unevenness(found.after) <= unevenness(found.before)
    assert abs(float(found.bias.sum())) < 1e-5


@given(st.lists(st.integers(-64, 64), min_size=2, max_size=40, unique=True))
@settings(deadline=None)
def test_of_two_experts_no_bias_is_evener(distances):
    """Tried in full: every place between two tokens where the choice could turn."""
    scores = torch.tensor([[one / 64, 0.0] for one in distances])
    half = abs(len(distances) - 2 * (len(distances) // 2))
    found = even_bias(torch.zeros(2), counter(scores, 1))
    assert abs(int(found.after[0] - found.after[1])) == half


def test_of_no_tokens_nothing_is_solved():
    found = even_bias(torch.tensor([0.5, -0.5]), lambda bias: torch.zeros(2, dtype=torch.int64))
    assert (found.bias.tolist(), found.after.tolist()) == ([0.5, -0.5], [0, 0])


SHAPES = {
    "default": {},
    "one expert": {"top_k": 1},
    "softmax": {"score": "softmax"},
    "dense and shared layers": {"layers": 4, "dense_layers": 1, "shared_span": 3, "own_top": 0, "shared_bottom": 1},
    "limited groups": {"experts": 8, "groups": 4, "kept_groups": 1},
    "as many as a mass needs": {"mass": 0.6, "top_k": 3},
    "window": {"window": 5},
}


def uneven(config, spread=0.3):
    """A model of the config with biases that make its loads uneven."""
    torch.manual_seed(1)
    model = Model(config.model, VOCAB)
    for router in model.routers:
        router.bias.copy_(torch.linspace(-spread, spread, config.model.experts))
    return model


def biases(model):
    return [router.bias.clone() for router in model.routers]


@pytest.fixture(scope="module")
def rows(run):
    return [pack_batch(batch) for batch in Loader(run, batch_rows=1)]


@torch.no_grad()
def one_layer_at_a_time(model, rows):
    """All rows through the whole model once more for every layer."""
    model.eval()
    for layer, router in enumerate(model.routers):
        logits = torch.cat([model(row).routings[layer].logits for row in rows])

        def count(bias, router=router, logits=logits):
            router.bias.copy_(bias)
            return router.route(logits).counts

        router.bias.copy_(even_bias(router.bias.clone(), count).bias)
    return biases(model)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_pass_gives_what_a_pass_for_each_layer_gives(config, rows, shape):
    config = changed(config, **SHAPES[shape])
    expected = one_layer_at_a_time(uneven(config), rows)
    model = uneven(config)
    found = settle_biases(model, rows, config, range(9))
    assert all(torch.equal(*pair) for pair in zip(biases(model), expected, strict=True))
    assert model.training
    assert len(found) == len(model.routers)
    for one in found:
        assert unevenness(one.after) < 0.6 * unevenness(one.before)
    if shape == "default":  # padding is not counted: two experts for each token
        tokens = sum(len(row.tokens) for row in rows)
        assert [int(one.after.sum()) for one in found] == [2 * tokens] * 2
        assert max(unevenness(one.after) for one in found) < 2 * EVEN


def test_frozen_layers_and_forced_balance_stay(config, rows):
    model = uneven(config)
    first = biases(model)
    found = settle_biases(model, rows, config, [1])
    assert torch.equal(biases(model)[0], first[0])
    assert torch.equal(found[0].after, found[0].before)
    assert not torch.equal(biases(model)[1], first[1])
    forced = uneven(changed(config, forced_balance=True))
    settle_biases(forced, rows, config, [0, 1])
    assert all(torch.equal(*pair) for pair in zip(biases(forced), first, strict=True))


def test_two_ranks_settle_as_one(config, run, rows, tmp_path):
    """Also where a rank has no rows; exactly, for each row is a pass by itself."""
    told = on_two_ranks(settle_on_rank, tmp_path / "meeting", run, config, [26, 1])
    assert told[0] == told[1]
    for n, there in zip([26, 1], told[0], strict=True):
        model = uneven(config)
        settle_biases(model, rows[:n], config, [0, 1])
        assert [bias.tolist() for bias in biases(model)] == there


@given(st.integers(1, 500), st.integers(1, 200))
@settings(deadline=None)
def test_samples_are_spread_over_the_plan(samples, rows):
    found = settling_samples(samples, rows)
    assert found == sorted(set(found))
    assert 0 <= found[0] <= found[-1] < samples
    assert min(samples, rows) / 2 < len(found) <= rows
    around = [-1, *found, samples]
    assert max(after - before for before, after in pairwise(around)) <= 2 * settling.RUN * samples / rows + 2


# ------------------------------------------------------------------------------------------------ in a training


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    """Where ``trained`` trains once for all tests."""
    return tmp_path_factory.mktemp("settled")


@pytest.fixture
def small(config):
    return changed(config, settle_rows=20, heldout_rows=2)


@pytest.fixture
def trained(run, small, done):
    if not (done / "summary.json").exists():
        train(run, done, small)
    return done


def saved(out):
    return load_file(folder_of(out / "checkpoints", STEPS) / "model.safetensors")


def test_the_last_checkpoint_alone_has_settled_biases(run, small, trained, tmp_path):
    """Weights are as without settling, to the bit, and steps as well; the tables say what became of the biases."""
    train(run, tmp_path, replace(small, settle_rows=0))
    assert not list(tmp_path.glob("settled*"))
    mine, plain = saved(trained), saved(tmp_path)
    table = pq.read_table(trained / "settled.parquet")
    for layer in range(2):
        name = f"blocks.{layer}.router.bias"
        one = table.filter(pa.compute.equal(table["layer"], layer))
        assert one["bias_before"].to_pylist() == plain.pop(name).tolist()
        assert one["bias"].to_pylist() == mine.pop(name).tolist() != one["bias_before"].to_pylist()
    assert all(torch.equal(mine[name], plain[name]) for name in plain)
    steps = [pq.read_table(out / "metrics.parquet")["loss"] for out in (trained, tmp_path)]
    assert steps[0].equals(steps[1])
    settled = read_json(trained / "summary.json")["settled"]
    unsettled = read_json(tmp_path / "summary.json")
    assert settled["rows"] == 16
    assert [one["heldout_before"] for one in settled["layers"]] == [
        one["std"] for one in unsettled["heldout_load_by_layer"]
    ]
    assert settled["heldout_loss_before"] == unsettled["loss"]["heldout_after"]
    assert all(one["rows_after"] < one["rows_before"] for one in settled["layers"])
    assert unsettled["settled"] is None


def test_nothing_is_settled_without_a_bias_that_moves(run, small, tmp_path):
    train(run, tmp_path, replace(small, balance={"switch": 0.1}))
    assert not list(tmp_path.glob("settled*"))
    assert not any(saved(tmp_path)[f"blocks.{layer}.router.bias"].any() for layer in range(2))
    assert list(settled_of(tmp_path)) == []


def test_a_bias_that_the_last_stage_froze_stays(run, small, tmp_path):
    stage = TrainingStage(name="all", frozen=("blocks.0.router.*",))
    train(run, tmp_path, replace(small, stages=(stage,), stage_stops=(26,)))
    assert not saved(tmp_path)["blocks.0.router.bias"].any()
    assert saved(tmp_path)["blocks.1.router.bias"].any()


def test_killed_while_it_settles_a_training_comes_to_the_same_bytes(run, small, trained, tmp_path):
    def die(training):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            train(run, tmp_path, small)
    train(run, tmp_path, small)
    for name in ("settled.parquet", "settled_rows.parquet", "summary.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()
    assert all(torch.equal(value, saved(trained)[name]) for name, value in saved(tmp_path).items())


def problems(out):
    return {check.name: check.detail for check in settled_of(out) if not check.ok}


def other_biases(patch):
    """Settling finds one bias and leaves another."""

    def found(*args):
        one = even_bias(*args)
        return one._replace(bias=one.bias.roll(1))

    patch.setattr(settling, "even_bias", found)


def other_rows(patch):
    patch.setattr(
        settling, "settling_samples", lambda samples, rows: [at + 1 for at in settling_samples(samples, rows)]
    )


SETTLING = {"other biases": other_biases, "other rows": other_rows}


def test_other_biases_and_rows_than_the_rule_gives_are_found_by_replay(run, small, tmp_path):
    small = changed(small, layers=1, width=8, heads=1)
    for plant in SETTLING.values():
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            train(run, tmp_path / plant.__name__, small)
        found = replayed(run, tmp_path / plant.__name__, small, 1)["replay interval 1"]
        assert "step 7: blocks.0.router.bias differs in 4 of 4 numbers" in found


def test_biases_and_rows_altered_behind_settling_are_named(trained, tmp_path):
    assert problems(trained) == {}
    out = shutil.copytree(trained, tmp_path / "out")
    path = folder_of(out / "checkpoints", STEPS) / "model.safetensors"
    weights = load_file(path)
    weights["blocks.1.router.bias"][2] += 0.1
    save_file(weights, path)
    assert problems(out) == {
        "settled biases": "step-000000007: 1 of 4 biases of blocks.1.router.bias are not those that were settled"
    }
    rows = pq.read_table(out / "settled_rows.parquet").to_pylist()
    rows[0]["digest"], rows[1]["sample"] = rows[1]["digest"], 99
    pq.write_table(pa.Table.from_pylist(rows, SETTLED_ROWS), out / "settled_rows.parquet")
    at, step = rows[0]["sample"], rows[0]["sample"] // 4 + 1
    assert problems(out)["settled rows"] == (
        f"sample {at}: settling got other tokens than step {step}; sample 99: settling read it, and no step consumed it"
    )
    (out / "settled_rows.parquet").unlink()
    assert "settled_rows.parquet is missing" in problems(out)["settled biases"]
