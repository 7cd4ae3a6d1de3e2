"""Fields and the laws of a part: nothing an input says is lost, nothing is said twice."""

import json
import unicodedata
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources.fields import KNOWN, FieldMap, check_columns, meta_json
from gristmill.sources.part import RECORDS, Part, large_strings, text_hashes
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

NAMES = ["id", "text", "title", *(name for names in KNOWN for name in names)]
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4) | st.lists(st.integers(0, 9))


def naive_take(record, spec):
    """Plain reading of the rules."""
    rest = dict(record)
    if "text" not in rest:
        return "field_missing"
    text = rest.pop("text")
    if not isinstance(text, str):
        return "text_null" if text is None else "text_not_string"
    columns = []
    for names in KNOWN:
        column = None
        for name in names:
            if column is None and isinstance(rest.get(name), str):
                column = rest.pop(name) or None
        columns.append(column)
    return text, *columns, rest


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_take_equals_the_plain_reading(record):
    spec = ReadSpec("s", "web")
    expected = naive_take(record, spec)
    if isinstance(expected, str):
        with pytest.raises(RejectError, match=expected):
            FieldMap(spec).take(dict(record))
        return
    fields = FieldMap(spec).take(dict(record))
    *columns, rest = expected
    assert list(fields[:-1]) == columns
    assert json.loads(fields.meta or "{}") == rest


@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_meta_is_canonical(record):
    shuffled = dict(reversed(record.items()))
    assert meta_json(record) == meta_json(shuffled)
    assert json.loads(meta_json(record) or "{}") == record


def test_meta_holds_what_is_a_function_of_the_record():
    assert meta_json({"a": b"\x01", "b": Decimal("1.50")}) == '{"a":"01","b":"1.50"}'
    for odd in (object(), {"a", "b"}, lambda: 1):
        with pytest.raises(TypeError, match="which JSON does not hold"):
            meta_json({"a": [odd]})
    with pytest.raises(RejectError, match="number_too_large"):
        meta_json({"a": 10**30})


@given(st.lists(st.tuples(st.text(max_size=5), st.sampled_from(["a", "b", "c"])), min_size=1), st.text(max_size=5))
def test_templates_equal_str_format(pairs, end):
    def literal(text):
        return text.replace("{", "{{").replace("}", "}}")

    template = "".join(f"{literal(text)}{{{field}}}" for text, field in pairs) + literal(end)
    record = {"a": "first {b}", "b": "", "c": 3, "d": 4}
    fields = FieldMap(ReadSpec("s", "web", template=template)).take(dict(record))
    assert fields.text == template.format(**record)
    used = {field for _, field in pairs}
    assert json.loads(fields.meta or "{}") == {name: value for name, value in record.items() if name not in used}


def test_tables_are_checked_before_they_are_read():
    check_columns(["text", "id"], "a.csv", ReadSpec("s", "web"))
    with pytest.raises(SourceError, match="two columns 'id'"):
        check_columns(["text", "id", "id"], "a.csv", ReadSpec("s", "web"))
    with pytest.raises(SourceError, match=r"no column 'q'.*sources\.s\.template"):
        check_columns(["text"], "a.csv", ReadSpec("s", "web", template="{q}"))


@given(st.lists(st.text()), st.integers(0, 3))
def test_hashes_are_of_the_bytes_of_each_text_also_in_a_slice(texts, start):
    expected = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
    assert text_hashes(large_strings(texts)) == expected
    assert text_hashes(large_strings(texts).slice(start)) == expected[start:]


def naive_reason(text, limit):
    if text is None:
        return "text_null"
    if text.strip() == "":
        return "empty_text"
    if len(text.encode()) > limit:
        return "document_too_large"
    return "nul_character" if "\0" in text else None


def records_of(texts):
    columns = {
        "locator": [f"a#{i}" for i in range(len(texts))], "bytes": [7] * len(texts), "text": texts,
        **{name: [None] * len(texts) for name in RECORDS.names[3:]},
    }  # fmt: skip
    return pa.RecordBatch.from_pydict(columns, schema=RECORDS)


@given(st.lists(st.none() | st.text("ab\0é ", max_size=12)), st.integers(0, 3))
def test_every_law_holds_for_batches_and_slices(tmp_path_factory, texts, start):
    folder = tmp_path_factory.mktemp("part")
    with Part(folder, ReadSpec("s", "web", document_bytes=10)) as part:
        part.write(records_of(texts).slice(start))
    reasons = [naive_reason(text, 10) for text in texts[start:]]
    assert part.documents == reasons.count(None)
    assert dict(part.rejected) == {reason: reasons.count(reason) for reason in set(reasons) - {None}}
    assert part.account.bytes_in == 7 * len(reasons)
    assert part.account.balanced


def test_rows_and_batches_keep_their_order(tmp_path):
    with Part(tmp_path, ReadSpec("s", "web")) as part:
        part.add("r1", 1, "first", None, None, None, None, None)
        part.write(records_of(["second", "third"]))
        part.add("r2", 1, "fourth e\u0301", None, None, None, None, None)
    import pyarrow.parquet as pq

    found = pq.read_table(tmp_path / "documents.parquet").column("text").to_pylist()
    assert found == ["first", "second", "third", unicodedata.normalize("NFC", "fourth e\u0301")]


def test_a_failing_reader_leaves_no_half_written_table(tmp_path):
    part = Part(tmp_path, ReadSpec("s", "web"))
    part.add("r1", 1, "first", None, None, None, None, None)
    part.__exit__(ValueError, ValueError(), None)
    assert part.documents == 0


def test_offsets_of_large_strings_are_64_bit():
    array = large_strings(["ab", "", "é"])
    assert np.frombuffer(array.buffers()[1], np.int64).tolist() == [0, 2, 2, 4]
