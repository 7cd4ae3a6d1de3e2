"""Weights in 8 and 4 bits: the grid, the straight gradient, the stored bytes, and a training with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from gristmill.corpus.errors import RecipeError, TrainError
from gristmill.flows.inspect.verify_replay import Replay, replay_of
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.trainer.adapt.adapters import round_weights
from gristmill.trainer.adapt.quantisation import FakeQuantised, n_bytes, pack, quantise, unpack
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.training.checkpoint import folder_of
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.session import begin
from tests.trainer.conftest import changed, small_config

OPTIONS = Quantise(weights=("*.attention.qkv", "*.experts.*"))


def naive(matrix, quantile):
    """Row by row, number by number."""
    variances = [float(np.var(row)) for row in matrix]
    bound = np.quantile(np.array(variances, np.float32), quantile)
    found = []
    for row, variance in zip(matrix, variances, strict=True):
        if variance > bound:
            step = max(abs(value) for value in row) / 127
            found.append([round(value / step) * step for value in row])
        else:
            step = (max(row) - min(row)) / 15
            found.append([min(row) + (round((value - min(row)) / step) * step if step else 0) for value in row])
    return np.array(found)


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 9))


@settings(deadline=None, max_examples=60)
@given(SIZES, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 999))
def test_rows_are_rounded_as_one_by_one_and_come_back_from_their_bytes(sizes, quantile, seed):
    weight = torch.from_numpy(np.random.default_rng(seed).standard_normal(sizes)).float()
    rows = quantise(weight, quantile)
    expected = np.stack([naive(matrix, quantile) for matrix in weight.double().numpy()])
    step = rows.scale[..., None].numpy()
    off = np.abs(rows.weight.numpy() - expected)
    assert (off <= 1e-5 + 1.001 * step).all()
    assert (off > 1e-5).sum() <= 1  # a tie may round either way
    assert (np.abs(rows.weight.numpy() - weight.numpy()) <= 0.501 * step).all()
    packed = pack(rows)
    again = unpack(packed, weight.shape)
    assert torch.equal(again.weight, rows.weight)
    n, width, wide = rows.wide.numel(), sizes[-1], int(rows.wide.sum())
    assert n_bytes(packed) == -(-n // 8) + 4 * n + wide * width + (n - wide) * (4 + -(-width // 2))


def test_the_rows_that_vary_most_have_eight_bits():
    weight = torch.randn(2, 10, 64)
    weight *= torch.arange(1, 11)[:, None] / weight.std(-1, keepdim=True)
    weight[1] = weight[1].flip(0)
    wide = quantise(weight, 0.7).wide
    assert wide.int().tolist() == [[0] * 7 + [1] * 3, [1] * 3 + [0] * 7]
    error = (quantise(weight, 0.7).weight - weight).square().mean((0, 2)) / weight.square().mean((0, 2))
    assert not quantise(torch.ones(3, 4), 0.7).wide.any()
    assert torch.equal(quantise(torch.ones(3, 4), 0.7).weight, torch.ones(3, 4))
    assert error.max() < 0.02


def test_the_gradient_goes_straight_through():
    """Of the rounded weight itself it is zero almost everywhere."""
    weight, upstream = torch.randn(6, 8, requires_grad=True), torch.randn(6, 8)
    rounded = FakeQuantised(0.7)(weight)
    assert torch.allclose(rounded, quantise(weight.detach(), 0.7).weight, atol=1e-6)
    (through,) = torch.autograd.grad(rounded, weight, upstream)
    assert torch.equal(through, upstream)
    numbers = quantise(weight, 0.7).numbers
    (literal,) = torch.autograd.grad(numbers, weight, upstream, allow_unused=True)
    assert not literal.any()


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("rounded")
    config = replace(changed(small_config(), dropout=0.0), quantise=OPTIONS, checkpoint_steps=1, keep=9)
    return out, config, train(run, out, config)


def test_a_training_learns_with_rounded_weights(trained):
    out, config, summary = trained
    assert summary.loss.heldout_after < summary.loss.heldout_before
    fresh, after = begin(config).model.state_dict(), load_file(folder_of(out / "checkpoints", 7) / "model.safetensors")
    names = [name for name in after if name.endswith(".original")]
    assert len(names) == 2 * 3
    assert not any(torch.equal(fresh[name], after[name]) for name in names)


def test_merged_and_packed_weights_are_what_the_model_computes_with(run, trained):
    out, config, _ = trained
    rounded, plain = begin(config).model.eval(), Model(config.model, config.vocab_size).eval()
    rounded.load_state_dict(load_file(folder_of(out / "checkpoints", 7) / "model.safetensors"))
    merged = load_file(out / "merged.safetensors")
    plain.load_state_dict(merged)
    batch = read_heldout(run / "heldout", ("books",), config)["books"][0]
    assert torch.equal(plain(batch).hidden, rounded(batch).hidden)
    packed, stored = load_file(out / "packed.safetensors"), {}
    for name, tensor in packed.items():
        weight, _, part = name.partition("/")
        if part:
            stored.setdefault(weight, {})[part] = tensor
        else:
            assert torch.equal(tensor, merged[name])
    assert len(stored) == 2 * 3
    for name, parts in stored.items():
        assert torch.allclose(unpack(parts, merged[name].shape).weight, merged[name], atol=1e-6)
        assert n_bytes(parts) < 0.75 * 4 * merged[name].numel()  # rows of 8 to 16 numbers; long ones need a sixth


def test_resumed_equals_uninterrupted_and_replay_finds_nothing(run, trained, tmp_path):
    out, config, _ = trained
    for stop in (2, 7):
        train(run, tmp_path, config, max_steps=stop)
    ours, theirs = (load_file(folder_of(one / "checkpoints", 7) / "model.safetensors") for one in (tmp_path, out))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [check.detail for check in replay_of(run, out, config, Replay(3)) if not check.ok] == []


def test_what_cannot_be_rounded_is_refused_by_its_key(config):
    for weights, message in (
        (("*.atention.*",), r"trainer\.quantise\.weights: no weight is called"),
        (("norm.weight",), "no matrix"),
    ):
        with pytest.raises(TrainError, match=message):
            round_weights(begin(config).model, Quantise(weights=weights))
    with pytest.raises(TrainError, match=r"trainer\.quantise\.quantile is 2\.0, expected 0 up to 1"):
        replace(config, quantise=Quantise(weights=("*",), quantile=2.0))
    text = 'name = "a"\nseed = 1\n[[sources]]\nname = "a"\npath = "a"\ndomain = "a"\n[trainer]\nstart = "a"\n'
    both = '[trainer.lora]\nweights = ["*"]\n[trainer.quantise]\nweights = ["*"]\n'
    with pytest.raises(RecipeError, match="lora trains adapters and no weight"):
        parse_recipe(text + both)
