"""Columns beyond 2 GiB, which Arrow itself refuses; and the ways taken there on small columns, by a planted limit."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus import whole_columns
from gristmill.corpus.schema import KEPT, SPAN, SPANS
from gristmill.corpus.span_tables import merge_spans, put_spans
from gristmill.corpus.whole_columns import (
    coded,
    in_one_piece,
    index_in,
    is_in,
    narrow,
    rows_of,
    taken,
    whole,
    wide,
    wide_type,
)
from gristmill.flows.pipeline.edits import bytes_cut
from gristmill.flows.pipeline.kept import by_part

TEXT = pa.list_(SPAN)


@pytest.fixture
def limit(monkeypatch):
    """Everything is beyond the limit."""
    monkeypatch.setattr(whole_columns, "MOST_BYTES", -1)
    monkeypatch.setattr(whole_columns, "PIECE_ROWS", 2)


@pytest.fixture(scope="module")
def long_column():
    """Three different strings, 2.1 GB by 33 references to one of 64 MB."""
    chunk = pa.array(["x" * (1 << 26)])
    return pa.chunked_array([pa.array(["a"]), *[chunk] * 33, pa.array(["b", "a"])])


def test_arrow_itself_ends_beyond_two_gigabytes(long_column):
    """The fault: where this passes one day, the room of this test is not needed any more."""
    for call in (long_column.combine_chunks, lambda: long_column.take(pa.array([0]))):
        with pytest.raises(pa.ArrowInvalid, match="offset overflow"):
            call()


def test_joins_by_a_column_beyond_two_gigabytes(long_column):
    assert index_in(pa.chunked_array([["b", "c", "a"]]), long_column).to_pylist() == [34, None, 0]
    assert is_in(pa.array(["b", "c"]), long_column).to_pylist() == [True, False]
    assert coded(long_column).indices.to_pylist() == [0, *[1] * 33, 2, 0]
    assert wide(long_column).type == pa.large_string()


@given(st.lists(st.lists(st.text(max_size=3), max_size=4), max_size=4), st.data())
def test_beyond_the_limit_all_is_as_below_it(chunks, data):
    column = pa.chunked_array([pa.array(one, pa.string()) for one in chunks], pa.string())
    values = column.to_pylist()
    rows = data.draw(st.lists(st.integers(0, max(len(values) - 1, 0)), max_size=5)) if values else []
    known = data.draw(st.lists(st.text(max_size=2), unique=True, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        for most in (2**31, -1):
            patch.setattr(whole_columns, "MOST_BYTES", most)
            patch.setattr(whole_columns, "PIECE_ROWS", 2)
            assert whole(column).to_pylist() == values
            found = taken(column, pa.array(rows, pa.int64()))
            assert (found.type, found.to_pylist()) == (pa.string(), [values[row] for row in rows])
            places = index_in(column, pa.array(known, pa.string())).to_pylist()
            assert places == [known.index(value) if value in known else None for value in values]
            assert coded(column).cast(whole(wide(column)).type).to_pylist() == values


def test_types_with_wide_offsets_inside(limit):
    kind = pa.struct([("a", TEXT), ("b", pa.binary()), ("c", pa.int32())])
    column = pa.chunked_array([pa.array([{"a": [], "b": b"x", "c": 1}, None], kind)] * 2)
    found = whole(column)
    assert found.type == wide_type(kind)
    assert narrow(found, kind).to_pylist() == column.to_pylist()
    assert narrow(found, kind).type == kind


def spans_of(*rows):
    lists = [[{"start": start, "end": end, "reason": reason} for start, end, reason in spans] for _, spans in rows]
    return pa.table([[doc_id for doc_id, _ in rows], pa.array(lists, TEXT)], SPANS)


def kept_of(*doc_ids):
    rows = [{"doc_id": one, "source": "s", "domain": "d", "part": n % 2, "row": n} for n, one in enumerate(doc_ids)]
    filled = [dict.fromkeys(KEPT.names) | {"heldout": False, "weight": 1.0, "spans": []} | row for row in rows]
    return pa.Table.from_pylist(filled, KEPT)


def test_spans_and_kept_rows_beyond_the_limit(request, monkeypatch):
    tables = [
        spans_of(("b", [(0, 4, "line"), (9, 12, "mask:EMAIL")]), ("a", [(1, 2, "line")])),
        spans_of(("c", [(0, 9, "substring")]), ("b", [(3, 10, "substring")])),
    ]
    kept = pa.concat_tables([kept_of("c", "a"), kept_of("b", "d")])

    def found():
        merged = put_spans(kept, merge_spans(tables))
        return [merged.to_pylist(), bytes_cut(merged["spans"]).tolist(), *(p.to_pylist() for p in by_part(merged, 2))]

    expected, schema = found(), merge_spans(tables).schema
    monkeypatch.setattr("gristmill.corpus.span_tables.ROWS_AT_ONCE", 2)
    request.getfixturevalue("limit")
    assert found() == expected
    assert merge_spans(tables).schema == schema
    assert by_part(kept, 2)[0].schema == kept.schema
    assert rows_of(kept, pa.array([3, 0])).to_pylist() == [kept.to_pylist()[3], kept.to_pylist()[0]]
    assert rows_of(kept, pa.array([0])).schema == kept.schema
    assert in_one_piece(kept)["doc_id"].type == pa.large_string()
    assert pc.all(is_in(kept["doc_id"], kept["doc_id"])).as_py()
