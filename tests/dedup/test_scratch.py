"""Arrays on disk against plain concatenation."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.scratch import ScratchArray

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
