"""Shards: what is written is what every reader finds, and the bytes depend on the rows alone."""

import json
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError, StoreError
from gristmill.corpus.schema import ROW_DOCUMENT, rows_schema
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.rows import digests, row_batch
from gristmill.handoff.shards import ShardWriter

L = 6


def slice_of(start, length, offset=0, doc_id="d" * 32):
    return {"doc_id": doc_id, "start": start, "length": length, "offset": offset}


def rows_of(n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, 50, (n, L))
    return tokens, [[slice_of(0, 2), slice_of(2, 1 + i % 4, 3 * (i % 2), f"doc{i}")][: i % 3] for i in range(n)]


def write(folder, tokens, documents, cuts=(), vocab_size=50, shard_rows=7, batch_rows=3):
    with ShardWriter(
        folder, row_tokens=L, vocab_size=vocab_size, shard_rows=shard_rows, batch_rows=batch_rows
    ) as writer:
        for a, b in zip([0, *cuts], [*cuts, len(tokens)], strict=True):
            writer.write(tokens[a:b], documents[a:b])
    return json.loads((folder / "index.json").read_text())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=15)  # each writes two folders, durably
@given(cuts=st.lists(st.integers(0, 25), max_size=5).map(sorted))
def test_bytes_do_not_depend_on_how_calls_cut_the_rows(tmp_path_factory, cuts):
    tokens, documents = rows_of(25)
    one, many = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("many")
    write(one, tokens, documents)
    write(many, tokens, documents, cuts)
    assert contents(one) == contents(many)


def test_arrow_and_python_documents_write_the_same_bytes(tmp_path):
    tokens, documents = rows_of(25)
    column = pa.array([[], *documents, []], pa.list_(ROW_DOCUMENT)).slice(1, 25)
    write(tmp_path / "python", tokens, documents)
    with ShardWriter(tmp_path / "arrow", row_tokens=L, vocab_size=50, shard_rows=7, batch_rows=3) as writer:
        writer.write(tokens.astype(np.uint16), column)
    assert contents(tmp_path / "python") == contents(tmp_path / "arrow")


def test_the_index_counts_what_is_there(tmp_path):
    tokens, documents = rows_of(25)
    index = write(tmp_path, tokens, documents)
    slices = [piece for row in documents for piece in row]
    assert index["rows"] == 25
    assert index["tokens"] == sum(piece["length"] for piece in slices)
    assert index["documents"] == sum(piece["offset"] == 0 for piece in slices)
    assert (index["row_tokens"], index["token_type"], index["vocab_size"]) == (L, "uint16", 50)
    assert [shard["rows"] for shard in index["shards"]] == [7, 7, 7, 4]
    assert [batch["rows"] for batch in index["shards"][0]["batches"]] == [3, 3, 1]
    for shard in index["shards"]:
        content = (tmp_path / shard["name"]).read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (shard["bytes"], shard["sha256"])


def test_shards_are_plain_arrow_streams(tmp_path):
    tokens, documents = rows_of(25)
    index = write(tmp_path, tokens, documents)
    tables = [pa.ipc.open_stream(tmp_path / shard["name"]).read_all() for shard in index["shards"]]
    table = pa.concat_tables(tables)
    assert table.schema == rows_schema(L, pa.uint16())
    assert table["tokens"].to_pylist() == tokens.tolist()
    assert table["documents"].to_pylist() == documents


@pytest.mark.parametrize(("rows", "shards"), [(0, [0]), (1, [1]), (7, [7]), (8, [7, 1])])
def test_few_rows(tmp_path, rows, shards):
    index = write(tmp_path, *rows_of(rows))
    assert [shard["rows"] for shard in index["shards"]] == shards
    assert sorted(p.name for p in tmp_path.glob("*.arrow")) == [shard["name"] for shard in index["shards"]]


@pytest.mark.parametrize(("vocab_size", "name"), [(1 << 16, "uint16"), ((1 << 16) + 1, "uint32")])
def test_the_narrowest_type_that_holds_every_id(tmp_path, vocab_size, name):
    tokens = np.full((1, L), vocab_size - 1)
    assert write(tmp_path, tokens, [[]], vocab_size=vocab_size)["token_type"] == name
    table = pa.ipc.open_stream(tmp_path / "data-00000-of-00001.arrow").read_all()
    assert table["tokens"].to_pylist() == tokens.tolist()


