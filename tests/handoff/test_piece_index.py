"""The index of pieces against a walk over the rows; prefixes; damage."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import StoreError
from gristmill.handoff.piece_index import PieceIndex, doc_ids_of, write_pieces
from gristmill.handoff.shards import ShardWriter

IDS = st.sampled_from(
    ["00" * 16, "00" * 15 + "01", "ab" + "00" * 15, "abcd" + "ef" * 14, "abce" + "00" * 14, "ff" * 16]
)


def write(folder, rows, row_tokens=8):
    with ShardWriter(folder, row_tokens=row_tokens, vocab_size=9, shard_rows=3, batch_rows=2) as writer:
        slices = [
            [{"doc_id": name, "start": at, "length": 1, "offset": 0} for at, name in enumerate(row)] for row in rows
        ]
        writer.write(np.zeros((len(rows), row_tokens), np.int64), slices)
    return folder


@given(st.lists(st.lists(IDS, max_size=8), max_size=12))
def test_every_piece_is_found_and_no_other(rows):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "a.arrow")
        assert write_pieces(write(Path(name, "rows"), rows), path) == sum(map(len, rows))
        index = PieceIndex(path)
        every = sorted((doc_id, row, place) for row, ids in enumerate(rows) for place, doc_id in enumerate(ids))
        for prefix in ("", "0", "ab", "abc", "abcd", "abcdef", "00" * 16, "ff" * 16, "12"):
            found = index.find(prefix)
            wanted = [(row, place) for doc_id, row, place in every if doc_id.startswith(prefix)]
            assert list(zip(found.row.tolist(), found.slice.tolist(), strict=True)) == wanted
            assert doc_ids_of(found) == sorted({doc_id for doc_id, *_ in every if doc_id.startswith(prefix)})


def test_a_piece_takes_22_bytes(tmp_path):
    sizes = []
    for rows in (1_000, 2_000):
        write_pieces(write(tmp_path / str(rows), [[f"{row:032x}"] for row in range(rows)]), tmp_path / "a.arrow")
        sizes.append((tmp_path / "a.arrow").stat().st_size)
    assert 22_000 <= sizes[1] - sizes[0] <= 22_000 + 3 * 64  # each column is padded to 64 bytes


def test_a_row_of_more_documents_than_two_bytes_count(tmp_path):
    write_pieces(write(tmp_path / "rows", [["ab" * 16] * 65_537], 65_537), tmp_path / "a.arrow")
    assert PieceIndex(tmp_path / "a.arrow").find("ab").slice.tolist() == list(range(65_537))


@pytest.mark.parametrize("doc_id", ["ab" * 15, "AB" * 16, "zz" * 16, "", "ab" * 17])
def test_a_doc_id_of_another_form_is_refused(tmp_path, doc_id):
    with pytest.raises(StoreError, match="not 32 hex characters"):
        write_pieces(write(tmp_path / "rows", [[doc_id]]), tmp_path / "a.arrow")


def test_a_damaged_index_is_one_clear_error(tmp_path):
    path = tmp_path / "a.arrow"
    write_pieces(write(tmp_path / "rows", [["ab" * 16]]), path)
    whole = path.read_bytes()
    other = pa.record_batch({"doc_id": ["a"]})
    with pa.ipc.new_stream(tmp_path / "other", other.schema) as writer:
        writer.write_batch(other)
    for content in (b"", whole[:100], (tmp_path / "other").read_bytes(), None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StoreError, match=r"cannot read the index of pieces .* run the recipe again"):
            PieceIndex(path)
        path.touch()
