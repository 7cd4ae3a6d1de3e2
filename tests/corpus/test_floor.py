"""Accounts, columns, parts, run directories, locks, seeds, errors: the small things on floor 0."""

import errno
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus import rundir, schema
from gristmill.corpus._rooms import HOUSE, ROOMS
from gristmill.corpus.account import Account, add_up, from_json, passed_on, to_json
from gristmill.corpus.errors import SchemaError, StoreError, UnknownNameError
from gristmill.corpus.files import canonical_json, content_key, read_json, write_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.seeds import derive_seed, fraction
from gristmill.corpus.stage import Signal
from gristmill.corpus.tables import PartWriter, read_batches, read_part, write_part
from gristmill.corpus.text.columns import PAD_BYTES, text_column

texts = st.lists(st.text(), max_size=12)
counts = st.integers(0, 10**6)


@given(texts, st.integers(0, 12), st.integers(0, 12))
def test_text_column_of_any_slice(values, start, length):
    batch = pa.record_batch({"text": pa.array(values, pa.string())}).slice(start, length)
    offsets, data = text_column(batch)
    found = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
    assert found == values[start : start + length]
    assert (data[int(offsets[-1]) :] == 0).all()
    assert len(data) == offsets[-1] + PAD_BYTES


@given(texts)
def test_text_column_of_every_arrow_form(values):
    plain = text_column(pa.record_batch({"text": pa.array(values, pa.large_string())}))
    chunked = pa.chunked_array([values[:3], values[3:]], pa.string())
    for column in (chunked, chunked.cast(pa.large_string())):
        other = text_column(pa.table({"text": column}))
        assert np.array_equal(plain.offsets, other.offsets)
        assert np.array_equal(plain.data, other.data)


def test_text_column_refuses_what_is_not_text():
    with pytest.raises(SchemaError, match="no column 'text'; the batch has a"):
        text_column(pa.record_batch({"a": ["x"]}))
    with pytest.raises(SchemaError, match="'text' is int64, not text"):
        text_column(pa.record_batch({"text": [1]}))
    with pytest.raises(SchemaError, match="'text' has 1 nulls in 2 rows"):
        text_column(pa.record_batch({"text": ["a", None]}))


@given(st.lists(st.tuples(counts, counts)))
def test_accounts_add_up(pairs):
    total = add_up({"s": passed_on(documents, n_bytes)} for documents, n_bytes in pairs)
    account = total.get("s", Account())
    assert account.balanced
    assert account.documents_in == sum(documents for documents, _ in pairs)
    assert from_json(to_json(total)) == total


def test_parts_keep_rows_and_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("gristmill.corpus.tables.GROUP_BYTES", 100)
    batches = [pa.record_batch({"a": ["x" * 30] * n}) for n in (3, 1, 4, 2)]
    rows = write_part(tmp_path / "p.parquet", batches[0].schema, batches)
    groups = list(read_batches(tmp_path / "p.parquet"))
    assert rows == 10 == sum(group.num_rows for group in groups)
    assert len(groups) > 1
    assert read_part(tmp_path / "p.parquet").num_rows == 10


def test_an_empty_part_has_its_schema(tmp_path):
    with PartWriter(tmp_path / "p.parquet", schema.DOCUMENTS):
        pass
    assert read_part(tmp_path / "p.parquet").schema.equals(schema.DOCUMENTS)
    assert list(read_batches(tmp_path / "p.parquet")) == []


def test_the_same_rows_give_the_same_bytes(tmp_path):
    batch = pa.record_batch({"a": ["x", "y"]})
    for name in ("one", "two"):
        write_part(tmp_path / name, batch.schema, [batch])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_json_is_canonical_and_files_are_replaced_whole(tmp_path):
    assert canonical_json({"b": [1], "a": "é"}) == '{"a":"é","b":[1]}'
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
    write_json(tmp_path / "x.json", {"a": 1})
    write_json(tmp_path / "x.json", {"a": 2})
    assert read_json(tmp_path / "x.json") == {"a": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_run_directory(tmp_path):
    lock = Lock({"name": "x"}, {}, {}, {"signals": "1"})
    run = RunDir.create(tmp_path, "x", "name = 'x'", lock)
    assert run.path == tmp_path / "x" / lock.run_id
    assert RunDir.create(tmp_path, "x", "name = 'x'", lock).path == run.path
    run.write_manifest(Manifest("signals", ()))
    assert RunDir.open(run.path).manifest("signals") == Manifest("signals", ())
    assert run.has("signals")
    assert run.lock == lock
    with pytest.raises(StoreError, match="has no plan yet"):
        run.manifest("plan")
    with pytest.raises(StoreError, match="is not a run directory"):
        RunDir.open(tmp_path)


def test_placed_files_are_links_without_the_receipt(tmp_path):
    entry = tmp_path / "entry"
    entry.mkdir()
    (entry / "data").write_text("x")
    (entry / "receipt.json").write_text("{}")
    run = RunDir.create(tmp_path / "runs", "x", "", Lock({}, {}, {}, {}))
    for _ in range(2):
        placed = run.place(entry, "shards/web")
    assert [path.name for path in placed.iterdir()] == ["data"]
    assert (placed / "data").samefile(entry / "data")


def test_placing_on_a_full_disk_is_the_error_of_the_system(tmp_path, monkeypatch):
    (tmp_path / "entry" / "deep").mkdir(parents=True)
    (tmp_path / "entry" / "deep" / "data").write_text("x")
    run = RunDir.create(tmp_path / "runs", "x", "", Lock({}, {}, {}, {}))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rundir.os, "link", full)
    monkeypatch.setattr(rundir.shutil, "copy2", full)
    with pytest.raises(OSError, match="No space left") as found:
        run.place(tmp_path / "entry", "plan")
    assert found.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert (run.place(tmp_path / "entry", "plan") / "deep" / "data").read_text() == "x"


def test_seeds_do_not_depend_on_order():
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2) != derive_seed(1, "a", 3)
    assert 0 <= derive_seed(2**62, "x") < 2**63
    values = [fraction(f"{n:032x}", "heldout", 1) for n in range(2000)]
    assert 0.45 < sum(values) / len(values) < 0.55


def test_unknown_names_suggest_the_nearest():
    assert str(UnknownNameError("rule", "wrods", ["words", "lines"])) == "unknown rule 'wrods'; did you mean 'words'?"


def test_schemas():
    assert schema.token_type(65536) == pa.uint16()
    assert schema.token_type(65537) == pa.uint32()
    assert schema.signals_schema([Signal("words", "words", 0, None, "white-space words")]).field("words").metadata == {
        b"unit": b"words",
        b"text": b"white-space words",
        b"source": b"",
        b"low": b"0",
    }
    with pytest.raises(SchemaError, match="part has no column 'b'; it has a"):
        schema.expect_columns(pa.schema([("a", pa.int8())]), ("a", "b"), "part")


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "gristmill"])
def test_a_room_has_one_name(room):
    code = f"import gristmill.{room}, {room}"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert f"ImportError: import gristmill.{room}, not {room}" in done.stderr
