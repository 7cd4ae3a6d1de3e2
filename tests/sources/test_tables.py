"""Parquet, Arrow and CSV: the same records as JSON Lines give the same documents."""

import csv
import gzip
import io
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources.columnar import normalised, plain_column
from gristmill.sources.part import large_strings, nfc

RECORDS = [
    {"id": f"doc/{i}", "text": f"text {i} e\u0301 \u212b", "lang": "en" if i % 2 else "", "note": None, "n": i}
    for i in range(100)
]
ARROW_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.dictionary(pa.int32(), pa.string()),
]


def write(path, table, **options):
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
        return path
    new = pa.ipc.new_stream if "stream" in path.name else pa.ipc.new_file
    with new(str(path), table.schema) as writer:
        writer.write_table(table, **options)
    return path


def without_place(result):
    return [{k: v for k, v in row.items() if k not in ("doc_id", "locator")} for row in result.documents.to_pylist()]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.stream.arrow", "a.feather"])
def test_tables_give_the_documents_that_json_lines_give(tmp_path, read, name):
    (tmp_path / "a.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in RECORDS))
    result = read(write(tmp_path / name, pa.Table.from_pylist(RECORDS)))
    assert without_place(result) == without_place(read(tmp_path / "a.jsonl"))
    assert result.locators[7].endswith(f"{name}#7")
    assert result.texts[7] == "text 7 é Å"
    assert result.outcome.accounts["s"].bytes_in == sum(len(record["text"].encode()) for record in RECORDS)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_batches_do_not_change_the_documents(tmp_path, read, name, monkeypatch):
    path = write(tmp_path / name, pa.Table.from_pylist(RECORDS))
    whole = read(path)
    for module in ("parquet", "arrow"):
        monkeypatch.setattr(f"gristmill.sources.{module}.BATCH_BYTES", 100)
    assert read(path).documents.equals(whole.documents)


@pytest.mark.parametrize("kind", ARROW_TYPES, ids=str)
def test_every_kind_of_text_column(tmp_path, read, kind):
    table = pa.table({"text": pa.array(["a", "é", None, "", "b\0c", "a"]).cast(kind), "url": pa.array(list("uvwxyz"))})
    result = read(write(tmp_path / "a.arrow", table))
    assert result.texts == ["a", "é", "a"]
    assert result.column("url") == ["u", "v", "z"]
    assert list(result.reasons.values()) == ["text_null", "empty_text", "nul_character"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_rows_that_are_not_utf8_are_rejects(tmp_path, read, name):
    def bad(values):
        return pa.array(values, pa.binary()).view(pa.string())

    table = pa.table({"text": bad([b"a", b"caf\xe9", b"b"]), "url": bad([b"u", b"v", b"\xff"])})
    result = read(write(tmp_path / name, table))
    assert result.texts == ["a"]
    assert [locator[-1] for locator in result.reasons] == ["1", "2"]
    assert set(result.reasons.values()) == {"invalid_utf8"}


@given(st.lists(st.none() | st.binary(max_size=6)))
def test_plain_column_marks_what_does_not_decode(values):
    column, wrong = plain_column(pa.array(values, pa.binary()), is_text=True)
    for value, text, marked in zip(values, column.to_pylist(), wrong, strict=True):
        try:
            assert (text, marked) == (None if value is None else value.decode(), False)
        except UnicodeDecodeError:
            assert marked
            assert text is None


@given(st.lists(st.text()))
def test_the_two_ways_to_nfc_agree(texts):
    assert normalised(pa.array(texts, pa.large_string())).to_pylist() == [nfc(text) for text in texts]
    assert large_strings(texts).equals(pa.array(texts, pa.large_string()))


def test_texts_are_copied_only_where_nfc_changes_one():
    composed = pa.array(["skip", "plain", None, "\u00e9", "", "語"], pa.large_string()).slice(1)
    assert normalised(composed) is composed
    mixed = pa.array(["skip", "e\u0301", None, "plain", "", "語", "\u212b"], pa.large_string()).slice(1)
    changed = normalised(mixed)
    assert changed.to_pylist() == ["\u00e9", None, "plain", "", "語", "\u00c5"]
    assert (changed.type, mixed[0].as_py()) == (pa.large_string(), "e\u0301")
    changed.validate(full=True)


def test_meta_holds_what_json_has_no_type_for(tmp_path, read):
    row = {
        "text": "t", "created": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "day": date(2024, 1, 2),
        "price": Decimal("1.50"), "raw": b"\x00\xff", "list": [1.5, None], "struct": {"b": 1, "a": "x"}, "flag": True,
    }  # fmt: skip
    (document,) = read(write(tmp_path / "a.parquet", pa.Table.from_pylist([row]))).documents.to_pylist()
    assert document["created"].startswith("2024-01-02T03:04:05")
    assert orjson.loads(document["meta"]) == {
        "day": "2024-01-02",
        "price": "1.50",
        "raw": "00ff",
        "list": [1.5, None],
        "struct": {"a": "x", "b": 1},
        "flag": True,
    }


def test_templates_and_ids(tmp_path, read):
    table = pa.table({"q": ["Why?", None], "n": [4, 5], "uid": ["x", "y"], "id": [1, 2]})
    result = read(write(tmp_path / "a.parquet", table), template="{q} {n}{n}!", id_field="uid")
    assert result.texts == ["Why? 44!"]
    assert result.column("meta") == ['{"_id":1,"id":"x"}']
    assert list(result.reasons.values()) == ["text_null"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv"])
def test_a_missing_column_names_the_key_and_the_nearest(tmp_path, read, name):
    path = tmp_path / name
    path.write_text("txet,b\n1,2\n") if name == "a.csv" else write(path, pa.table({"txet": ["a"]}))
    with pytest.raises(SourceError, match=r"no column 'text'; did you mean 'txet'\?; set sources\.s\.text_field"):
        read(path)
    with pytest.raises(SourceError, match=r"sources\.s\.template"):
        read(path, template="{question}")


def test_a_text_column_of_numbers_is_an_error(tmp_path, read):
    with pytest.raises(SourceError, match=r"column 'text' is int64, not text; set sources\.s\.text_field"):
        read(write(tmp_path / "a.parquet", pa.table({"text": [1, 2]})))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather", "a.warc", "a.warc.wet"])
@pytest.mark.parametrize(
    "data", [b"not this", bytes(range(256)) * 20, b"PAR1" + b"\xff" * 200 + b"PAR1", b"ARROW1\0\0" + b"\xff" * 99]
)
def test_a_file_that_is_something_else_is_one_error(tmp_path, read, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=rf"{name} is not .*; set sources\.s\.format") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_the_sample_that_is_no_parquet(read):
    with pytest.raises(SourceError, match=r"not-a-parquet\.parquet is not parquet: .*sources\.s\.format"):
        read("samples/dirty/not-a-parquet.parquet")


def test_a_damaged_table_keeps_the_rows_before(tmp_path, read):
    table = pa.table({"text": [random.Random(i).randbytes(300).hex() for i in range(2000)]})
    path = write(tmp_path / "a.parquet", table, row_group_size=500, compression="zstd")
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 300] = b"\xaa" * 300
    path.write_bytes(data)
    result = read(path)
    assert result.texts == table.column("text").to_pylist()[: len(result.texts)]
    assert 500 <= len(result.texts) < 2000
    assert list(result.reasons.values()) == ["corrupt_archive"]
    stream = write(tmp_path / "a.stream.arrow", table, max_chunksize=500)
    stream.write_bytes(stream.read_bytes()[: stream.stat().st_size * 3 // 5])
    result = read(stream)
    assert len(result.texts) in (500, 1000)
    assert list(result.reasons.values()) == ["truncated_archive"]


def test_the_sample_tables(read):
    result = read(["samples/legal", "samples/docs", "samples/reference"])
    assert result.outcome.rows == 333 + 783 + 256
    assert result.reasons == {}


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])).map(".{}".format),
            st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])),
        )
    )
)
def test_any_csv_comes_back(tmp_path_factory, rows):
    from gristmill.sources.listing import InputFile
    from gristmill.sources.read import ReadSpec, read_part

    folder = tmp_path_factory.mktemp("csv")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([("text", "url"), *rows])
    data = out.getvalue().encode()
    (folder / "a.csv").write_bytes(data)
    outcome = read_part([InputFile(str(folder / "a.csv"), len(data), "", "csv")], ReadSpec("s", "web"), folder)
    found = pq.read_table(folder / "documents.parquet").to_pydict()
    assert found["text"] == [nfc(text) for text, _ in rows]
    assert found["url"] == [url or None for _, url in rows]
    assert outcome.accounts["s"].bytes_in == len(data) - len(b"text,url\n")


