"""Compiling ahead: which stages are asked for, and that each does its work on tiny documents and leaves nothing."""

import subprocess
import sys

import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.stage import PartStage
from gristmill.flows.pipeline import warming
from gristmill.flows.pipeline.progress import SilentReporter
from gristmill.flows.pipeline.stages import BUILT_IN
from gristmill.flows.pipeline.warming import OTHERS, TINY, calls_of, warm_up

SHORT = """
name = "mine"
seed = 1
[[sources]]
name = "web"
path = "*.txt"
domain = "web"
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text(SHORT + '[pii]\nemail = "mask"\n')
    return tmp_path / "recipe.toml"


def test_only_stages_of_the_recipe_are_compiled(recipe, monkeypatch):
    monkeypatch.setattr(warming, "warm", lambda calls, say, workers, progress: calls)
    asked = ["signals", "signatures", "pii", "clusters", "decide", "tokenizer", "plan"]
    assert warm_up(recipe, SilentReporter()) == asked
    assert warm_up(None, SilentReporter()) == [*TINY, *OTHERS]


def test_every_name_is_that_of_a_stage():
    specs = {spec.name: spec for spec in BUILT_IN}
    assert {*TINY, *OTHERS} <= set(specs)
    assert all(isinstance(specs[name], PartStage) for name in TINY)


@pytest.mark.parametrize("name", [*TINY, *OTHERS])
def test_each_works_on_tiny_documents_and_leaves_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, _, function = calls_of([name])[name].function.partition(":")
    getattr(__import__(module, fromlist=["x"]), function)(*calls_of([name])[name].arguments)
    assert not list(tmp_path.iterdir())


VERIFYING = """
from gristmill.dedup.clusters import _kernels, _kernels_graph
from gristmill.flows.pipeline.warming import cluster_tiny
cluster_tiny()
print([bool(one.signatures) for one in (_kernels.shingle_sets, _kernels.raise_to, _kernels_graph.count_bridges)])
"""


def test_kernels_that_verify_pairs_are_compiled_ahead():
    done = subprocess.run([sys.executable, "-c", VERIFYING], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, True, True]\n"


def test_mistakes_of_the_recipe_come_first(recipe):
    recipe.write_text(SHORT + "[nonsense]\n")
    with pytest.raises(RecipeError, match="nonsense"):
        warm_up(recipe, SilentReporter())


TRAINING = """
import numpy as np
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model import _kernels_gate, _kernels_norm, _kernels_rows
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.tiny_step import train_and_measure
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.step import train_step
def compiled():
    modules = (_kernels_gate, _kernels_norm, _kernels_rows)
    kernels = {id(k): k for module in modules for k in vars(module).values() if hasattr(k, "signatures")}
    return sum(len(kernel.signatures) for kernel in kernels.values())
train_and_measure()
ahead = compiled()
tokens = np.random.default_rng(0).integers(0, 99, (3, 40))
batch = pack(tokens, np.zeros(3), np.array([0, 1, 1, 2]), np.array([0, 3, 20, 1]), np.array([40, 17, 9, 1]))
shapes = [{"kv_rank": 6, "q_rank": 8}, {"window": 4, "memory_block": 3, "ahead": 1}, {"mass": 0.5, "kv_heads": 1}]
for shape in map(lambda keys: Shape(**keys), shapes):
    for precision in ("float32", "bfloat16"):
        config = TrainConfig(vocab_size=99, row_tokens=40, model=shape, precision=precision)
        model = Model(shape, 99)
        train_step(model, make_optimizer(model, 0.001), [batch], config)
print(ahead, compiled())
"""


def test_kernels_of_a_training_step_are_compiled_ahead():
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, check=True)
    ahead, then = done.stdout.split()
    assert int(ahead) > 8
    assert then == ahead
