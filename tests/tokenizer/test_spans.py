"""Cutting and masking spans against slices of Python bytes."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import SPAN
from gristmill.tokenizer.cutting import cut_spans, marker

REASONS = ["line", "mask:email", "mask:ip address", "paragraph"]


def large(texts):
    return pa.array(texts, pa.large_string())


def spans_of(lists):
    return pa.array(
        [[dict(zip(("start", "end", "reason"), s, strict=True)) for s in one] for one in lists], pa.list_(SPAN)
    )


def naive_cut(text, spans):
    data, out, at = text.encode(), b"", 0
    for start, end, reason in spans:
        out += data[at:start] + marker(reason).encode()
        at = end
    return (out + data[at:]).decode()


@st.composite
def documents(draw):
    text = draw(st.text(max_size=40))
    edges = [len(text[:at].encode()) for at in range(len(text) + 1)]
    places = sorted(draw(st.lists(st.sampled_from(edges), max_size=6)))
    pairs = zip(places[::2], places[1::2], strict=False)
    return text, [(start, end, draw(st.sampled_from(REASONS))) for start, end in pairs]


@given(st.lists(documents(), max_size=8))
def test_equals_slices_of_bytes(made):
    texts, spans = [text for text, _ in made], [spans for _, spans in made]
    result = cut_spans(large(texts), spans_of(spans))
    assert result.to_pylist() == [naive_cut(*one) for one in made]
    result.validate(full=True)


@given(st.lists(documents(), min_size=1, max_size=8), st.integers(0, 8))
def test_of_a_slice_is_the_slice(made, first):
    texts, spans = large([text for text, _ in made]), spans_of([spans for _, spans in made])
    assert cut_spans(texts[first:], spans[first:]).equals(cut_spans(texts, spans)[first:])


def test_without_spans_nothing_is_copied():
    texts = large(["a", "bc"])
    assert cut_spans(texts, spans_of([[], []])) is texts


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 9, "line")],  # beyond the text
        [(-1, 2, "line")],
        [(3, 2, "line")],
        [(0, 3, "line"), (2, 4, "line")],  # overlap
        [(2, 4, "line"), (0, 1, "line")],  # order
        [(0, 2, "line")],  # in the middle of the two bytes of é
    ],
)
def test_wrong_spans_are_refused(spans):
    with pytest.raises(SchemaError, match=r"document 1 of the batch: span \[.*sorted, disjoint"):
        cut_spans(large(["fine", "xéyz"]), spans_of([[], spans]))


def test_markers_are_upper_case_words():
    assert [marker(reason) for reason in REASONS] == ["", "<EMAIL>", "<IP_ADDRESS>", ""]