CSV = b'\xef\xbb\xbfid,text,note\n1,plain,x\n2,"two\nlines, quoted ""so""",y\n'


def test_csv_rows_and_places(tmp_path, read):
    (tmp_path / "a.csv").write_bytes(CSV + b"3,last,z")
    result = read(tmp_path / "a.csv")
    assert result.texts == ["plain", 'two\nlines, quoted "so"', "last"]
    assert [locator.rsplit(":")[-1] for locator in result.locators] == ["2", "3", "5"]
    assert result.column("meta")[0] == '{"id":"1","note":"x"}'


def test_tsv(tmp_path, read):
    (tmp_path / "a.tsv").write_bytes(b"text\tlang\na, b\ten\n")
    assert read(tmp_path / "a.tsv").texts == ["a, b"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,2", "column_count"),
        (b"1,2,3,4", "column_count"),
        (b"", "blank_line"),
        (b"1,caf\xe9,x", "invalid_utf8"),
        (b"1,,x", "empty_text"),
        (b"1,a\0b,x", "nul_character"),
        (b'1,"a"b,x', "not_csv"),
        (b'1,"two \xff\nlines",x', "invalid_utf8"),
        (b"1," + b"y" * 3000 + b",x", "record_too_large"),
    ],
)
def test_one_bad_row_is_one_reject_and_reading_goes_on(tmp_path, read, row, reason):
    (tmp_path / "a.csv").write_bytes(CSV + row + b"\n9,good,z\n")
    result = read(tmp_path / "a.csv", record_bytes=2000)
    assert result.texts[-1] == "good"
    assert len(result.texts) == 3
    assert list(result.reasons.values()) == [reason]
    assert result.rejects.column("bytes").to_pylist() == [len(row) + 1]


