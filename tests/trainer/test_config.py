"""A config that the model cannot have is refused, and the message names the key."""

import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import TrainError
from gristmill.trainer.balance import BALANCES
from gristmill.trainer.config import TrainConfig, mistakes
from gristmill.trainer.device import TYPES, is_device
from gristmill.trainer.precision import PRECISIONS, resolve_precision
from gristmill.trainer.scores import SCORES
from gristmill.trainer.stage import Trainer


def make(**changes):
    return TrainConfig(**({"vocab_size": 64, "row_tokens": 32} | changes))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("layers", 0, "1 or more"),
        ("batch_rows", 0, "1 or more"),
        ("width", 100, "multiple of 8"),
        ("expert_width", 12, "multiple of 8"),
        ("expert_width", 0, "multiple of 8"),
        ("heads", 5, "divisor of half of trainer.width 96"),
        ("heads", 96, "divisor of half"),
        ("top_k", 9, r"1 to 8 \(trainer.experts\)"),
        ("top_k", 0, "a whole number, 1 or more"),
        ("top_k", 2.0, "a whole number"),
        ("layers", True, "a whole number"),
        ("seed", -1, "0 or more"),
        ("learning_rate", float("inf"), "more than 0"),
        ("device", "gpu", "a device as torch names it"),
        ("device", "cuda:01", "a device"),
        ("score", "tanh", "softmax or sigmoid"),
        ("balance", "loss", "bias or switch or none"),
        ("precision", "float16", "auto or float32 or bfloat16"),
        ("learning_rate", 0.0, "more than 0"),
        ("learning_rate", float("nan"), "more than 0"),
        ("dropout", 1.0, "0 up to"),
        ("z_loss", -1.0, "0 or more"),
        ("threads", -1, "0 or more"),
    ],
)
def test_mistakes_name_their_key(key, value, expected):
    with pytest.raises(TrainError, match=rf"trainer\.{key} is .*{expected}"):
        make(**{key: value})


def test_every_recipe_key_is_a_config_field_with_the_same_default():
    recipe = Trainer().model_dump(exclude={"proof"})
    config = make()
    assert {key: getattr(config, key) for key in recipe} == recipe


def test_identity_leaves_out_what_changes_no_result():
    a, b = make(threads=1, checkpoint_steps=3, device="cuda"), make()
    assert a.identity() == b.identity()
    assert a.identity() != make(seed=1).identity()


@given(st.integers(1, 64), st.integers(1, 8))
def test_accepted_widths_lie_on_the_grouped_gemm_grid(eighths, heads):
    width = 8 * eighths
    if width % (2 * heads):
        with pytest.raises(TrainError):
            make(width=width, heads=heads)
    else:
        assert make(width=width, heads=heads).width * 2 % 16 == 0


def test_precision_is_resolved_once():
    assert resolve_precision("float32", "cpu") == "float32"
    assert resolve_precision("bfloat16", "cpu") == "bfloat16"
    assert {resolve_precision("auto", device) for device in ("cuda", "cuda:1", "mps")} == {"bfloat16"}


@pytest.mark.parametrize("able", [True, False])
def test_what_a_cpu_can_do_decides_no_precision(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able, "amx_bf16": able})
    assert [resolve_precision("auto", device) for device in ("cpu", "cpu:0")] == ["float32", "float32"]


def test_all_mistakes_are_told_at_once():
    with pytest.raises(TrainError) as caught:
        make(heads=5, top_k=9, balance="bais", dropout=-1)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "trainer.dropout",
        "trainer.balance",
        "trainer.top_k",
        "trainer.heads",
    ]
    assert "did you mean 'bias'?" in str(caught.value)


def test_the_recipe_says_what_the_trainer_refuses():
    wrong = {"heads": 6, "width": 104, "top_k": 9, "device": "gpu", "score": "tanh", "z_loss": -1.0}
    with pytest.raises(TrainError) as caught:
        make(**wrong)
    told = [f"trainer.{mistake.text}" for mistake in Trainer(**wrong).mistakes()]
    assert "\n".join(told) == str(caught.value)
    assert {mistake.keys[0] for mistake in Trainer(**wrong).mistakes()} == wrong.keys() - {"width"}
    assert not list(Trainer().mistakes())


def test_two_keys_are_compared_only_when_each_is_right():
    assert [mistake.keys for mistake in mistakes({"width": 97, "heads": 3})] == [("width",)]
    assert [mistake.keys for mistake in mistakes({"width": 96, "heads": 5})] == [("heads", "width")]
    assert not list(mistakes({"heads": 5}))


def test_a_new_balance_can_at_once_be_named(monkeypatch):
    with pytest.raises(TrainError, match="bias or switch or none"):
        make(balance="mine")
    monkeypatch.setitem(BALANCES, "mine", BALANCES["none"])
    assert make(balance="mine").balance == "mine"


@pytest.mark.parametrize("known", [BALANCES, SCORES, PRECISIONS])
def test_every_name_of_a_table_is_accepted(known):
    key = {id(BALANCES): "balance", id(SCORES): "score", id(PRECISIONS): "precision"}[id(known)]
    for name in known:
        assert getattr(make(**{key: name}), key) == name


@pytest.mark.parametrize(
    "name",
    [*TYPES, "cpu:0", "cuda:0", "cuda:127", "cuda:01", "cuda:-1", "cuda:", "cuda: 1", " cuda", "CUDA", "gpu", ""],
)
def test_devices_are_named_as_torch_names_them(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls some of its names old
        try:
            torch.device(name)
        except RuntimeError:
            assert not is_device(name)
        else:
            assert is_device(name)


def test_reading_a_config_needs_no_torch():
    heavy = "{'torch', 'numba', 'pyarrow'} & set(sys.modules)"
    code = f"import sys, gristmill.trainer.config, gristmill.trainer.stage; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
