"""A source of which nothing can be read stops at once and says which key is wrong; loss among good records does not."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources.first_records import Place

ONLY, FIRST, SECOND = Place(0, 1), Place(0, 9), Place(1, 9)
BODY = b'{"id": 1, "body": "x", "lang": "en"}\n'


@pytest.mark.parametrize("place", [ONLY, FIRST])
def test_a_wrong_text_field_names_the_fields_there_are(tmp_path, read, place):
    (tmp_path / "a.jsonl").write_bytes(BODY * 50)
    message = (
        r"sources\.s: .*50 records are all rejected as field_missing .*body, id, lang.*; set sources\.s\.text_field"
    )
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "a.jsonl", place=place)
    with pytest.raises(SourceError, match=r"set sources\.s\.template"):
        read(tmp_path / "a.jsonl", place=place, template="{text}!")


@pytest.mark.parametrize(
    ("name", "data", "key", "reason"),
    [
        ("a.jsonl", b"no json at all\n" * 60, "format", "not_json"),
        ("a.jsonl", b'{\n  "text": "on several lines",\n  "n": [\n    1\n  ]\n}\n\n' * 9, "format", "truncated"),
        ("a.jsonl", b"[1]\n" * 60, "format", "not_object"),
        ("a.jsonl", '{"text": "größe"}\n'.encode("latin-1") * 60, "encoding", "invalid_utf8"),
        ("a.jsonl", b'{"text": 5, "title": "t"}\n' * 60, "text_field", "text_not_string.*title"),
        ("a.jsonl", b'{"text": null, "title": "t"}\n' * 60, "text_field", "text_null.*title"),
        ("a.csv", b"text,n\n" + b"a,b,c\n" * 60, "format", "column_count"),
        ("a.txt", "größe".encode("latin-1"), "encoding", "its only record is rejected as invalid_utf8"),
    ],
)
def test_each_reason_names_its_key(tmp_path, read, name, data, key, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=rf"{reason}.*; set sources\.s\.{key}"):
        read(tmp_path / name, place=ONLY)


def test_null_columns_are_told_too(tmp_path, read):
    pq.write_table(pa.table({"text": pa.nulls(60), "id": range(60)}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="text_null"):
        read(tmp_path / "a.parquet", place=ONLY)


def test_bad_rows_of_a_batch_do_not_speak_for_it(tmp_path, read):
    texts = pa.array([b"\xff"] * 60 + [b"good"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", place=ONLY).texts == ["good"]
    pq.write_table(pa.table({"text": [None] * 60 + ["good"]}), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet", place=ONLY).texts == ["good"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (BODY * 49 + b'{"text": "a document"}\n' + BODY * 49, ONLY),
        (b'{"text": "a document"}\n' + BODY * 99, ONLY),
        (BODY * 49 + b"{\n" + BODY * 49, ONLY),  # two reasons: the file is damaged, not the recipe
        (BODY * 99, SECOND),
        (BODY * 99, None),
        (BODY * 30, FIRST),  # the source goes on
        (b'{"text": ""}\n' * 99, ONLY),  # no key causes empty texts
        (b"", ONLY),
    ],
)
def test_other_losses_are_counted(tmp_path, read, data, place):
    (tmp_path / "a.jsonl").write_bytes(data)
    result = read(tmp_path / "a.jsonl", place=place)
    assert len(result.texts) + len(result.reasons) == data.count(b"\n")
