"""One writer at a time, whatever an earlier one left behind."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for bench.locks

from bench import locks
from gristmill.corpus import writer_lock
from gristmill.corpus.errors import LockedError, ReadOnlyError, StoreError
from gristmill.corpus.writer_lock import WriterLock

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the children of locks.py only lock


def refused(folder) -> bool:
    try:
        with WriterLock(folder):
            return False
    except LockedError:
        return True


def test_one_writer_at_a_time_in_threads_and_processes(tmp_path):
    found = []
    with WriterLock(tmp_path):
        thread = threading.Thread(target=lambda: found.append(refused(tmp_path)))
        thread.start()
        thread.join()
        code = f"import sys; sys.path[:] = {sys.path!r}; from tests.corpus.test_writer_lock import refused\n"
        code += f"from pathlib import Path; sys.exit(refused(Path({str(tmp_path)!r})))"
        found.append(subprocess.run([sys.executable, "-c", code], check=False).returncode == 1)
        with pytest.raises(LockedError, match=f"by process {os.getpid()} on .* ago"):
            WriterLock(tmp_path).__enter__()
    assert found == [True, True]
    assert list(tmp_path.iterdir()) == []
    assert not refused(tmp_path)


@pytest.mark.parametrize("kind", [*locks.LEFT, "killed"])
def test_what_an_earlier_writer_left_refuses_no_one(tmp_path, kind):
    locks.leave(tmp_path, kind)  # its process number may live: in a container that starts again it is our own
    with WriterLock(tmp_path):
        assert json.loads((tmp_path / "writer.lock").read_text())["pid"] == os.getpid()
        (tmp_path / "writer.lock").write_text(locks.LEFT["torn"] or "")
        with pytest.raises(LockedError, match="by another process"):
            WriterLock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_processes_that_meet_at_a_barrier(tmp_path):
    counts, overlaps = locks.writers_in(tmp_path, 140)
    assert overlaps == 0
    assert min(counts) >= 1


def test_a_lock_that_lets_two_in_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_lock.fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(locks, "HOLD_SECONDS", 0.1)  # a busy machine lets none of the others in for 20 ms
    assert locks.writers_in(tmp_path, 7)[1] > 0


def test_a_writer_that_begins_while_others_ask_who_writes_is_not_refused(tmp_path):
    assert locks.refusals(tmp_path, 300, 2) == 0


def test_a_writer_that_is_refused_since_others_ask_is_seen(tmp_path):
    assert locks.refusals(tmp_path, 300, 2, fcntl.LOCK_EX) > 0


def test_a_run_that_is_deleted_while_its_writer_waits_is_one_message(tmp_path):
    with pytest.raises(StoreError, match="is gone"):
        WriterLock(tmp_path / "deleted").__enter__()


def test_the_heartbeat_moves(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_lock, "BEAT_SECONDS", 0.01)
    with WriterLock(tmp_path) as lock:
        os.utime(lock.path, (0, 0))
        for _ in range(500):
            if lock.path.stat().st_mtime > 0:
                break
            lock._stop.wait(0.01)
        assert lock.path.stat().st_mtime > 0


@pytest.mark.parametrize(
    ("place", "code", "error", "text"),
    [
        ("open", errno.EROFS, ReadOnlyError, "cannot be written: Read-only"),
        ("open", errno.EACCES, ReadOnlyError, "cannot be written: Permission"),
        ("open", errno.ENOSPC, OSError, "No space"),
        ("flock", errno.ENOLCK, StoreError, "its file system has no locks"),
        ("flock", errno.EIO, OSError, "Input/output"),
    ],
)
def test_a_disk_that_takes_no_lock_is_one_message(tmp_path, monkeypatch, place, code, error, text):
    def failing(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((os, "open") if place == "open" else (fcntl, "flock")), failing)
    with pytest.raises(error, match=text):
        WriterLock(tmp_path).__enter__()
