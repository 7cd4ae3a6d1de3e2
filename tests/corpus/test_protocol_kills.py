"""Killed before and after every step that changes the disk, the next run leaves the same files and nothing else."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, shutil, signal, sys
from pathlib import Path
from gristmill.corpus.entry_check import EntryWatch
from gristmill.corpus.lock import Lock
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.store import LocalStore
from gristmill.corpus.writer_lock import WriterLock

STEPS = ("fsync", "rename", "replace", "mkdir", "link", "unlink", "rmdir", "ftruncate", "pwrite")


def die_at(place):
    done = 0
    def wrapped(real):
        def step(*arguments, **options):
            nonlocal done
            done += 1
            if done == place:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **options)
            done += 1
            if done == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return step
    for name in STEPS:
        setattr(os, name, wrapped(getattr(os, name)))


def make(name):
    def fill(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "data").write_text(name * 100)
        return Outcome(1)
    return fill


def work(root, damage):
    store = LocalStore(root / "store").watched(EntryWatch())
    store.sweep()
    run = RunDir.create(root / "runs", "x", "name = 'x'", Lock({}, {}, {}, {}))
    with WriterLock(run.path):
        run.sweep()
        if damage:
            store.discard("documents", "a")
        parts = tuple(store.produce("documents", name, make(name))[0] for name in "ab")
        run.write_manifest(Manifest("documents", parts))
        run.place(store.folder(parts[0]), "shards/web", store.folder(parts[1]))
        run.describe({"recipe.toml": "name = 'x' # edited"}, with_card=True)
        run.write_manifest(Manifest("card", parts[1:]))


def child(root, damage, place=None):
    pid = os.fork()
    if not pid:
        if place is not None:
            die_at(place)
        work(root, damage)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


base, damage = Path(sys.argv[1]), sys.argv[2] == "damage"
child(base / "whole", damage)
want, place = files(base / "whole"), 0
while True:
    place += 1
    root = base / "killed"
    shutil.rmtree(root, ignore_errors=True)
    if damage:
        child(root, False)
    if child(root, damage, place) == 0:
        break
    assert child(root, damage) == 0
    found = files(root)
    assert found == want, (place, sorted(set(found) ^ set(want)))
print(place - 1)
"""


@pytest.mark.parametrize("begin", ["empty", "damage"])
def test_a_run_that_is_killed_at_any_step_ends_as_one_that_was_not(tmp_path, begin):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), begin]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60  # before and after each step
