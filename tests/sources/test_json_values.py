"""Arrays of records and records over several lines: what Python's json builds, cut anywhere, broken anywhere."""

import gzip
import io
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources import json_values
from gristmill.sources.json_values import values
from gristmill.sources.listing import list_files
from gristmill.sources.sampled_records import sampled_records
from gristmill.sources.splitting import group_parts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\[]{},:é\n', max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('k"}', max_size=3), inner, max_size=3),
    max_leaves=6,
)


def cut(data, piece_bytes, most=1 << 20):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(piece_bytes)

    return list(values(Slow(data), most))


@given(st.lists(JSON, max_size=6), st.booleans(), st.sampled_from([None, 2]), st.integers(1, 9))
def test_an_array_is_cut_as_json_builds_it(records, ascii_only, indent, piece_bytes):
    data = json.dumps(records, ensure_ascii=ascii_only, indent=indent).encode()
    assert [json.loads(one.data) for one in cut(data, piece_bytes)] == records


@given(st.lists(st.dictionaries(st.text(max_size=3), JSON), max_size=5), st.integers(1, 9))
def test_objects_over_several_lines_are_cut_apart(records, piece_bytes):
    data = "\n".join(json.dumps(one, indent=1) for one in records).encode()
    assert [json.loads(one.data) for one in cut(data, piece_bytes)] == records


@given(st.lists(st.fixed_dictionaries({"text": st.text('a"\\]}', min_size=1)}), min_size=1, max_size=5), st.data())
def test_of_a_cut_array_nothing_is_lost_without_a_reject(records, draw):
    data = json.dumps(records).encode()
    stop = draw.draw(st.integers(1, len(data) - 1))
    found = cut(data[:stop], 5)
    whole = [one for one in found if not one.wrong]
    assert [json.loads(one.data) for one in whole] == records[: len(whole)]
    assert [one.wrong for one in found if one.wrong] == ["truncated"]
    assert found[-1].wrong


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_documents_come_from_arrays(tmp_path, read, monkeypatch, indent, pack):
    monkeypatch.setattr(json_values, "_PIECE_BYTES", 7)
    records = [{"id": i, "text": f'No. {i} ]}}, "and" \\ '} for i in range(9)]
    name = "a.json" if pack is bytes else "a.json.gz"
    (tmp_path / name).write_bytes(pack(b"\xef\xbb\xbf" + json.dumps(records, indent=indent).encode()))
    result = read(tmp_path / name)
    assert result.texts == [one["text"] for one in records]
    assert result.locators[8].endswith(f"{name}#8")


def test_what_is_wrong_in_an_array_is_one_reject(tmp_path, read):
    long = orjson.dumps({"text": "x" * 500})
    elements = [b'{"text": "a"}', b"7", b'{"text": }', long, b'{"text": "b"}', b'{"text": "c']
    (tmp_path / "a.json").write_bytes(b"[" + b",\n".join(elements))
    result = read(tmp_path / "a.json", record_bytes=100)
    assert result.texts == ["a", "b"]
    assert list(result.reasons.values()) == ["not_object", "not_json", "record_too_large", "truncated"]
    assert result.outcome.accounts["s"].bytes_in == sum(map(len, elements))


def test_arrays_one_behind_the_other_and_what_stands_between(tmp_path, read):
    (tmp_path / "a.json").write_bytes(b'[{"text": "a"}]\n[{"text": "b"},]\njunk [] {"text": "c"} ]')
    result = read(tmp_path / "a.json")
    assert result.texts == ["a", "b", "c"]
    assert list(result.reasons.values()) == ["not_json", "not_json"]


def test_a_file_of_lines_stays_one(tmp_path, read):
    (tmp_path / "a.json").write_bytes(b'{"text": "a"}\n{"text":\n{"text": "b"}\n')
    assert list(read(tmp_path / "a.json").reasons.values()) == ["truncated"]


def test_an_array_is_not_split_at_lines(tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps([{"text": "a" * 50}] * 40, indent=1).encode())
    assert len(group_parts(list_files([str(tmp_path)], None, source="s"), 500)) == 1


def test_an_array_in_another_encoding_says_what_to_do(tmp_path, read):
    (tmp_path / "a.json").write_bytes('[{"text": "é"}]'.encode("cp1252"))
    with pytest.raises(SourceError, match=r"sources\.s\.encoding: .* convert to utf-8"):
        read(tmp_path / "a.json", encoding="cp1252")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.json"])
def test_wide_encodings_are_read_as_utf8(tmp_path, read, encoding, name):
    texts = ["Größe 😀", "吾輩"]
    tables = {"a.csv": "text,n\n", "a.tsv": "text\tn\n"}
    between = "\t" if name == "a.tsv" else ","
    rows = "".join(f"{text}{between}1\r\n" for text in texts)
    records = [{"text": text} for text in texts]
    data = tables[name] + rows if name in tables else "".join(orjson.dumps(one).decode() + "\n" for one in records)
    data = json.dumps(records) if name == "a.json" else data
    (tmp_path / name).write_bytes(data.encode(encoding))
    marked = encoding in ("utf-16", "utf-32")
    assert read(tmp_path / name, **({} if marked else {"encoding": encoding})).texts == texts
    assert not marked or sampled_records(str(tmp_path / name), "csv" if name in tables else "jsonl")[1] == "utf-8"


def test_a_character_that_utf16_lacks_rejects_its_line_alone(tmp_path, read):
    line = '{"text": "a"}\n'.encode("utf-16-le")
    bad = '{"text": "'.encode("utf-16-le") + b"\x00\xd8" + '"}\n'.encode("utf-16-le")
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe" + line + bad + line + b"\x7b")
    result = read(tmp_path / "a.jsonl")
    assert (result.texts, list(result.reasons.values())) == (["a", "a"], ["invalid_utf8", "invalid_utf8"])
