"""Later copies of records: the search kernel, the ranges on disk, stretches that become one, kept documents by rank."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError
from gristmill.dedup.copies import Copies, Spill, first_of_key, range_count
from gristmill.dedup.repeats.kept_texts import read_kept
from gristmill.dedup.repeats.removals import unite

keys = st.integers(0, 6).map(lambda key: key << 61 | key)  # many equal, in all ranges


@given(st.lists(st.tuples(keys, keys), max_size=40), st.integers(1, 2), st.randoms())
def test_first_of_key_has_the_smallest_place(pairs, n_keys, shuffler):
    places = list(range(len(pairs)))
    shuffler.shuffle(places)
    records = np.array([(p, *pair) for p, pair in zip(places, pairs, strict=True)], np.uint64).reshape(-1, 3)
    named = [pair[:n_keys] for pair in pairs]
    expected = [min((places[j], j) for j in range(len(pairs)) if named[j] == named[i])[1] for i in range(len(pairs))]
    assert first_of_key(records, n_keys).tolist() == expected


@given(st.lists(st.lists(keys, max_size=12), max_size=5), st.integers(1, 9), st.randoms())
def test_later_copies_of_all_batches_come_back_by_place(tmp_path_factory, batches, n_ranges, shuffler):
    total = sum(map(len, batches))
    places = [p << 32 for p in range(total)]
    shuffler.shuffle(places)
    copies = Copies(
        tmp_path_factory.mktemp("copies"),
        n_ranges,
        total,
        columns=2,
        n_keys=1,
        found=lambda records, later, first: records[later],
        found_columns=2,
    )
    everything, at = [], 0
    for batch in batches:
        records = list(zip(places[at : at + len(batch)], batch, strict=True))
        copies.add(np.array(records, np.uint64).reshape(-1, 2))
        everything += records
        at += len(batch)
    found = [tuple(row) for block in copies.later() for row in block.tolist()]
    firsts = {min(p for p, k in everything if k == key) for _, key in everything}
    assert found == sorted((place, key) for place, key in everything if place not in firsts)


@pytest.mark.parametrize("places", [range(50), range(50, 0, -1), [9, 3, 40, 1, 1000, 0, 77, 2]])
def test_first_of_key_whatever_way_places_run(places):
    """Descending places put every record before the best so far; then both ways in turn."""
    records = np.array([(place, 7) for place in places], np.uint64)
    assert first_of_key(records, 1).tolist() == [int(records[:, 0].argmin())] * len(records)


@given(st.lists(st.integers(0, 4), max_size=30))
def test_a_spill_keeps_records_in_their_range_in_order(tmp_path_factory, ranges):
    spill = Spill(tmp_path_factory.mktemp("spill"), 2, 5)
    records = np.arange(2 * len(ranges), dtype=np.uint64).reshape(-1, 2)
    half = len(ranges) // 2
    spill.add(records, np.arange(half), np.array(ranges[:half], np.uint64))
    spill.add(records, np.arange(half, len(ranges)), np.array(ranges[half:], np.uint64))
    blocks = list(spill)
    assert len(blocks) == 5
    for number, block in enumerate(blocks):
        assert block.tolist() == [row for row, r in zip(records.tolist(), ranges, strict=True) if r == number]


def test_ranges_grow_with_the_text_up_to_what_may_be_open():
    assert range_count(0) == 1
    assert range_count(200 << 20) == 4
    assert range_count(1 << 50) == 256


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 9)), max_size=12))
def test_united_stretches_cover_the_same_bytes(stretches):
    places = sorted(((rank << 32) + at, size) for rank, at, size in stretches)
    columns = [np.array(column, np.uint64) for column in zip(*places, strict=True)] or [np.empty(0, np.uint64)] * 2
    starts, stops = (values.tolist() for values in unite(*columns))
    covered = [byte for start, stop in zip(starts, stops, strict=True) for byte in range(start, stop)]
    assert covered == sorted({byte for place, size in places for byte in range(place, place + size)})
    assert all(stop < start for stop, start in zip(stops, starts[1:], strict=False))


ROWS = [("c", "third", "web"), ("a", "first", "books"), ("b", "second", "web")]


def test_kept_texts_come_in_file_order_with_their_rank(write_documents, kept_of):
    paths = write_documents([ROWS[:1], [], ROWS[1:]])
    texts = read_kept(paths, kept_of(paths))
    assert texts.source_names == ["books", "web"]
    assert texts.sources.tolist() == [0, 1, 1]
    assert [(b.rows.tolist(), b.ranks.tolist(), b.text.n_docs) for b in texts.batches()] == [
        ([0], [2], 1),
        ([1, 2], [0, 1], 2),
    ]


def test_only_wanted_texts_are_read(write_documents, kept_of):
    paths = write_documents([ROWS[:1], ROWS[1:]])
    (batch,) = read_kept(paths, kept_of(paths)).batches(np.array([False, False, True]))
    assert batch.rows.tolist() == [2]
    assert batch.text.data[: batch.text.offsets[-1]].tobytes() == b"second"


def test_kept_tables_may_be_in_any_order(write_documents, kept_of):
    paths = write_documents([ROWS])
    (kept,) = kept_of(paths)
    backwards = kept.take(pa.array([2, 1, 0]))
    assert read_kept(paths, [backwards]).ranks.tolist() == read_kept(paths, [kept]).ranks.tolist() == [2, 0, 1]


def test_kept_rows_of_other_files_are_refused(write_documents, kept_of):
    paths, others = write_documents([ROWS]), write_documents([ROWS[::-1]])
    with pytest.raises(SchemaError, match="name other documents"):
        list(read_kept(others, kept_of(paths)).batches())
    with pytest.raises(SchemaError, match=r"names row 2 of .*, which has 1 rows"):
        read_kept(write_documents([ROWS[:1]]), kept_of(paths))
    with pytest.raises(SchemaError, match=r"'?a'? is kept more than once"):
        read_kept(paths * 2, kept_of(paths) * 2)
    with pytest.raises(SchemaError, match="no column 'row'"):
        read_kept(paths, [kept_of(paths)[0].drop(["row"])])


def test_text_bytes_come_from_the_metadata(write_documents, kept_of):
    paths = write_documents([ROWS])
    assert read_kept(paths, kept_of(paths)).text_bytes >= sum(len(text) for _, text, _ in ROWS)
    assert pq.read_metadata(paths[0]).num_rows == 3