@pytest.mark.parametrize(
    ("tokens", "documents", "message"),
    [
        (np.zeros((1, L + 1), int), [[]], r"rows of 7 tokens in a folder of 6 \(shards.row_tokens\)"),
        (np.zeros(L, int), [[]], "not integers"),
        (np.zeros((1, L)), [[]], "not integers"),
        (np.full((1, L), 50), [[]], "do not fit vocab_size 50"),
        (np.full((1, L), -1), [[]], "do not fit vocab_size 50"),
        (np.zeros((2, L), int), [[]], "2 rows of tokens came with 1 lists"),
        (np.zeros((1, L), int), [None], "1 nulls"),
        (np.zeros((1, L), int), [[slice_of(0, 2, doc_id=None)]], "1 nulls"),
        (np.zeros((1, L), int), [[slice_of(0, 7)]], r"\[0, 7\).*leaves the row of 6 tokens"),
        (np.zeros((1, L), int), [[slice_of(-1, 2)]], r"\[-1, 1\)"),
        (np.zeros((1, L), int), [[slice_of(0, 0)]], "empty"),
        (np.zeros((2, L), int), [[slice_of(3, 2)], [slice_of(0, 3), slice_of(2, 1)]], r"row 1 .*\[2, 3\).*overlaps"),
    ],
)
def test_malformed_rows_are_refused(tmp_path, tokens, documents, message):
    with (
        pytest.raises(SchemaError, match=message),
        ShardWriter(tmp_path, row_tokens=L, vocab_size=50, shard_rows=7, batch_rows=3) as writer,
    ):
        writer.write(tokens, documents)
    assert not (tmp_path / "index.json").exists()  # what failed is never taken for finished


def test_digests_see_values_and_not_buffers():
    tokens, documents = rows_of(12)
    whole = row_batch(tokens, documents, 50)
    assert digests(whole.slice(5, 4)) == digests(row_batch(tokens[5:9], documents[5:9], 50))
    assert digests(whole.slice(0, 0)) == digests(row_batch(tokens[:0], documents[:0], 50))


@given(st.integers(0, 3), st.integers(1, 5))
def test_digests_differ_with_any_field(field, change):
    tokens, documents = rows_of(6)
    before = digests(row_batch(tokens, documents, 50))
    piece = documents[5][1]
    documents[5][1] = [
        piece | {"doc_id": f"other{change}"},
        piece | {"offset": piece["offset"] + change},
        piece | {"length": 1} if piece["length"] > 1 else piece | {"start": 3},
        piece | {"start": piece["start"] + 1, "length": 1},
    ][field]
    after = digests(row_batch(tokens, documents, 50))
    assert after["tokens"] == before["tokens"]
    assert after["documents"] != before["documents"]


def test_datasets_opens_the_folder_without_copying(tmp_path):
    datasets = pytest.importorskip("datasets")
    tokens = np.random.default_rng(0).integers(0, 50, (4000, L))
    documents = [[slice_of(0, L)]] * 4000
    write(tmp_path, tokens, documents, shard_rows=2500, batch_rows=500)
    loaded = datasets.load_from_disk(str(tmp_path))
    assert len(loaded) == 4000
    assert np.array(loaded.with_format("numpy")[2400:2600]["tokens"]).tolist() == tokens[2400:2600].tolist()
    assert loaded[3]["documents"] == documents[3]
    allocated = pa.total_allocated_bytes()
    again = datasets.load_from_disk(str(tmp_path))
    assert pa.total_allocated_bytes() - allocated < tokens.astype(np.uint16).nbytes / 4
    assert len(again) == 4000


def test_datasets_opens_an_empty_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    write(tmp_path, *rows_of(0))
    assert len(datasets.load_from_disk(str(tmp_path))) == 0


def places(n):
    return [[{"start": 1 + i % 2, "length": 2}, {"start": 4, "length": 1}][: i % 3] for i in range(n)]


def write_masked(folder, n=9, targets=None, masked=True):
    tokens, documents = rows_of(n)
    with ShardWriter(folder, row_tokens=L, vocab_size=50, shard_rows=7, batch_rows=3, targets=masked) as writer:
        writer.write(tokens, documents, places(n) if targets is None else targets)


