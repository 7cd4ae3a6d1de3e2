"""Keys guessed from first records: of every format with fields, and of texts in other encodings."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources.guessed_keys import guessed_keys, keys_of
from gristmill.sources.listing import formats_of

TEXT = "Ein alter Müller mahlte am Fluß, Tag und Nacht, größer als je zuvor."


@pytest.mark.parametrize(
    ("record", "keys"),
    [
        ({"text": TEXT, "title": TEXT * 3}, {}),
        ({"content": TEXT, "uuid": "1"}, {"text_field": "content", "id_field": "uuid"}),
        ({"summary": "short", "story_text": TEXT}, {"text_field": "story_text"}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": "messages"}),
        ({"conversations": [{"from": "human", "value": "a"}], "id": 1}, {"messages": "conversations"}),
        ({"instruction": "a", "output": "b"}, {"messages": "instruction"}),
        ({"question": "a", "answer": "b"}, {"template": "{question}\n\n{answer}"}),
        ({"prompt": "a", "chosen": "b c", "rejected": "b d e"}, {"template": "{prompt}\n\n{chosen}"}),
        ({"tags": ["a"], "n": 3}, {}),  # nothing to guess from
        ({"text": None, "body": TEXT}, {"text_field": "body"}),
    ],
)
def test_where_the_text_stands(record, keys):
    assert keys_of([record] * 4) == keys


def test_a_field_that_few_records_have_is_not_the_text():
    assert keys_of([{"content": TEXT}, *[{"body": TEXT}] * 9]) == {"text_field": "body"}
    assert keys_of([]) == {}


def write(folder, name):
    records = [{"nr": str(n), "body": f"{TEXT} {n}"} for n in range(60)]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    rows = "nr;body\r\n" + "".join(f"{one['nr']};{one['body']}\r\n" for one in records)
    table = pa.Table.from_pylist(records)
    match name:
        case "a.jsonl":
            (folder / name).write_text("\ufeff" + lines)
        case "a.jsonl.gz":
            (folder / name).write_bytes(gzip.compress(lines.encode("cp1252")))
        case "a.csv":
            (folder / name).write_bytes(("sep=;\r\n" + rows).encode("cp1252"))
        case "a.parquet":
            pq.write_table(table, folder / name)
        case "a.arrow":
            with pa.ipc.new_file(folder / name, table.schema) as writer:
                writer.write_table(table)
    return folder / name


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet", "a.arrow"])
def test_every_format_with_fields(tmp_path, name):
    path = str(write(tmp_path, name))
    encoding = {"encoding": "cp1252"} if name in ("a.jsonl.gz", "a.csv") else {}
    assert (
        guessed_keys(path, formats_of([path], source="s")[path]) == {"text_field": "body", "id_field": "nr"} | encoding
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.arrow"])
@pytest.mark.parametrize("data", [b"", b"\x00\xff" * 90, b"{}\n[1]\nno\n", b'a,b\n"x"y,2\n"open'])
def test_what_is_not_its_format_is_no_error(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert set(guessed_keys(str(tmp_path / name), name[2:])) <= (
        {"encoding", "text_field"} if name == "a.csv" else {"encoding"}
    )


def test_formats_are_told_by_names_alone(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no table")
    assert list(formats_of([str(tmp_path)], source="s").values()) == ["parquet"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp949", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
        ("cp874", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"),
        ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
    ],
)
def test_the_encoding_of_a_text(tmp_path, encoding, text):
    (tmp_path / "a.txt").write_bytes((text * 9).encode(encoding))
    assert guessed_keys(str(tmp_path / "a.txt"), "text") == {"encoding": encoding}


def test_a_table_without_a_header_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text(f"1,{'a long first text ' * 9}\n2,a short one\n")
    with pytest.raises(SourceError, match=r"a\.csv has no header line"):
        guessed_keys(str(tmp_path / "a.csv"), "csv")
