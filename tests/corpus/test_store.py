"""The store: a part is whole or absent, whoever dies when; same key, same bytes; damage is named."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.corpus.account import Account
from gristmill.corpus.entry_check import RECEIPT, EntryWatch, check_files, receipt_text
from gristmill.corpus.errors import ConservationError, DamagedEntryError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.store import LocalStore
from gristmill.corpus.unfinished import filling, is_held


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

    receipt, reused = store.produce("signals", "k1", slow)  # both of one process
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
    """Whatever its host and process are called: a container that starts again has those of the dead one."""
    with filling(tmp_path / "stage", "key") as aside:
        assert is_held(aside)
        assert LocalStore(tmp_path).sweep() == 0
        assert aside.exists()
    assert not aside.exists()
    left = tmp_path / "stage" / f".key.host~{os.getpid()}.tmp"  # as version 0.1.0 named them
    left.mkdir()
    assert not is_held(left)
    assert LocalStore(tmp_path).sweep() == 1


def test_an_entry_is_compared_at_its_first_use_in_a_run(tmp_path):
    receipt, _ = LocalStore(tmp_path).produce("signals", "k1", fill())
    data = tmp_path / "signals" / "k1" / "a.txt"
    data.write_text("hellO")
    LocalStore(tmp_path).folder(receipt)  # a question looks at pages alone
    watched = LocalStore(tmp_path).watched(EntryWatch())
    for _ in range(2):
        with pytest.raises(DamagedEntryError, match=r"signals/k1: a\.txt is not what its receipt says"):
            watched.folder(receipt)
    watched.discard("signals", "k1")
    assert watched.produce("signals", "k1", fill()) == (receipt, False)
    data.write_text("hellO")  # after it was written in this run: looked at in the next one
    watched.folder(receipt)
    assert pickle.loads(pickle.dumps(watched))._watch is pickle.loads(pickle.dumps(watched))._watch


@pytest.mark.parametrize("name", ["rows", "key", "facts", "bytes", "sha256", "documents_kept", "digest"])
def test_one_figure_of_a_receipt_is_damage(tmp_path, name):
    store = LocalStore(tmp_path)
    receipt, _ = store.produce("signals", "k1", fill())
    path = store.folder(receipt) / RECEIPT
    text = path.read_text()
    place = text.index(f'"{name}"') + len(name) + 4
    digit = next(at for at in range(place, len(text)) if text[at].isdigit())
    path.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])
    with pytest.raises(DamagedEntryError, match=r"receipt\.json is not what was written"):
        store.find("signals", "k1")
    path.write_bytes(b"\x00{")
    with pytest.raises(DamagedEntryError, match=r"receipt\.json cannot be read"):
        store.find("signals", "k1")
    path.unlink()
    with pytest.raises(DamagedEntryError, match=r"receipt\.json is missing"):
        store.find("signals", "k1")


def test_a_receipt_of_an_earlier_version_is_read(tmp_path):
    store = LocalStore(tmp_path)
    receipt, _ = store.produce("signals", "k1", fill())
    path = store.folder(receipt) / RECEIPT
    assert read_json(path) == receipt_text(receipt)
    write_json(path, receipt.to_json())
    assert store.find("signals", "k1") == receipt


def test_scrubbing_goes_round_the_store(tmp_path):
    store = LocalStore(tmp_path)
    for name in "abc":
        receipt, _ = store.produce("signals", name, fill())
        os.utime(store.folder(receipt) / RECEIPT, (0, ord(name)))
    (tmp_path / "signals" / "b" / "a.txt").write_text("hellO")
    assert store.scrub(0) == []
    assert store.scrub(15) == []  # a; each has 15 bytes
    assert [error.key for error in store.scrub(30)] == ["b"]
    assert [error.key for error in store.scrub(15)] == ["b"]  # damage does not grow younger
