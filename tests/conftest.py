"""Shared settings and one small finished run.

One OpenMP thread, hypothesis without deadlines (kernels compile at their first call), nothing from the network.
The examples of hypothesis are a function of the tests, as a corpus is of its recipe: two runs of one commit agree.
``make search`` looks for new ones. Generators that the whole process shares begin every test alike.
"""

import os
import random
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# processes that tests start import up to 244 files of the house: compiled once, not each time, 0.9 of 2.9 CPU seconds
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
settings.register_profile(
    "mill",
    deadline=None,
    max_examples=30,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", settings.get_profile("mill"), max_examples=500, derandomize=False)
settings.load_profile("mill")


def modules_in_a_search(constants=providers._get_local_constants):
    """Numbers and strings that stand in the modules loaded so far: only a search has them, as other tests load some."""
    return providers.Constants() if settings.default.derandomize else constants()


providers._get_local_constants = modules_in_a_search  # one draw in twenty is such a constant

HOUSE = Path(__file__).resolve().parent.parent

SMALL = """
name = "small"
seed = 7
[[sources]]
name = "forum"
path = "samples/forum/fortunes.en.jsonl"
domain = "forum"
[[sources]]
name = "fewshot"
path = "samples/instructions/fewshot.jsonl"
domain = "instructions"
template = "{instruction}\\n\\n{input}\\n\\n{output}"
[[sources]]
name = "dirty"
path = ["samples/dirty/broken.jsonl", "samples/dirty/junk.jsonl"]
domain = "web"
[[sources]]
name = "speeches"
path = "samples/legal/state-of-the-union.parquet"
domain = "legal"
[language]
model = "samples/models/lid.176.ftz"
[decide]
profiles = ["length"]
[decide.domains.web]
profiles = ["fineweb@0.01"]
[knowledge]
graph = "samples/knowledge"
[limits]
part_bytes = "300K"
[[curriculum]]
until_tokens = "12K"
shares = { forum = 0.5, instructions = 0.3, web = 0.1, legal = 0.1 }
[[curriculum]]
until_tokens = "20K"
shape = "linear"
shares = { instructions = 0.8, legal = 0.2 }
[tokenizer]
vocab_size = 512
sample_bytes = "200K"
[shards]
row_tokens = 64
heldout = 0.05
shard_rows = 500
[trainer]
batch_rows = 8
checkpoint_steps = 20
heldout_rows = 30
threads = 1

[trainer.model]
layers = 2
width = 32
heads = 2
experts = 4
expert_width = 32
"""


def pytest_runtest_setup() -> None:
    """The generators of a process begin each test alike, whatever ran before it."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_text() -> str:
    """The recipe of the small run."""
    return SMALL


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the small run."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for one test."""
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def small_run(small_home: Path) -> Iterator[Path]:
    """The run directory of a small corpus, milled once a session: documents to card."""
    from gristmill.flows.direct import refine_directly

    recipe = small_home / "small.toml"
    recipe.write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(small_home))
        patch.chdir(HOUSE)
        run = Path(refine_directly(recipe)["run"])
    yield run
    runs = {lock.parent for lock in small_home.glob("runs/*/*/lock.json")}
    assert runs == {run}, "a test put a run into the shared home, where others count the runs: mill in a copy"
