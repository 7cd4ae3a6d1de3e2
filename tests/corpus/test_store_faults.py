"""Faults by code, exhaustively where that is cheap: bits of receipts, full disks at every call, a store that fails."""

import builtins
import errno
import os
import random
from pathlib import Path

import fsspec
import pytest

from gristmill.corpus import writer_lock
from gristmill.corpus.disk import disk_problem
from gristmill.corpus.entry_check import RECEIPT, EntryWatch
from gristmill.corpus.errors import DamagedEntryError, LockedError
from gristmill.corpus.lock import Lock
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.remote import RemoteStore
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.store import LocalStore
from gristmill.corpus.store_use import alone, is_written, using, written_by_none
from gristmill.corpus.unfinished import filling, is_held, sweep
from gristmill.corpus.writer_lock import WriterLock

CALLS = ("fsync", "rename", "replace", "mkdir", "link")


def make(name: str):
    def fill(folder: Path) -> Outcome:
        (folder / "deep").mkdir()
        (folder / "deep" / "data").write_text(name * 50)
        return Outcome(1, {}, {"name": name})

    return fill


def work(root: Path) -> RunDir:
    """What a run does with the disk, with two parts of one stage."""
    store = LocalStore(root / "store").watched(EntryWatch())
    store.sweep()
    run = RunDir.create(root / "runs", "x", "name = 'x'", Lock({}, {}, {}, {}))
    with WriterLock(run.path):
        run.sweep()
        parts = tuple(store.produce("documents", name, make(name))[0] for name in "ab")
        run.write_manifest(Manifest("documents", parts))
        run.place(store.folder(parts[0]), "shards/web")
    return run


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def failing_at(place: int, code: int, patch: pytest.MonkeyPatch) -> None:
    """The call of this number that changes the disk fails; opening a file to write counts as one."""
    done = 0

    def counted(real, writes):
        def call(*arguments, **options):
            nonlocal done
            if writes(*arguments, **options):
                done += 1
                if done == place:
                    raise OSError(code, os.strerror(code), str(arguments[0]))
            return real(*arguments, **options)

        return call

    for name in CALLS:
        patch.setattr(os, name, counted(getattr(os, name), lambda *_, **__: True))
    for owner in (builtins, __import__("io")):
        patch.setattr(owner, "open", counted(owner.open, lambda _, mode="r", *__, **___: "w" in mode))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_call_leaves_what_a_later_run_completes(tmp_path, code):
    work(tmp_path / "whole")
    want, place, failures = files(tmp_path / "whole"), 0, []
    while True:
        place += 1
        root = tmp_path / f"{place}"
        with pytest.MonkeyPatch.context() as patch:
            failing_at(place, code, patch)
            try:
                work(root)
                ended = True
            except OSError as error:
                ended = False
                failures.append(disk_problem(error))  # one sentence at the command line
        work(root)
        assert files(root) == want
        if ended and place > 20:
            break
    assert len(failures) > 15
    assert all(failures)


def test_every_bit_of_a_receipt(tmp_path):
    """It is found out, or it was a space between two figures."""
    store = LocalStore(tmp_path)
    receipt, _ = store.produce("documents", "a", make("a"))
    path = store.folder(receipt) / RECEIPT
    data, damaged = path.read_bytes(), 0
    for place in range(len(data)):
        for bit in (0, 3, 6):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            try:
                assert store.find("documents", "a") == receipt
            except DamagedEntryError:
                damaged += 1
    assert damaged > len(data)


def test_a_store_that_fails_three_times_in_ten(tmp_path):
    """Each call of the object store; the same call again ends with the same bytes, whatever was left half-way."""
    rng, problems = random.Random(3), list[str]()

    class Flaky:
        def __init__(self, fs):
            self._fs = fs

        def __getattr__(self, name):
            real = getattr(self._fs, name)

            def call(*arguments, **options):
                if rng.random() < 0.3:
                    raise OSError(f"{name}: 503 Slow Down")
                result = real(*arguments, **options)
                if rng.random() < 0.1:
                    raise OSError(f"{name}: the answer was lost")
                return result

            return call

    store = RemoteStore("memory://faults", tmp_path / "cache").watched(EntryWatch())
    store._fs = Flaky(fsspec.filesystem("memory"))
    for name in "abcdefgh":
        while True:
            try:
                receipt, _ = store.produce("documents", name, make(name))
                break
            except OSError as error:
                problems.append(str(error))
        other = RemoteStore("memory://faults", tmp_path / "other")
        assert (other.folder(receipt) / "deep" / "data").read_text() == name * 50
    assert len(problems) > 5
    assert all("503" in one or "lost" in one for one in problems)
    assert not list((tmp_path / "cache").glob("*/.*"))


def test_a_damaged_copy_is_fetched_and_a_damaged_part_is_made_again(tmp_path):
    store = RemoteStore("memory://healed", tmp_path / "cache").watched(EntryWatch())
    receipt, _ = store.produce("documents", "a", make("a"))
    again = store.watched(EntryWatch())
    (tmp_path / "cache" / "documents" / "a" / "deep" / "data").write_text("damaged")
    with pytest.raises(DamagedEntryError):
        again.folder(receipt)
    again.discard("documents", "a")
    assert again.produce("documents", "a", make("a")) == (receipt, True)
    assert (again.folder(receipt) / "deep" / "data").read_text() == "a" * 50
    again.discard("documents", "a")
    fsspec.filesystem("memory").pipe("/healed/documents/a/deep/data", b"damaged")
    with pytest.raises(DamagedEntryError):
        again.folder(receipt)
    again.discard("documents", "a")
    assert again.produce("documents", "a", make("a")) == (receipt, False)


def test_a_clock_that_jumps_loses_nothing(tmp_path):
    """Times order what is looked at first; they decide nothing."""
    store = LocalStore(tmp_path)
    for name, when in (("a", 4e9), ("b", 0), ("c", 1e9)):
        os.utime(store.folder(store.produce("documents", name, make(name))[0]) / RECEIPT, (when, when))
    assert store.scrub(10**6) == []
    left = tmp_path / "documents" / ".d.tmp"
    left.mkdir()
    os.utime(left, (4e9, 4e9))
    assert store.sweep() == 1


def test_who_uses_a_store_and_who_writes_a_run(tmp_path, monkeypatch):
    with using(tmp_path / "store"), using(tmp_path / "store"), pytest.raises(LockedError), alone(tmp_path / "store"):
        pass
    with alone(tmp_path / "store"):
        pass
    run = tmp_path / "run"
    run.mkdir()
    assert not is_written(run)
    with WriterLock(run):
        assert is_written(run)
        with written_by_none(run) as free:
            assert not free
    with written_by_none(run) as free:
        assert free
        monkeypatch.setattr(writer_lock, "PATIENCE_SECONDS", 0.02)
        with pytest.raises(LockedError), WriterLock(run):
            pass
    with WriterLock(run), pytest.raises(LockedError), WriterLock(run):
        pass
    with filling(tmp_path, "a") as aside:
        assert (is_held(aside), sweep(iter([aside]))) == (True, [])
    assert not is_held(aside)
    assert sweep(iter([tmp_path / "gone.tmp"])) == []