def test_targets_come_back_and_are_digested(tmp_path):
    write_masked(tmp_path)
    reader = ShardReader(tmp_path)
    assert reader.index["format"] == "gristmill-rows-2"
    expected = np.zeros((9, L), bool)
    for row, lists in enumerate(places(9)):
        for one in lists:
            expected[row, one["start"] : one["start"] + one["length"]] = True
    order = np.array([8, 0, 5, 5, 1])
    assert np.array_equal(reader.mask(order), expected[order])
    path = tmp_path / "data-00000-of-00002.arrow"
    data = bytearray(path.read_bytes())
    batch = next(iter(pa.ipc.open_stream(pa.py_buffer(bytes(data)))))
    at = bytes(data).index(batch.column("targets").flatten().field("length").to_numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is not what was written"):
        ShardReader(tmp_path).mask(np.array([0]))


@pytest.mark.parametrize(
    ("targets", "masked", "message"),
    [
        ([[{"start": 5, "length": 2}]] + [[]] * 8, True, r"row 0 of this call: the target slice \[5, 7\)"),
        (
            [[{"start": 1, "length": None}]] + [[]] * 8,
            True,
            "targets hold 1 nulls; every slice has",
        ),
        ([[]] * 8, True, "9 rows of tokens came with 8 lists of targets"),
        ([[]] * 9, False, "rows have tokens, documents, targets, the folder tokens, documents"),
    ],
)
def test_targets_that_do_not_fit_are_refused(tmp_path, targets, masked, message):
    with pytest.raises(SchemaError, match=message):
        write_masked(tmp_path, targets=targets, masked=masked)


def write_buckets(folder, sizes, order=None, masked=False):
    """Rows of buckets ``sizes``, written in ``order``; the tokens."""
    n = sum(sizes)
    tokens, documents = rows_of(n)
    bounds = np.cumsum([0, *sizes]).tolist()
    described = [{"group": number, "weight": 1.0} for number in range(len(sizes))]
    options = {"row_tokens": L, "vocab_size": 50, "shard_rows": 7, "batch_rows": 3, "targets": masked}
    with ShardWriter(folder, **options).with_buckets(described) as writer:
        for number in order or range(len(sizes)):
            at = slice(*bounds[number : number + 2])
            writer.write(tokens[at], documents[at], places(n)[at] if masked else None, bucket=number)
    return tokens


@pytest.mark.parametrize("masked", [False, True])
def test_rows_keep_their_bucket(tmp_path, masked):
    tokens = write_buckets(tmp_path, [4, 0, 5, 3], masked=masked)
    reader, streams = ShardReader(tmp_path), sorted(tmp_path.glob("data-*"))
    assert (reader.index["format"], reader.has_targets) == ("gristmill-rows-2", masked)
    assert reader.index["columns"] == ["tokens", "documents", *(["targets"] if masked else []), "bucket"]
    assert [one["rows"] for one in reader.index["buckets"]] == [4, 0, 5, 3]
    assert np.array_equal(reader.tokens(np.arange(12)), tokens)
    assert (reader.mask(np.arange(12)) is None) != masked
    columns = [pa.ipc.open_stream(pa.memory_map(str(path))).read_all() for path in streams]
    assert pa.concat_tables(columns)["bucket"].to_pylist() == [0] * 4 + [2] * 5 + [3] * 3
    assert columns[0].schema == rows_schema(L, pa.uint16(), targets=masked, bucket=True)
    assert columns[0].column_names == reader.index["columns"]


def test_a_changed_bucket_is_noticed(tmp_path):
    write_buckets(tmp_path, [4, 8])
    path = sorted(tmp_path.glob("data-*"))[0]
    batches = list(pa.ipc.open_stream(pa.py_buffer(path.read_bytes())))
    numbers = batches[1].column("bucket").to_numpy().tobytes()
    at = path.read_bytes().rindex(numbers)
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="is not what was written"):
        ShardReader(tmp_path).tokens(np.arange(7))


@pytest.mark.parametrize("order", [[1, 0], [0, 2]])
def test_buckets_out_of_order_are_refused(tmp_path, order):
    with pytest.raises(SchemaError, match=r"rows of bucket \d of 2 come after"):
        write_buckets(tmp_path, [4, 8], order)


def test_rows_with_and_without_a_bucket_do_not_mix(tmp_path):
    tokens, documents = rows_of(3)
    sizes = {"row_tokens": L, "vocab_size": 50, "shard_rows": 7, "batch_rows": 3}
    with (
        pytest.raises(SchemaError, match="rows have tokens, documents, the folder tokens, documents, bucket"),
        ShardWriter(tmp_path, **sizes).with_buckets([{"group": 0}]) as writer,
    ):
        writer.write(tokens, documents)
