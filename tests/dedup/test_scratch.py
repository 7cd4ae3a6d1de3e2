"""Arrays on disk against plain concatenation."""

import gc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dedup.scratch import ScratchArray, ScratchStrings, ScratchTable

PAIR = np.dtype([("key", "<u8"), ("node", "<i4")])


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9), max_size=6))
def test_what_was_appended_is_read_whatever_was_released(pieces):
    scratch, expected = ScratchArray(None, np.int32), []
    for piece in pieces:
        scratch.append(np.array(piece, np.int64))
        expected += piece
        assert scratch.array().tolist() == expected
        scratch.release()
        assert scratch.array().tolist() == expected
        assert len(scratch) == len(expected)


def test_records_keep_their_fields():
    scratch = ScratchArray(None, PAIR)
    scratch.append(np.array([(2**64 - 1, -5), (7, 6)], PAIR))
    assert scratch.array().tolist() == [(2**64 - 1, -5), (7, 6)]
    assert PAIR.itemsize == 12


def test_a_released_array_reads_its_pages_again():
    scratch = ScratchArray(None, np.uint64)
    scratch.append(np.arange(100_000, dtype=np.uint64))
    array = scratch.array()
    assert int(array.sum()) == 4_999_950_000
    scratch.release()
    assert int(array.sum()) == 4_999_950_000


def test_the_file_has_no_name_and_goes_with_the_object(tmp_path):
    scratch = ScratchArray(tmp_path, np.uint8)
    scratch.append(np.ones(5, np.uint8))
    array = scratch.array()
    file = scratch._file
    assert list(tmp_path.iterdir()) == []
    del scratch
    gc.collect()
    assert file.closed
    assert array.tolist() == [1] * 5  # the map outlives the object


@pytest.mark.parametrize("dtype", [np.int32, PAIR])
def test_nothing_is_an_empty_array(dtype):
    scratch = ScratchArray(None, dtype)
    scratch.append(np.empty(0, dtype))
    scratch.release()
    assert len(scratch.array()) == len(scratch) == 0
    assert scratch.array().dtype == dtype


def test_another_of_the_same_kind_is_empty():
    scratch = ScratchArray(None, PAIR)
    scratch.append(np.array([(1, 2)], PAIR))
    other = scratch.empty_like()
    assert (len(other), other.array().dtype, len(scratch)) == (0, PAIR, 1)


@given(st.lists(st.lists(st.text(max_size=5), max_size=5), max_size=5), st.lists(st.integers(0, 24), max_size=9))
def test_strings_come_back_by_their_number(pieces, numbers):
    scratch, expected = ScratchStrings(None), [string for piece in pieces for string in piece]
    for piece in pieces:
        scratch.append(pa.array(["left out", *piece], pa.string())[1:])
    assert len(scratch) == len(expected)
    chosen = [number % len(expected) for number in numbers] if expected else []
    found = scratch.take(np.array(chosen, np.int64))
    assert found.type == pa.string()
    assert found.to_pylist() == [expected[number] for number in chosen]


@given(st.lists(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 9)), max_size=4), max_size=4))
def test_batches_come_back_as_they_were_written(pieces):
    schema = pa.schema([("name", pa.string()), ("number", pa.int32())])
    batches = [pa.RecordBatch.from_pylist([{"name": a, "number": b} for a, b in piece], schema) for piece in pieces]
    scratch = ScratchTable(None, schema)
    for batch in batches:
        scratch.append(batch)
    assert scratch.batches() == batches
    scratch.release()
    assert scratch.batches() == batches
