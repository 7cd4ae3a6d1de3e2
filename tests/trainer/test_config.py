"""A config that the model cannot have is refused, and the message names the key."""

import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.device import TYPES, is_device
from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.model.precision import PRECISIONS, resolve_precision
from gristmill.trainer.model.scores import SCORES
from gristmill.trainer.model.shape import PRESETS, Shape
from gristmill.trainer.stage import Trainer


def make(**changes):
    model = {key: changes.pop(key) for key in list(changes) if key in Shape.model_fields}
    return TrainConfig(**({"vocab_size": 64, "row_tokens": 32} | changes), model=Shape(**model))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("layers", 0, "1 or more"),
        ("batch_rows", 0, "1 or more"),
        ("width", 100, "multiple of 8"),
        ("expert_width", 12, "multiple of 8"),
        ("expert_width", 0, "multiple of 8"),
        ("heads", 5, "divisor of half of trainer.model.width 96"),
        ("heads", 96, "divisor of half"),
        ("top_k", 9, r"1 to 8 \(trainer.model.experts\)"),
        ("top_k", 0, "a whole number, 1 or more"),
        ("seed", -1, "0 or more"),
        ("learning_rate", float("inf"), "more than 0"),
        ("device", "gpu", "a device as torch names it"),
        ("device", "cuda:01", "a device"),
        ("score", "tanh", "softmax or sigmoid"),
        ("precision", "float16", "auto or float32 or bfloat16"),
        ("learning_rate", 0.0, "more than 0"),
        ("learning_rate", float("nan"), "more than 0"),
        ("dropout", 1.0, "0 up to"),
        ("kv_heads", 2, "0 or a divisor of trainer.model.heads 3"),
        ("dense_layers", 3, "fewer than trainer.model.layers 3"),
        ("shared_bottom", 4, "no more than trainer.model.layers 3"),
        ("groups", 3, "a divisor of trainer.model.experts 8"),
        ("kept_groups", 2, "0 or up to 1"),
        ("mass", 1.0, "0 up to"),
        ("route_scale", 0.0, "more than 0"),
        ("preset", "32/2", "8/2 or 16/2"),
        ("dense_width", 12, "multiple of 8"),
        ("window", -1, "0 or more"),
        ("threads", -1, "0 or more"),
    ],
)
def test_mistakes_name_their_key(key, value, expected):
    with pytest.raises(TrainError, match=rf"trainer\.(model\.)?{key} is .*{expected}"):
        make(**{key: value})


def test_every_recipe_key_is_a_config_field_with_the_same_default():
    recipe = {name: value for name, value in Trainer() if name != "proof"}
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
        assert make(width=width, heads=heads).model.width * 2 % 16 == 0


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
        make(heads=5, top_k=9, balance={"bais": 1, "z": -1}, dropout=-1)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "trainer.balance.bais",
        "trainer.balance.z",
        "trainer.model.dropout",
        "trainer.model.top_k",
        "trainer.model.heads",
    ]
    assert "did you mean 'bias'?" in str(caught.value)


def test_the_recipe_says_what_the_trainer_refuses():
    settings = {"device": "gpu", "batch_rows": 0, "balance": {"z": -1.0, "mine": 1.0}}
    model = {"heads": 6, "width": 104, "top_k": 9, "score": "tanh"}
    with pytest.raises(TrainError) as caught:
        make(**settings, **model)
    section = Trainer(**settings, model=model)
    told = [f"trainer.{mistake.text}" for mistake in section.mistakes()]
    told += [f"trainer.model.{mistake.text}" for mistake in section.model.mistakes()]
    assert "\n".join(told) == str(caught.value)
    assert {mistake.keys[0] for mistake in section.model.mistakes()} == model.keys() - {"width"}
    assert not [*Trainer().mistakes(), *Trainer().model.mistakes()]


def test_two_keys_are_compared_only_when_each_is_right():
    assert [mistake.keys for mistake in Shape(width=97).mistakes()] == [("width",)]
    assert [mistake.keys for mistake in Shape(heads=5).mistakes()] == [("heads", "width")]


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"layers": 4, "dense_layers": 1, "shared_bottom": 2}, "dense_layers layers shared_bottom"),
        ({"layers": 4, "dense_layers": 2, "shared_bottom": 2}, ""),
        ({"groups": 4, "kept_groups": 1, "top_k": 3}, "kept_groups groups"),
        ({"groups": 4, "kept_groups": 2, "top_k": 3}, ""),
        ({"preset": "64/4"}, ""),
        ({"preset": "128/4", "kept_groups": 9}, "kept_groups groups"),
    ],
)
def test_groups_of_layers_and_experts_must_fit(changes, keys):
    found = [" ".join(mistake.keys) for mistake in Shape(**changes).mistakes()]
    assert [one.startswith(keys) for one in found] == [True] * bool(keys)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_is_not_given(preset):
    experts, top_k = map(int, preset.split("/"))
    assert (Shape(preset=preset).experts, Shape(preset=preset).top_k) == (experts, top_k)
    assert Shape(preset=preset, top_k=1) == Shape(**{**PRESETS[preset], "preset": preset, "top_k": 1})


def test_a_new_balance_can_at_once_be_named(monkeypatch):
    with pytest.raises(TrainError, match=r"balance\.mine is unknown"):
        make(balance={"mine": 1})
    monkeypatch.setitem(BALANCES, "mine", BALANCES["z"])
    assert make(balance={"mine": 1}).balance == {"mine": 1}


@pytest.mark.parametrize("known", [SCORES, PRECISIONS])
def test_every_name_of_a_table_is_accepted(known):
    key = {id(SCORES): "score", id(PRECISIONS): "precision"}[id(known)]
    for name in known:
        assert make(**{key: name}).identity()["model.score" if key == "score" else key] == name


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
