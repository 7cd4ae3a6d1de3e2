"""The store: a part is whole or absent, whoever dies when; same key, same bytes; damage is named."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.corpus.account import Account
from gristmill.corpus.errors import ConservationError, StoreError
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.store import LocalStore, check_files, process_lives, writer_tag


def fill(text: str = "hello"):
    def make(folder: Path) -> Outcome:
        (folder / "a.txt").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "b.txt").write_text(text * 2)
        return Outcome(3, {"web": Account(3, 2, 1, 0, 30, 20, 10, 0)}, {"note": [1, 2]})

    return make


def test_a_part_is_made_once_and_then_found(tmp_path):
    store = LocalStore(tmp_path)
    receipt, reused = store.produce("signals", "k1", fill())
    again, reused_again = store.produce("signals", "k1", fill("other"))
    assert (reused, reused_again) == (False, True)
    assert receipt == again
    assert (store.folder(receipt) / "a.txt").read_text() == "hello"
    assert [file.name for file in receipt.files] == ["a.txt", "deep/b.txt"]


def test_a_receipt_survives_json(tmp_path):
    receipt, _ = LocalStore(tmp_path).produce("signals", "k1", fill())
    assert Receipt.from_json(receipt.to_json()) == receipt
    manifest = Manifest("signals", (receipt, receipt))
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.rows == 6
    assert manifest.accounts["web"].documents_in == 6


def test_a_failing_stage_leaves_nothing(tmp_path):
    def broken(folder: Path) -> Outcome:
        (folder / "half").write_text("half")
        raise RuntimeError("boom")

    store = LocalStore(tmp_path)
    with pytest.raises(RuntimeError, match="boom"):
        store.produce("signals", "k1", broken)
    assert store.find("signals", "k1") is None
    assert list((tmp_path / "signals").iterdir()) == []


def test_a_stage_that_loses_a_document_fails(tmp_path):
    def lossy(folder: Path) -> Outcome:
        return Outcome(1, {"web": Account(documents_in=2, documents_kept=1)})

    with pytest.raises(ConservationError, match="'signals' does not conserve source 'web'"):
        LocalStore(tmp_path).produce("signals", "k1", lossy)


def test_damage_is_named(tmp_path):
    store = LocalStore(tmp_path)
    receipt, _ = store.produce("signals", "k1", fill())
    check_files(store.folder(receipt), receipt)
    (store.folder(receipt) / "a.txt").write_text("hellO")
    with pytest.raises(StoreError, match=r"a\.txt is not what its receipt says"):
        check_files(store.folder(receipt), receipt)
    (store.folder(receipt) / "a.txt").unlink()
    with pytest.raises(StoreError, match=r"a\.txt is missing"):
        check_files(store.folder(receipt), receipt)


def test_two_writers_of_one_key_agree(tmp_path):
    store = LocalStore(tmp_path)

    def slow(folder: Path) -> Outcome:
        store.produce("signals", "k1", fill())  # another writer is faster
        return fill()(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gristmill.corpus.store.writer_tag", iter(["slow~1", "fast~2"]).__next__)
        receipt, reused = store.produce("signals", "k1", slow)
    assert not reused
    assert [path.name for path in (tmp_path / "signals").iterdir()] == ["k1"]
    assert store.find("signals", "k1") == receipt


SCRIPT = """
import os, signal, sys
from pathlib import Path
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.store import LocalStore
import gristmill.corpus.store
def make(folder):
    (folder / "data").write_bytes(b"x" * 100000)
    return Outcome(1)
point, name = sys.argv[2], None
def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
if point == "make": make = lambda folder: ((folder / "data").write_bytes(b"x"), die())
if point == "digest": gristmill.corpus.store.file_sha256 = die
if point == "receipt": gristmill.corpus.store.write_json = die
if point == "rename": Path.rename = die
flush = gristmill.corpus.store.fsync_path
if point == "after": gristmill.corpus.store.fsync_path = lambda path: die() if path.name == "stage" else flush(path)
LocalStore(Path(sys.argv[1])).produce("stage", "key", make)
"""


@pytest.mark.parametrize("point", ["make", "digest", "receipt", "rename", "after"])
def test_kill_at_every_point_leaves_a_whole_part_or_none(tmp_path, point):
    dead = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), point], cwd=Path.cwd(), check=False)
    assert dead.returncode == -signal.SIGKILL
    store = LocalStore(tmp_path)
    found = store.find("stage", "key")
    assert (found is not None) == (point == "after")
    assert store.sweep() == (0 if point == "after" else 1)
    store.produce("stage", "key", lambda folder: Outcome((folder / "data").write_bytes(b"x" * 100000) and 1))
    assert [path.name for path in (tmp_path / "stage").iterdir()] == ["key"]
    receipt = store.find("stage", "key")
    assert receipt is not None
    check_files(store.folder(receipt), receipt)


def test_a_living_writer_is_not_swept(tmp_path):
    aside = tmp_path / "stage" / f".key.{writer_tag()}.tmp"
    aside.mkdir(parents=True)
    assert LocalStore(tmp_path).sweep() == 0
    assert aside.exists()


def test_process_lives():
    assert process_lives(os.getpid())
    assert process_lives(1)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not process_lives(child.pid)
