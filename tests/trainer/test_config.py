"""A config that the model cannot have is refused, and the message names the key."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import TrainError
from gristmill.corpus.recipe import Trainer
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.precision import resolve_precision


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
        ("top_k", 0, "1 to 8"),
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
    recipe = Trainer().model_dump()
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
    assert resolve_precision("auto", "cpu") in ("float32", "bfloat16")
    assert resolve_precision("auto", "cuda") == "bfloat16"


def test_reading_a_config_needs_no_torch():
    code = "import sys, gristmill.trainer.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