def test_an_open_quote_ends_at_the_limit(tmp_path, read):
    (tmp_path / "a.csv").write_bytes(CSV + b'3,"open\n' + b"x,y\n" * 600 + b"9,good,z\n")
    result = read(tmp_path / "a.csv", record_bytes=1000)
    assert result.texts[-1] == "good"
    assert set(result.reasons.values()) == {"record_too_large", "column_count"}
    (tmp_path / "b.csv").write_bytes(CSV + b'3,"open at the end\n')
    assert list(read(tmp_path / "b.csv").reasons.values()) == ["truncated"]


@pytest.mark.parametrize("share", [0.99, 0.7, 0.3])
def test_a_cut_csv_archive_keeps_whole_rows(tmp_path, read, share):
    rows = [f"{i * 104729 % 999983:x}\n{i * 7919 % 10007:x}" for i in range(9000)]
    packed = gzip.compress(b"id,text\n" + b"".join(b'%d,"%b"\n' % (i, row.encode()) for i, row in enumerate(rows)))
    (tmp_path / "a.csv.gz").write_bytes(packed[: int(len(packed) * share)])
    result = read(tmp_path / "a.csv.gz")
    assert result.texts == rows[: len(result.texts)]
    assert len(result.texts) > share * 5000
    assert list(result.reasons.values()) == ["truncated_archive"]


@pytest.mark.parametrize("data", [b"\xff\xfe,text\n1,2\n", b'"open header\n1,2\n', b"text,text\n1,2\n"])
def test_a_header_that_is_none_is_one_error(tmp_path, read, data):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(SourceError, match=r"sources\.s"):
        read(tmp_path / "a.csv")


CASES = Path(__file__).parent / "cases"


def test_plain_quotes_in_a_tsv(read):
    result = read(CASES / "17-quotes.tsv")
    assert len(result.texts) == 8
    assert result.texts[1] == '"Quoted" he said, and left'
    assert result.texts[3] == '"Open at the start only'
    assert result.reasons == {}


@pytest.mark.parametrize(
    ("name", "data", "texts"),
    [
        ("a.tsv", 'text\tn\n"a, b"\t1\n"say ""hi"""\t2\n', ["a, b", 'say "hi"']),  # as pandas writes them
        ("a.tsv", 'text\tn\n"two\nlines"\t1\nb\t2\n', ["two\nlines", "b"]),
        ("a.tsv", 'text\tn\nplain\t1\n"open\t2\nlast\t3\n', ["plain", '"open', "last"]),
        ("a.csv", 'text,n\n"open,1\nmiddle,2\n"closed" it,3\n', ['"open', "middle", '"closed" it']),
        ("a.csv", 'text,n\n"two\nlines, here",1\nb,2\n', ["two\nlines, here", "b"]),
        ("a.tsv", 'text\tn\n"one\u2028cell"\t1\n', ["one\u2028cell"]),  # a line ends at its line feed alone
    ],
)
def test_quotes_are_told_by_the_rows(tmp_path, read, name, data, texts):
    (tmp_path / name).write_text(data)
    result = read(tmp_path / name)
    assert (result.texts, result.reasons) == (texts, {})


def test_the_recipe_may_say_what_quotes_are(tmp_path, read):
    (tmp_path / "a.tsv").write_text('text\tn\n"a"\t1\n')
    assert read(tmp_path / "a.tsv", quotes=True).texts == ["a"]
    assert read(tmp_path / "a.tsv", quotes=False).texts == ['"a"']


