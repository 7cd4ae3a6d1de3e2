"""Files beside those that they replace: what killed writers leave is swept, what living ones hold is not."""

import errno
import fcntl
import signal
import subprocess
import sys

import pytest

from gristmill.handoff.asides import beside, sweep, sweep_beside, unheld
from gristmill.handoff.durable import write_json, write_text

WRITER = """
import os, signal, sys
from pathlib import Path
from gristmill.handoff import durable
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
durable.write_text(Path(sys.argv[1]), "never read")
"""
RACER = """
import sys
from pathlib import Path
from gristmill.handoff.durable import write_text
path = Path(sys.argv[1])
for number in range(int(sys.argv[2])):
    write_text(path, f"{sys.argv[3]} {number}")
"""


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def killed_beside(path):
    done = subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    return [name for name in names(path.parent) if name != path.name]


def test_what_a_killed_writer_left_the_next_one_deletes(tmp_path):
    path = tmp_path / "rates[1].json"
    write_text(path, "old")
    left = killed_beside(path)
    assert len(left) == 1, "the fault: a writer that is killed before the rename"
    write_text(tmp_path / "rates.json", "another file")
    assert [one.name for one in tmp_path.glob(".*.tmp")] == left
    assert path.read_text() == "old"
    write_text(path, "new")
    assert names(tmp_path) == ["rates.json", "rates[1].json"]
    assert path.read_text() == "new"


def test_what_a_living_writer_holds_stays_until_it_is_renamed(tmp_path):
    path = tmp_path / "state.json"
    with beside(path) as file:
        aside = tmp_path / file.name
        write_json(path, {"by": "another"})  # would sweep it
        assert sweep([aside]) == []
        file.write(b"{}")
        file.flush()
        aside.replace(path)
    assert (path.read_text(), names(tmp_path)) == ("{}", ["state.json"])
    with pytest.raises(ZeroDivisionError), beside(path):
        raise ZeroDivisionError
    assert names(tmp_path) == ["state.json"]


def test_writers_of_one_file_never_take_the_file_of_a_living_one(tmp_path):
    """Each write looks for what others left, so that a sweep meets every moment of a write."""
    path = tmp_path / "latest.json"
    writers = [subprocess.Popen([sys.executable, "-c", RACER, str(path), "300", str(n)]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert names(tmp_path) == ["latest.json"]


def test_a_sweep_between_making_and_locking_a_file_makes_the_writer_begin_again(tmp_path, monkeypatch):
    path, real, swept = tmp_path / "state.json", fcntl.flock, []

    def late(handle, how):
        if not swept and names(tmp_path):
            swept.append(names(tmp_path))
            sweep_beside(path)
        return real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_text(path, "whole")
    assert swept, "the fault"
    assert (path.read_text(), names(tmp_path)) == ("whole", ["state.json"])


def test_without_locks_files_are_written_and_nothing_is_deleted(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    left = killed_beside(path)

    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    write_text(path, "whole")
    assert names(tmp_path) == [*left, "state.json"]
    assert path.read_text() == "whole"


def test_what_is_gone_or_no_file_is_not_swept(tmp_path):
    (tmp_path / "link.tmp").symlink_to(tmp_path / "nowhere")
    assert sweep([tmp_path / "gone.tmp", tmp_path / "link.tmp"]) == []
    with unheld(tmp_path / "gone.tmp") as free:
        assert not free
    sweep_beside(tmp_path / "no folder" / "state.json")
