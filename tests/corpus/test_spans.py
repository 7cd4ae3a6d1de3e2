"""Merging span tables and putting them into kept rows, against a naive twin that looks at every byte."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus import _kernels_spans
from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import KEPT, SPAN, SPANS
from gristmill.corpus.span_tables import MASK, merge_spans, put_spans, spans_column

REASONS = ["line", "paragraph", "substring", "mask:EMAIL", "mask:PHONE"]
LENGTH = 24

one_span = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH), st.sampled_from(REASONS)).map(
    lambda span: (min(span[:2]), max(span[:2]), span[2])
)
documents = st.dictionaries(st.sampled_from("abcd"), st.lists(one_span, max_size=5), max_size=4)


def spans_table(spans_of):
    spans = [[dict(zip(("start", "end", "reason"), span, strict=True)) for span in s] for s in spans_of.values()]
    return pa.table([pa.array(list(spans_of), pa.string()), pa.array(spans, pa.list_(SPAN))], schema=SPANS)


def as_dict(table):
    return {row["doc_id"]: [tuple(span.values()) for span in row["spans"]] for row in table.to_pylist()}


def naive_reasons(spans):
    """Why each byte goes, None where it stays; ``spans`` in the order of tables."""
    by_start = sorted(spans, key=lambda span: span[0])
    removals = [span for span in by_start if not span[2].startswith(MASK)]
    masks = [span for span in by_start if span[2].startswith(MASK)]
    reasons = []
    for byte in range(LENGTH):
        covering = [r for start, end, r in [*removals, *masks] if start <= byte < end]
        reasons.append(covering[0] if covering else None)
    return reasons


def reasons_of_bytes(spans):
    reasons = [None] * LENGTH
    for start, end, reason in spans:
        assert all(reason is None for reason in reasons[start:end]), "spans overlap"
        reasons[start:end] = [reason] * (end - start)
    return reasons


@given(st.lists(documents, max_size=3))
def test_every_byte_goes_for_the_reason_that_starts_first(tables):
    merged = as_dict(merge_spans([spans_table(t) for t in tables]))
    for name in "abcd":
        spans = [span for t in tables for span in t.get(name, [])]
        assert reasons_of_bytes(merged.get(name, [])) == naive_reasons(spans)


@given(st.lists(documents, max_size=3))
def test_merged_spans_are_sorted_disjoint_and_not_empty(tables):
    table = merge_spans([spans_table(t) for t in tables])
    assert table.schema == SPANS
    assert table["doc_id"].to_pylist() == sorted(table["doc_id"].to_pylist())
    for spans in as_dict(table).values():
        assert spans
        assert all(start < end for start, end, _ in spans)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(documents)
def test_merging_again_changes_nothing(spans_of):
    once = merge_spans([spans_table(spans_of)])
    assert merge_spans([once]).equals(once)
    assert merge_spans([once, once]).equals(once)


@given(documents, documents)
def test_removed_bytes_do_not_depend_on_the_order_of_tables(one, other):
    def removed(tables):
        merged = as_dict(merge_spans([spans_table(t) for t in tables]))
        return {
            name: [r is not None and not r.startswith(MASK) for r in reasons_of_bytes(spans)]
            for name, spans in merged.items()
        }

    assert removed([one, other]) == removed([other, one])


def test_a_mask_is_cut_on_both_sides_of_a_removal_inside_it():
    merged = merge_spans([spans_table({"a": [(2, 12, "mask:EMAIL")]}), spans_table({"a": [(5, 7, "line")]})])
    assert as_dict(merged) == {"a": [(2, 5, "mask:EMAIL"), (5, 7, "line"), (7, 12, "mask:EMAIL")]}


def test_a_removal_spares_no_mask_within_it():
    merged = merge_spans([spans_table({"a": [(3, 5, "mask:EMAIL"), (0, 9, "line")]})])
    assert as_dict(merged) == {"a": [(0, 9, "line")]}


def test_masks_that_touch_stay_two():
    """Two addresses side by side leave two markers."""
    spans = {"a": [(0, 3, "mask:EMAIL"), (3, 6, "mask:EMAIL")]}
    assert as_dict(merge_spans([spans_table(spans)])) == spans


def test_spans_of_one_reason_that_overlap_become_one():
    merged = merge_spans([spans_table({"a": [(0, 5, "line")]}), spans_table({"a": [(3, 9, "line")]})])
    assert as_dict(merged) == {"a": [(0, 9, "line")]}


def test_one_cut_may_end_two_spans():
    def column(*values):
        return np.array(values, np.int64)

    out = np.zeros((3, 3), np.int64)
    n = _kernels_spans.subtract(column(0, 10), column(10, 20), column(1, 2), column(8), column(12), *out)
    assert out[:, :n].tolist() == [[0, 12], [8, 20], [1, 2]]


def test_documents_far_along_keep_their_offsets():
    spans = {f"{i:05}": [(i, 2**31 - 1, "line")] for i in range(300)}
    assert as_dict(merge_spans([spans_table(spans)])) == spans


def test_nothing_merges_to_nothing():
    assert merge_spans([]).equals(SPANS.empty_table())
    assert merge_spans([spans_table({"a": []})]).num_rows == 0


def test_sliced_and_chunked_tables_are_read_right():
    table = spans_table({name: [(i, i + 2, "line")] for i, name in enumerate("abcdef")})
    pieces = pa.concat_tables([table[4:5], table[1:2], table[2:4]])
    assert as_dict(merge_spans([pieces])) == {name: [(i, i + 2, "line")] for i, name in enumerate("bcde", 1)}


@pytest.mark.parametrize("span", [(5, 3, "line"), (-1, 3, "line")])
def test_a_span_that_is_none_is_refused(span):
    with pytest.raises(SchemaError, match="expected 0 <= start <= end"):
        merge_spans([spans_table({"a": [span]})])


def test_a_document_twice_in_a_table_is_refused():
    table = spans_table({"a": [(0, 1, "line")]})
    with pytest.raises(SchemaError, match="twice"):
        merge_spans([pa.concat_tables([table, table])])
    with pytest.raises(SchemaError, match="twice"):
        put_spans(kept_rows("a"), pa.concat_tables([table, table]))


def kept_rows(doc_ids):
    rows = [
        {"doc_id": d, "source": "s", "domain": "d", "part": 0, "row": i, "spans": [], "weight": 1.0, "heldout": False}
        for i, d in enumerate(doc_ids)
    ]
    return pa.Table.from_pylist(rows, KEPT)


@given(st.permutations("abcdef"), documents)
def test_put_spans_gives_each_document_its_own(order, spans_of):
    filled = put_spans(kept_rows(order), spans_table(spans_of))
    assert filled.schema == KEPT
    assert as_dict(filled.select(["doc_id", "spans"])) == {name: spans_of.get(name, []) for name in order}
    assert filled.drop(["spans"]).equals(kept_rows(order).drop(["spans"]))


def test_put_spans_replaces_what_was_there():
    kept = put_spans(kept_rows("ab"), spans_table({"a": [(0, 3, "line")]}))
    assert as_dict(put_spans(kept, spans_table({})).select(["doc_id", "spans"])) == {"a": [], "b": []}


def test_kept_rows_in_chunks_and_without_rows():
    kept = pa.concat_tables([kept_rows("ab"), kept_rows("cd")])
    spans = spans_table({"c": [(1, 2, "line")], "x": [(0, 1, "line")]})
    assert as_dict(put_spans(kept, spans).select(["doc_id", "spans"]))["c"] == [(1, 2, "line")]
    assert put_spans(kept[:0], spans).num_rows == 0


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([[1, 0, 4, 0], [0, 0, 4, 0]], "order of their documents"),
        ([[0, 0, 4, 0], [2, 0, 4, 0]], "document 2 with reason 0, where there are 2 documents"),
        ([[-1, 0, 4, 0]], "document -1"),
        ([[0, 0, 4, 1]], "reason 1, where there are 2 documents and 1 reasons"),
        ([[0, 0, 1 << 31, 0]], r"\[0, 2147483648\)"),
    ],
)
def test_a_span_that_would_be_lost_or_another_documents_is_an_error(found, why):
    with pytest.raises(ValueError, match=why):
        spans_column(2, np.array(found, np.int64), ["cut:x"])