@pytest.mark.parametrize(
    ("name", "data", "texts"),
    [
        (
            "a.csv",
            "id;text\n1;one, two, three\n2;four\n",
            ["one, two, three", "four"],
        ),  # Excel where a comma is decimal
        ("a.csv", 'id;text\n1;"one; two\nlines"\n', ["one; two\nlines"]),
        ("a.csv", "sep=;\r\nid;text\r\n1;a,b\r\n", ["a,b"]),  # Excel's own word for it
        ("a.csv", "\ufeffsep=;\r\nid;text\r\n1;a,b\r\n", ["a,b"]),
        ("a.csv", 'sep=;\nid;n;text\n1;2;"open\n2;3;b\n4;5;c\n', ['"open', "b", "c"]),  # sep=; is no row of two
        ("a.csv", "id\ttext\n1\ta,b\n", ["a,b"]),
        ("a.csv", "id|text\n1|a,b\n", ["a,b"]),
        ("a.tsv", "id,text\n1,a\n", ["a"]),
        ("a.csv", "text\na;b\n", ["a;b"]),  # one column: nothing stands between
        ("a.csv", "n;m,text\n1,a;b\n", ["a;b"]),  # the usual one where it parts the header
    ],
)
def test_what_stands_between_fields_is_told_by_the_header(tmp_path, read, name, data, texts):
    (tmp_path / name).write_text(data, newline="")
    result = read(tmp_path / name)
    assert (result.texts, result.reasons) == (texts, {})


def test_the_recipe_may_say_what_stands_between_fields(tmp_path, read):
    (tmp_path / "a.csv").write_text("id,n;text\n1,2;a\n")
    assert read(tmp_path / "a.csv", delimiter=";").texts == ["a"]
    with pytest.raises(SourceError, match=r"sources\.s"):
        read(tmp_path / "a.csv")  # by its header a file of commas


def test_a_quote_behind_the_sample_loses_no_row(tmp_path, read):
    rows = [f"row {i}\t{i}" for i in range(9000)]
    rows[8000] = '"open\t8000'
    (tmp_path / "a.tsv").write_text("text\tn\n" + "\n".join(rows) + "\n")
    assert len(read(tmp_path / "a.tsv").texts) == 9000


def test_a_text_column_of_type_null_is_null_texts(tmp_path, read):
    result = read(CASES / "18-null-column.parquet")
    assert result.texts == []
    assert set(result.reasons.values()) == {"text_null"}
    table = pa.table({"q": pa.nulls(2), "a": ["x", "y"]})
    assert set(read(write(tmp_path / "a.arrow", table), template="{q} {a}").reasons.values()) == {"text_null"}


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.jsonl"])
def test_nested_fields_can_be_named(tmp_path, read, name):
    rows = [{"meta": {"body": f"text {i}", "uid": i, "more": {"lang": "fr"}}, "id": i} for i in range(3)]
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    else:
        write(path, pa.Table.from_pylist(rows))
    result = read(path, text_field="meta.body", id_field="meta.uid")
    assert result.texts == ["text 0", "text 1", "text 2"]
    assert result.column("meta")[2] == '{"_id":2,"id":2,"meta":{"more":{"lang":"fr"}}}'
    assert read(path, template="<{meta.body}> {meta.more.lang}").texts[0] == "<text 0> fr"


def test_a_nested_field_that_is_not_there_is_named(tmp_path, read):
    path = write(tmp_path / "a.parquet", pa.Table.from_pylist([{"meta": {"body": "x"}}]))
    with pytest.raises(SourceError, match=r"no column 'meta.bdy'.*did you mean 'body'.*sources\.s\.text_field"):
        read(path, text_field="meta.bdy")


def test_a_whole_name_with_a_dot_goes_first(tmp_path, read):
    table = pa.table({"meta.body": ["whole"], "meta": [{"body": "inside"}]})
    assert read(write(tmp_path / "a.parquet", table), text_field="meta.body").texts == ["whole"]


def test_many_columns_are_checked_at_once(tmp_path, read):
    names = [f"c{i}" for i in range(60_000)]
    (tmp_path / "a.csv").write_text(",".join(["text", *names]) + "\n" + ",".join(["t"] + ["1"] * len(names)) + "\n")
    assert read(tmp_path / "a.csv", document_bytes=1 << 24).texts == ["t"]
    (tmp_path / "b.csv").write_text(",".join(["text", *names, "c7"]) + "\nx\n")
    with pytest.raises(SourceError, match="two columns 'c7'"):
        read(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="no column 'body'") as caught:
        read(tmp_path / "a.csv", text_field="body")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_full_disk_is_no_fault_of_a_table(tmp_path, read, monkeypatch, name):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = write(tmp_path / name, pa.table({"text": ["a", "b"]}))
    monkeypatch.setattr("gristmill.corpus.tables.PartWriter.write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        read(path)
    assert caught.value.errno == 28
