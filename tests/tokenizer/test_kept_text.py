"""Reading the kept documents of a part."""

import pyarrow as pa
import pytest

from gristmill.corpus.errors import SchemaError
from gristmill.tokenizer.kept_text import KEPT_TEXT, kept_batches

TEXTS = [f"text {number}" for number in range(10)]


@pytest.fixture
def documents(mill):
    return mill.documents(TEXTS)


@pytest.fixture
def path(mill, documents, tmp_path):
    return mill.write(tmp_path / "part.parquet", documents, 4)  # row groups of 4, 4 and 2


def read(path, kept):
    return pa.Table.from_batches(kept_batches(path, kept), KEPT_TEXT)


def test_all_documents_come_in_order(mill, documents, path):
    table = read(path, mill.kept(documents))
    assert table["text"].to_pylist() == TEXTS
    assert table["doc_id"].to_pylist() == documents["doc_id"].to_pylist()


def test_some_documents_in_any_order_of_the_kept_rows(mill, documents, path):
    table = read(path, mill.kept(documents, [8, 0, 3], heldout=[3]))
    assert table["text"].to_pylist() == [TEXTS[0], TEXTS[3], TEXTS[8]]
    assert table["heldout"].to_pylist() == [False, True, False]


def test_row_groups_without_kept_documents_give_no_batch(mill, documents, path):
    assert [batch.num_rows for batch in kept_batches(path, mill.kept(documents, [1, 9]))] == [1, 1]


def test_spans_are_cut(mill, documents, path):
    spans = {2: [{"start": 0, "end": 5, "reason": "line"}], 9: [{"start": 5, "end": 6, "reason": "mask:number"}]}
    table = read(path, mill.kept(documents, [2, 5, 9], spans))
    assert table["text"].to_pylist() == ["2", "text 5", "text <NUMBER>"]


def test_nothing_kept(mill, documents, path):
    assert read(path, mill.kept(documents, [])).num_rows == 0


def test_a_row_beyond_the_part_is_an_error(mill, path):
    more = mill.documents([*TEXTS, "one more"])
    with pytest.raises(SchemaError, match=r"names row 10 of .*, which has 10 rows"):
        read(path, mill.kept(more))


def test_kept_rows_of_another_part_are_an_error(mill, path):
    other = mill.documents(TEXTS, source="other")
    with pytest.raises(SchemaError, match="does not belong to"):
        read(path, mill.kept(other))


def test_a_row_named_twice_is_an_error(mill, documents, path):
    with pytest.raises(SchemaError, match="rows repeat"):
        read(path, mill.kept(documents, [1, 1]))


def test_a_missing_column_is_named(mill, documents, path):
    with pytest.raises(SchemaError, match="'spans'"):
        read(path, mill.kept(documents).drop_columns("spans"))
