"""The reader: rows by number, document slices, and every damaged byte noticed."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import StoreError
from gristmill.handoff import _kernels_rows
from gristmill.handoff.mapped import MappedShard
from gristmill.handoff.reader import ShardReader

ROWS = {"books": 23, "code": 37, "web": 61}


def naive_slices(documents, rows):
    return [[i, d["start"], d["length"]] for i, row in enumerate(rows) for d in documents[row]]


@given(st.lists(st.integers(0, 60), max_size=40))
def test_rows_in_any_order_are_the_rows_written(written, wanted):
    folder, content = written
    tokens, documents = content["web"]
    reader = ShardReader(folder / "shards" / "web")
    rows = np.array(wanted, np.int64)
    assert reader.tokens(rows).tolist() == tokens[rows].tolist()
    assert reader.tokens(rows).dtype == np.uint16
    assert reader.documents(rows) == [documents[row] for row in wanted]
    assert np.transpose(reader.slices(rows)).tolist() == naive_slices(documents, wanted)


def test_rows_are_found_where_they_are_and_copied_into_wider_types(written):
    folder, content = written
    tokens, documents = content["code"]
    reader, rows = ShardReader(folder / "shards" / "code"), [36, 0, 11]
    found, out = reader.find(np.array(rows)), np.full((3, 16), -1)
    _kernels_rows.copy_rows(np.roll(found.address, 1), np.full(3, 2, np.uint8), 1, out[:2])
    assert out.tolist() == [*tokens[[36, 0]].tolist(), [-1] * 16]
    assert np.transpose(found.slices).tolist() == naive_slices(documents, rows)


def test_facts_of_the_index(written):
    folder, _ = written
    reader = ShardReader(folder / "shards" / "books")
    assert (reader.rows, reader.row_tokens, reader.dtype) == (23, 16, np.uint16)
    assert reader.verify() == []


@pytest.mark.parametrize("rows", [[-1], [61], [0, 99]])
def test_rows_that_do_not_exist_are_refused(written, rows):
    folder, _ = written
    with pytest.raises(StoreError, match="which has 61"):
        ShardReader(folder / "shards" / "web").tokens(np.array(rows))


@pytest.fixture
def copy(written, tmp_path):
    folder, content = written
    return shutil.copytree(folder / "shards" / "web", tmp_path / "web"), content["web"][0]


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_in_any_shard_is_noticed_when_the_batch_is_touched(copy):
    folder, tokens = copy
    index = json.loads((folder / "index.json").read_text())
    for number, shard in enumerate(index["shards"]):
        path = folder / shard["name"]
        row = tokens[number * 10].astype(np.uint16).tobytes()
        flip(path, path.read_bytes().index(row) + 5)
        reader = ShardReader(folder)
        with pytest.raises(StoreError, match=rf"{shard['name']}: record batch 0 \(rows 0 to \d"):
            reader.tokens(np.array([number * 10]))
        assert reader.verify() == [f"{path} is not what its index says (sha256 {shard['sha256'][:12]}...)"]
        last = number * 10 + shard["rows"] - 1
        if len(shard["batches"]) > 1:
            assert reader.tokens(np.array([last])).tolist() == tokens[[last]].tolist()  # other batches are untouched
        flip(path, path.read_bytes().index(row[:4]) + 5)


def test_every_byte_of_a_shard_is_covered(copy):
    """A flipped bit is noticed at the latest by ``verify``, and never changes what is read."""
    folder, tokens = copy
    path = folder / "data-00006-of-00007.arrow"
    content = path.read_bytes()
    truth = ShardReader(folder).documents(np.array([60]))
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        reader = ShardReader(folder)
        assert len(reader.verify()) == 1
        try:
            assert reader.tokens(np.array([60])).tolist() == tokens[[60]].tolist()
            assert reader.documents(np.array([60])) == truth
        except StoreError:
            pass
    path.write_bytes(content)
    assert ShardReader(folder).verify() == []


@pytest.mark.parametrize("keep", [0, 100, 0.5, -8])
def test_a_cut_shard_is_refused(copy, keep):
    folder, _ = copy
    path = folder / "data-00001-of-00007.arrow"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    reader = ShardReader(folder)
    assert len(reader.verify()) == 1
    if keep != -8:  # only the end mark is gone: every row is still there
        with pytest.raises(StoreError, match=r"data-00001-of-00007\.arrow"):
            reader.tokens(np.array([15]))


def test_a_missing_shard_is_named(copy):
    folder, _ = copy
    (folder / "data-00002-of-00007.arrow").unlink()
    reader = ShardReader(folder)
    assert reader.verify() == [f"{folder / 'data-00002-of-00007.arrow'} is missing"]
    with pytest.raises(StoreError, match="cannot read the shard"):
        reader.tokens(np.array([25]))


def test_shards_of_another_index_are_refused(copy, written):
    folder, _ = copy
    shutil.copy(folder / "data-00006-of-00007.arrow", folder / "data-00000-of-00007.arrow")
    with pytest.raises(StoreError, match=r"not those of index\.json"):
        ShardReader(folder).tokens(np.array([0]))


@pytest.mark.parametrize(("text", "message"), [(None, "cannot read"), ("{", "cannot read"), ('{"format": "x"}', "'x'")])
def test_an_index_that_is_none_is_refused(tmp_path, text, message):
    if text:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        ShardReader(tmp_path)


def test_batches_are_digested_once(written, monkeypatch):
    folder, _ = written
    calls = []
    intact = MappedShard.intact
    monkeypatch.setattr(MappedShard, "intact", lambda self, batch: calls.append(batch) or intact(self, batch))
    reader = ShardReader(folder / "shards" / "web")
    for _ in range(3):
        reader.tokens(np.array([0, 1, 2, 3, 4]))
        reader.slices(np.array([0, 5]))
    assert calls == [0, 1]


def test_empty_shards_are_read(tmp_path):
    from gristmill.handoff.shards import ShardWriter

    with ShardWriter(tmp_path, row_tokens=4, vocab_size=9, shard_rows=3, batch_rows=2):
        pass
    reader = ShardReader(tmp_path)
    assert reader.rows == 0
    assert reader.tokens(np.empty(0, np.int64)).shape == (0, 4)
    assert reader.verify() == []
