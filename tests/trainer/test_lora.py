"""Adapters of low rank: they alone are trained, and merge to the bit."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from gristmill.corpus.errors import RecipeError, TrainError
from gristmill.corpus.files import file_sha256
from gristmill.flows.inspect.verify_replay import Replay, replay_of
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.trainer.adapt.adapters import adapt, is_adapter, merge, merged_weights
from gristmill.trainer.low_rank import Lora
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training.checkpoint import folder_of
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.session import begin
from tests.trainer.conftest import changed, small_config

EVERYWHERE = Lora(weights=("*.attention.*qkv", "*.attention.out", "*.router.weight", "*.experts.*"), rank=2)


@pytest.fixture
def batch(run, config):
    return read_heldout(run / "heldout", ("books",), config)["books"][0]


@pytest.fixture(scope="module")
def started(run, tmp_path_factory):
    """A config with adapters on the weights of a short training."""
    out = tmp_path_factory.mktemp("base") / "train"
    config = changed(small_config(), dropout=0.0)
    train(run, out, config, max_steps=4)
    path = folder_of(out / "checkpoints", 4) / "model.safetensors"
    return replace(config, start=str(path), start_digest=file_sha256(path), lora=EVERYWHERE, checkpoint_steps=1, keep=9)


@pytest.fixture(scope="module")
def trained(run, started, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted")
    return out, train(run, out, started)


def test_new_adapters_change_nothing_and_stand_on_every_matrix_of_their_names(started, batch):
    plain = begin(replace(started, lora=None)).model
    adapted = begin(started).model
    assert torch.equal(plain(batch).hidden, adapted(batch).hidden)
    stems = {name.partition(".parametrizations")[0] for name, _ in adapted.named_parameters() if is_adapter(name)}
    assert stems == {f"blocks.{at}.{one}" for at in (0, 1) for one in ("attention", "router", "experts")}


def test_adapters_alone_are_trained(run, started, trained):
    out, summary = trained
    base, after = load_file(started.start), load_file(folder_of(out / "checkpoints", 7) / "model.safetensors")
    fresh = begin(started).model.state_dict()
    for name, weight in after.items():
        plain = name.replace(".parametrizations.", ".").removesuffix(".original")
        if is_adapter(name):
            assert not torch.equal(weight, fresh[name]), name
        elif not name.endswith("router.bias"):
            assert torch.equal(weight, base[plain]), name
    assert summary.loss.heldout_after < summary.loss.heldout_before


def test_merged_weights_are_those_of_a_plain_model_to_the_bit(started, trained, batch):
    out, _ = trained
    adapted = begin(started).model.eval()
    adapted.load_state_dict(load_file(folder_of(out / "checkpoints", 7) / "model.safetensors"))
    hidden = adapted(batch).hidden
    plain = Model(started.model, started.vocab_size).eval()
    plain.load_state_dict(load_file(out / "merged.safetensors"))
    assert torch.equal(plain(batch).hidden, hidden)
    merge(adapted)
    assert adapted.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(adapted(batch).hidden, hidden)
    assert all(torch.equal(adapted.state_dict()[name], weight) for name, weight in plain.state_dict().items())
    assert merged_weights(plain.state_dict(), None).keys() == plain.state_dict().keys()


def test_resumed_equals_uninterrupted_and_replay_finds_nothing(run, started, trained, tmp_path):
    out, _ = trained
    for stop in (2, 7):
        train(run, tmp_path, started, max_steps=stop)
    ours, theirs = (load_file(folder_of(one / "checkpoints", 7) / "model.safetensors") for one in (tmp_path, out))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [check.detail for check in replay_of(run, out, started, Replay(3)) if not check.ok] == []


def test_adapters_that_cannot_be_are_refused_by_their_key(config, started):
    for weights, message in (
        (("*.atention.*",), r"no weight is called '\*\.atention"),
        (("norm.weight",), "no matrix"),
    ):
        with pytest.raises(TrainError, match=message):
            adapt(begin(config).model, Lora(weights=weights))
    with pytest.raises(TrainError, match=r"trainer\.lora\.rank is 0, expected a whole number, 1 or more"):
        replace(started, lora=Lora(weights=("*",), rank=0))
    text = 'name = "a"\nseed = 1\n[[sources]]\nname = "a"\npath = "a"\ndomain = "a"\n[trainer.lora]\nweights = ["*"]\n'
    with pytest.raises(RecipeError, match=r"adapters change weights that trainer\.start names, and it names none"):
        parse_recipe(text)
