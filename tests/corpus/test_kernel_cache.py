"""The kernel cache: shared by copies of the house, never stale, one writer at a time; and compiling ahead."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from dataclasses import fields, replace
from pathlib import Path

import numba
import pytest

from gristmill.corpus import _jit, _kernel_cache, warmup
from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.warmup import Call, warm

CALLEE = "from numba import njit\n\n@njit(cache=True)\ndef added(): return {}\n"
CALLER = (
    "from numba import njit\nfrom gristmill.corpus._kernels_callee import added\n\n"
    "@njit(cache=True)\ndef total(number): return number + added()\n"
)
ASK = """
import sys
from gristmill.corpus import _jit, _kernels_caller as caller
found = caller.total(20)
stats = [f.stats for f in (caller.total, caller.added)]
print(found, sum(sum(s.cache_misses.values()) for s in stats), sum(sum(s.cache_hits.values()) for s in stats))
print(_jit.cache_folder())
"""


def copy_of_the_house(folder: Path, number: int = 2) -> Path:
    """Floor 0 at another place, with two small kernels, one of which calls the other."""
    shutil.copytree(HOUSE / "corpus", folder / "corpus", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gristmill").mkdir()
    shutil.copy(HOUSE / "gristmill" / "__init__.py", folder / "gristmill")
    (folder / "corpus" / "_kernels_callee.py").write_text(CALLEE.format(number))
    (folder / "corpus" / "_kernels_caller.py").write_text(CALLER)
    return folder


def ask(house: Path, cache: Path, script: str = ASK, **environment: str) -> list[str]:
    """What a process in a copy prints, word by word."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    places = {"PYTHONPATH": str(house), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],  # -P: the folder that tests run in is no place to import from
        env={**clean, **places, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_copy_compiles_nothing(tmp_path):
    found = ask(copy_of_the_house(tmp_path / "here"), tmp_path / "cache")
    assert found[:3] == ["22", "2", "0"]
    again = ask(copy_of_the_house(tmp_path / "elsewhere" / "deep"), tmp_path / "cache")
    assert again[:3] == ["22", "0", "1"]  # the callee is compiled into the caller and not even loaded
    assert again[3] == found[3]
    assert Path(found[3]).parent == tmp_path / "cache" / "gristmill" / "numba"


def test_a_changed_kernel_leaves_no_stale_caller(tmp_path):
    """The caller's file is the same; numba's own index would answer 22."""
    before = ask(copy_of_the_house(tmp_path / "here"), tmp_path / "cache")
    after = ask(copy_of_the_house(tmp_path / "changed", number=2000), tmp_path / "cache")
    assert after[:2] == ["2020", "2"]
    assert after[3] != before[3]


def test_options_of_the_compiler_have_kernels_of_their_own(tmp_path):
    house = copy_of_the_house(tmp_path / "here")
    plain = ask(house, tmp_path / "cache")
    checked = ask(house, tmp_path / "cache", NUMBA_BOUNDSCHECK="1")
    assert (checked[1], checked[3] == plain[3]) == ("2", False)


def test_the_users_own_folder_is_used(tmp_path):
    found = ask(copy_of_the_house(tmp_path / "here"), tmp_path / "cache", NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert Path(found[3]).parent == tmp_path / "mine"
    assert not (tmp_path / "cache").exists()


def test_without_a_home_kernels_lie_in_a_private_temporary_folder(tmp_path):
    (tmp_path / "file").write_text("")  # no folder can be made below a file
    (tmp_path / "tmp").mkdir()
    house = copy_of_the_house(tmp_path / "here")
    for misses in ("2", "0"):
        found = ask(house, tmp_path / "file", TMPDIR=str(tmp_path / "tmp"))
        assert found[1] == misses
        assert Path(found[3]).parents[2] == tmp_path / "tmp"
    folder = Path(found[3]).parents[1]
    folder.chmod(0o777)  # anybody may have put code there
    assert ask(house, tmp_path / "file", TMPDIR=str(tmp_path / "tmp"))[3] == "None"


def test_functions_of_others_are_cached_too(tmp_path):
    """A plug-in's kernel stands outside the house: numba knows it by its path, beside our kernels."""
    (tmp_path / "mine.py").write_text("from numba import njit\n\n@njit(cache=True)\ndef two(): return 2\n")
    script = f"import sys; sys.path.append({str(tmp_path)!r})\n" + ASK.replace(
        "print(_jit", "import mine; mine.two(); print(sum(mine.two.stats.cache_hits.values()), _jit"
    )
    house = copy_of_the_house(tmp_path / "here")
    assert [ask(house, tmp_path / "cache", script)[3] for _ in range(2)] == ["0", "1"]
    assert list((tmp_path / "cache").rglob("elsewhere/**/mine.two*.nbc"))


@pytest.mark.parametrize("changed", [field.name for field in fields(_jit.Machine)])
def test_everything_that_compiles_stands_in_the_name(changed):
    machine = _jit.this_machine()
    other = replace(machine, **{changed: ("OPT=0",) if changed == "options" else getattr(machine, changed) + "x"})
    assert _jit.cache_name("s", machine) == _jit.cache_name("s", _jit.this_machine())
    assert len({_jit.cache_name("s", machine), _jit.cache_name("t", machine), _jit.cache_name("s", other)}) == 3


def test_another_version_of_numba_has_another_folder(monkeypatch):
    before = _jit.this_machine()
    monkeypatch.setattr(numba, "__version__", "99.0")
    assert _jit.this_machine().numba == "99.0"
    assert _jit.cache_name("s", before) != _jit.cache_name("s", _jit.this_machine())


def test_every_kernel_of_the_house_is_under_its_place():
    places = [
        _kernel_cache.KernelLocator.from_function(ask, str(path)).get_cache_path() for path in _jit.kernel_sources()
    ]
    assert len(set(places)) == len(places)
    assert str(_jit.cache_folder() / "corpus.text._kernels") in places
    assert _kernel_cache.KernelLocator.from_function(ask, __file__) is None


def test_one_process_writes_a_function_at_a_time(tmp_path, monkeypatch):
    """Two signatures compiled at once would share one file, and the index of one lead to the code of the other."""
    monkeypatch.setattr(_kernel_cache, "cache_folder", lambda: tmp_path)
    (tmp_path / "kernel").mkdir()
    index = _kernel_cache.OneWriter(str(tmp_path / "kernel"), "f", "stamp")
    with (tmp_path / "kernel" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = threading.Thread(target=index.save, args=("key", "code"))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert index.load("key") is None
    writer.join()
    assert index.load("key") == "code"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, in this process and in those that it starts."""
    folder = tmp_path / "gristmill" / "numba" / _jit.cache_folder().name
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(warmup, "cache_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_are_made_once(cache, workers):
    calls, said = [Call("os:getcwd"), Call("os:getcwd"), Call("os.path:basename", ("a/b",))], []
    assert warm(calls, said.append, workers) == [calls[0], calls[2]]
    assert len(said) == 1
    assert said[0].startswith("compiling the kernels of 2 stages")
    assert ("in 2 processes" in said[0]) == (workers == 2)
    assert str(cache) in said[0]
    assert warm(calls, said.append, workers) == []
    assert len(said) == 1
    assert warm([Call("os.path:basename", ("c",))], said.append, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_fails_is_not_noted(cache, workers):
    calls = [Call("os:getcwd"), Call("builtins:int", ("x",))]
    with pytest.raises((ValueError, RuntimeError), match="invalid literal"):  # as text from another process
        warm(calls, lambda _: None, workers)
    assert [call.is_made() for call in calls] == [True, False]


def test_a_process_that_ends_is_named_and_the_others_go_on(cache):
    calls = [Call("builtins:exit", ("3",)), Call("os:abort"), Call("os:getcwd"), Call("os.path:basename", ("a",))]
    with pytest.raises(RuntimeError, match=r"compiling (os:abort|builtins:exit).* failed"):
        warm(calls, lambda _: None, 2)
    assert [call.is_made() for call in calls] == [False, False, True, True]


def test_the_last_call_may_be_taken_while_a_process_starts(cache, monkeypatch):
    """Planted: starting takes so long that the other threads have taken all that was left."""
    calls = deque([Call("os:getcwd"), Call("os.path:basename", ("a",))])
    first, start = calls[0], warmup._Worker.__enter__
    monkeypatch.setattr(warmup._Worker, "__enter__", lambda self: calls.clear() or start(self))
    warmup._work(calls, warmup._Unheard())
    assert first.is_made()


def test_without_a_cache_every_call_is_made(monkeypatch):
    said = []
    monkeypatch.setattr(warmup, "cache_folder", lambda: None)
    for _ in range(2):
        assert warm([Call("os:getcwd")], said.append)
    assert all("kept in nowhere" in line for line in said)
