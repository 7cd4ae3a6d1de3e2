"""Two runs of one commit agree: examples, generators of the process, and generators that tests make."""

import random
import re
import sys
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers

from gristmill.corpus._rooms import HOUSE

UNSEEDED = re.compile(r"default_rng\(\)|\bRandom\(\)|SystemRandom|\burandom\b|\bnp\.random\.(?!default_rng|Generator)")


def drawn() -> list:
    found = []

    @settings(max_examples=100, derandomize=True, database=None)
    @given(st.lists(st.integers()), st.text())
    def draw(numbers, text):
        found.append((numbers, text))

    draw()
    return found


def test_examples_do_not_depend_on_the_modules_loaded_so_far(monkeypatch, tmp_path):
    """Hypothesis draws from the constants of loaded modules, and another test file may load some or not."""
    planted = ModuleType("planted")
    planted.__file__ = str(tmp_path / "planted.py")
    (tmp_path / "planted.py").write_text(f"NUMBERS = {list(range(10_000, 10_400))}", encoding="utf-8")
    for name, value in {
        "CONSTANTS_CACHE": LRUCache(64),
        "_seen_modules": {id(module) for module in sys.modules.values()},
        "_local_constants": providers.Constants(),
    }.items():
        monkeypatch.setattr(providers, name, value)
    before = drawn()
    monkeypatch.setitem(sys.modules, "planted", planted)
    assert drawn() == before
    monkeypatch.setattr(providers, "_get_local_constants", providers._get_local_constants.__defaults__[0])
    assert drawn() != before


@pytest.mark.parametrize("_", range(2))
def test_generators_of_the_process_begin_each_test_alike(_):
    assert random.random() == random.Random(0).random()
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(0))


def test_no_test_makes_a_generator_without_a_seed():
    files = [path for path in (HOUSE / "tests").rglob("*.py") if path.name != "test_chance.py"]
    assert len(files) > 200
    found = {path.name: UNSEEDED.findall(path.read_text(encoding="utf-8")) for path in files}
    assert not {name: unseeded for name, unseeded in found.items() if unseeded}


@pytest.mark.parametrize("line", ["np.random.default_rng()", "random.Random()", "np.random.rand(3)", "os.urandom(8)"])
def test_a_generator_without_a_seed_is_seen(line):
    assert UNSEEDED.search(line)
    assert not UNSEEDED.search("np.random.default_rng(7), random.Random(seed), torch.manual_seed(0)")
