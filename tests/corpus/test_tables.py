"""Parts on disk: what is written comes back, and hashes are written as they are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.disk import disk_problem
from gristmill.corpus.tables import GROUP_BYTES, read_batches, read_part, read_rows, write_part

SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("text", pa.large_string()),
        pa.field("signature", pa.list_(pa.uint32(), 4)),
    ]
)


def batch_of(n: int, text: str = "a") -> pa.RecordBatch:
    numbers = np.random.default_rng(n).integers(0, 1 << 32, 4 * n, dtype=np.uint32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=SCHEMA.field("signature").type)
    return pa.record_batch([[f"{at:032x}" for at in range(n)], pa.array([text] * n, pa.large_string()), lists], SCHEMA)


@pytest.mark.parametrize("noise", [(), ("doc_id",), ("signature",), ("doc_id", "signature")])
def test_what_is_written_comes_back(tmp_path, noise):
    batches = [batch_of(5), batch_of(0), batch_of(9)]
    assert write_part(tmp_path / "part.parquet", SCHEMA, batches, noise) == 14
    assert read_part(tmp_path / "part.parquet").equals(pa.Table.from_batches(batches, SCHEMA))


def test_hashes_are_neither_packed_nor_looked_up(tmp_path):
    write_part(tmp_path / "part.parquet", SCHEMA, [batch_of(50)], noise=["signature"])
    group = pq.ParquetFile(tmp_path / "part.parquet").metadata.row_group(0)
    found = {group.column(at).path_in_schema: group.column(at) for at in range(3)}
    assert found["signature.list.element"].compression == "UNCOMPRESSED"
    assert "RLE_DICTIONARY" not in found["signature.list.element"].encodings
    assert found["text"].compression == "ZSTD"
    assert "RLE_DICTIONARY" in found["text"].encodings


def test_a_row_group_closes_when_it_is_full(tmp_path):
    half = batch_of(2, "x" * (GROUP_BYTES // 4))
    write_part(tmp_path / "part.parquet", SCHEMA, [half, half, half])
    assert [batch.num_rows for batch in read_batches(tmp_path / "part.parquet", ["doc_id"])] == [4, 2]
    assert [batch.schema.names for batch in read_batches(tmp_path / "part.parquet", ["doc_id"])] == [["doc_id"]] * 2


@pytest.mark.parametrize("rows", [1, 3, 4, 99])
def test_rows_come_a_few_at_a_time_whatever_the_row_groups(tmp_path, rows):
    half = batch_of(2, "x" * (GROUP_BYTES // 4))  # row groups of four documents and of two
    write_part(tmp_path / "part.parquet", SCHEMA, [half, half, half])
    found = list(read_rows(tmp_path / "part.parquet", ["doc_id", "signature"], rows))
    assert max(batch.num_rows for batch in found) <= rows
    assert pa.Table.from_batches(found).equals(read_part(tmp_path / "part.parquet", ["doc_id", "signature"]))


READERS = [read_part, lambda path: list(read_batches(path)), lambda path: list(read_rows(path, SCHEMA.names, 7))]


@pytest.mark.parametrize("read", READERS)
def test_one_bit_of_a_page_is_an_error_and_one_sentence(tmp_path, read):
    path = tmp_path / "part.parquet"
    write_part(path, SCHEMA, [batch_of(50)], noise=["signature"])
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="could not verify page integrity") as found:
        read(path)
    assert "a page of a table is not what was written" in str(disk_problem(found.value))
