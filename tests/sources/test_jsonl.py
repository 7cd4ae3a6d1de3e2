"""JSON Lines: order, Unicode, compression, every way in which a line can be wrong."""

import bz2
import gzip
import json
import lzma
import tempfile
import unicodedata
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources.jsonl import _depth
from gristmill.sources.listing import list_files
from gristmill.sources.read import ReadSpec, read_part

DIRTY = Path("samples/dirty")
PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def lines(*records):
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_any_texts_come_back_in_nfc_and_in_order(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(lines(*({"text": f".{text}"} for text in texts)))
        outcome = read_part(list_files([str(path)], None, source="s"), ReadSpec("s", "web"), Path(folder))
        found = pq.read_table(Path(folder) / "documents.parquet").column("text").to_pylist()
    plain = [f".{text}".replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert found == [unicodedata.normalize("NFC", text) for text in plain]
    assert outcome.rows == len(texts)


@pytest.mark.parametrize("end", PACK)
def test_compression_changes_nothing_but_the_locator(tmp_path, read, end):
    data = lines(*({"text": f"line {i} \u2028 \x85 é"} for i in range(5000)))
    (tmp_path / f"a.jsonl{end}").write_bytes(PACK[end](data))
    result = read(tmp_path / f"a.jsonl{end}")
    assert result.texts == [f"line {i} \u2028 \x85 é" for i in range(5000)]
    assert result.outcome.accounts["s"].bytes_in == len(data)
    assert result.locators[-1].endswith(f"a.jsonl{end}:5000")


@pytest.mark.parametrize("end", [".gz", ".zst", ".bz2", ".xz"])
def test_archives_of_several_members_are_read_to_the_end(tmp_path, read, end):
    packed = b"".join(PACK[end](lines({"text": f"member {i}"})) for i in range(40))
    (tmp_path / f"a.jsonl{end}").write_bytes(packed)
    assert len(read(tmp_path / f"a.jsonl{end}").texts) == 40


@pytest.mark.parametrize("end", [".gz", ".zst", ".bz2", ".xz"])
def test_a_cut_archive_keeps_every_whole_line(tmp_path, read, end):
    words = "".join(f"{i * 7919 % 104729:x} " for i in range(60000))
    data = lines(*({"text": words[i : i + 400]} for i in range(0, len(words), 400)))
    packed = PACK[end](data)
    for share in (0.999, 0.6, 0.01):
        (tmp_path / f"a.jsonl{end}").write_bytes(packed[: int(len(packed) * share)])
        result = read(tmp_path / f"a.jsonl{end}")
        assert result.texts == [words[i * 400 : i * 400 + 400] for i in range(len(result.texts))]
        assert list(result.reasons.values()) == ["truncated_archive"]
        assert next(iter(result.reasons)).endswith(f":{len(result.texts) + 1}")


def test_padding_and_junk_after_an_archive(tmp_path, read):
    good = gzip.compress(lines({"text": "kept"}))
    (tmp_path / "padded.jsonl.gz").write_bytes(good + b"\0" * 1000)
    assert read(tmp_path / "padded.jsonl.gz").reasons == {}
    (tmp_path / "junk.jsonl.gz").write_bytes(good + b"junk")
    result = read(tmp_path / "junk.jsonl.gz")
    assert (result.texts, list(result.reasons.values())) == (["kept"], ["corrupt_archive"])


def test_a_packed_file_without_its_suffix_is_read(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(lines({"text": "kept"})))
    assert read(tmp_path / "a.jsonl").texts == ["kept"]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.txt.xz", "a.warc.gz", "a.csv.bz2", "a.html.gz"])
def test_bytes_that_are_no_archive_are_one_error(tmp_path, read, name):
    (tmp_path / name).write_bytes(bytes(range(7, 250)) * 9)
    with pytest.raises(SourceError, match=rf"{name} is not a .*sources\.s\.format"):
        read(tmp_path / name)


def test_an_archive_damaged_at_its_start_does_not_stop_the_others(tmp_path, read):
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b" + bytes(range(100, 200)))
    (tmp_path / "b.jsonl").write_bytes(lines({"text": "kept"}))
    result = read(tmp_path / "*")
    assert (result.texts, list(result.reasons.values())) == (["kept"], ["corrupt_archive"])


REASONS = {
    2: "invalid_utf8", 3: "truncated", 4: "blank_line", 5: "field_missing", 6: "text_null", 7: "text_not_string",
    8: "not_object", 9: "not_json", 11: "lone_surrogate", 12: "nul_character",
    13: "byte_order_mark", 15: "not_json",
}  # fmt: skip


def test_every_line_of_the_broken_sample_has_its_reason(read):
    expected = json.loads((DIRTY / "broken.expected.json").read_text())
    result = read(DIRTY / "broken.jsonl")
    assert [int(locator.rsplit(":")[-1]) for locator in result.locators] == [1, 10, 14, 16]
    assert {int(locator.rsplit(":")[-1]): reason for locator, reason in result.reasons.items()} == REASONS
    assert len(REASONS) + 4 == len(expected)
    assert result.outcome.accounts["s"].bytes_in == (DIRTY / "broken.jsonl").stat().st_size


def test_truncated_sample(read):
    result = read(DIRTY / "truncated.jsonl.gz")
    assert len(result.texts) == 46
    assert list(result.reasons.values()) == ["truncated_archive"]


def test_empty_files_have_no_records(tmp_path, read):
    for name in ("a.jsonl", "a.jsonl.gz", "a.txt", "a.html", "a.warc", "a.warc.gz", "a.csv", "a.parquet", "a.arrow"):
        (tmp_path / name).write_bytes(b"")
        assert read(tmp_path / name).outcome.accounts["s"].documents_in == 0
    assert read(DIRTY / "empty.jsonl").outcome.rows == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": ""}', "empty_text"),
        (b"   ", "blank_line"),
        (b"\r", "blank_line"),
        (b'{"text": [1]}', "text_not_string"),
        (b'{"text": true}', "text_not_string"),
        (b'"text"', "not_object"),
        (b"null", "not_object"),
        (b'{"text": "a"} x', "not_json"),
        (b'{"text": "a\\udc00"}', "lone_surrogate"),
        (b'{"text": "a", "b": {"c": ', "truncated"),
        (b'{"text": "\xff"}', "invalid_utf8"),
        (b"\xef\xbb\xbf", "blank_line"),
        (b"[" * 100 + b"]" * 100, "json_too_deep"),
        (b"[" * 100000, "json_too_deep"),
        (b'{"text": "x", "a": ' + b"[" * 70 + b"]" * 70 + b"}", "json_too_deep"),
        (b'{"text": "x", "a": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "json_too_deep"),
        (b'{"text": "a\x01b"}', "not_json"),
        (b'{"TEXT": "a"}', "field_missing"),
    ],
)
def test_one_bad_line_is_one_reject_and_reading_goes_on(tmp_path, read, line, reason):
    (tmp_path / "a.jsonl").write_bytes(line + b"\n" + lines({"text": "good"}))
    result = read(tmp_path / "a.jsonl")
    assert result.texts == ["good"]
    assert list(result.reasons.values()) == [reason]
    assert result.rejects.column("bytes").to_pylist() == [len(line) + 1]


def test_braces_in_the_text_are_no_depth(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "{" * 500 + "[" * 500, "meta": {"deep": [1]}}))
    assert read(tmp_path / "a.jsonl").outcome.rows == 1


@given(
    st.recursive(
        st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_depth_equals_its_recursive_definition(value):
    def naive(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(naive, inner), default=0)

    assert _depth(value) == naive(value)


def test_a_byte_order_mark_at_the_start_is_fine(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines({"text": "a"}, {"text": "b"}))
    assert read(tmp_path / "a.jsonl").texts == ["a", "b"]


def test_the_last_line_needs_no_line_feed(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "a"})[:-1])
    assert read(tmp_path / "a.jsonl").outcome.accounts["s"].bytes_in == 12


def test_long_lines_are_counted_whole_and_skipped(tmp_path, read):
    long = lines({"text": "x" * 5_000_000})
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "a"}) + long + lines({"text": "b"}) + long[:-1])
    result = read(tmp_path / "a.jsonl", record_bytes=1000)
    assert result.texts == ["a", "b"]
    assert result.rejects.column("bytes").to_pylist() == [len(long), len(long) - 1]
    assert set(result.reasons.values()) == {"record_too_large"}


def test_long_documents_are_refused(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "é" * 50}, {"text": "é" * 51}))
    assert list(read(tmp_path / "a.jsonl", document_bytes=100).reasons.values()) == ["document_too_large"]


@pytest.mark.parametrize("end", [".gz", ".zst", ".bz2", ".xz"])
def test_a_bomb_is_stopped(tmp_path, read, end, monkeypatch):
    monkeypatch.setattr("gristmill.sources.opening.EXPANDED_FLOOR_BYTES", 1 << 20)
    (tmp_path / f"a.jsonl{end}").write_bytes(PACK[end](lines({"text": "first"}) + b" " * (40 << 20)))
    result = read(tmp_path / f"a.jsonl{end}", expanded_ratio=10, record_bytes=1 << 16)
    assert result.texts == ["first"]
    assert set(result.reasons.values()) <= {"expansion_too_large", "record_too_large"}
    assert "expansion_too_large" in result.reasons.values()


def test_other_encodings(tmp_path, read):
    data = '{"text": "naïve"}\n{"text": "Straße"}\n'
    (tmp_path / "a.jsonl").write_bytes(data.encode("latin-1"))
    assert read(tmp_path / "a.jsonl", encoding="latin-1").texts == ["naïve", "Straße"]
    assert set(read(tmp_path / "a.jsonl").reasons.values()) == {"invalid_utf8"}
    with pytest.raises(SourceError, match=r"sources\.s\.encoding"):
        read(tmp_path / "a.jsonl", encoding="utf-16")


def test_known_fields_become_columns_and_the_rest_meta(tmp_path, read):
    record = {
        "id": 7, "text": "t", "language": "de", "license": "", "date": "2024-01-01", "timestamp": "later",
        "url": 3, "score": 0.5, "nested": {"b": 1, "a": None}, "source": "theirs",
    }  # fmt: skip
    (tmp_path / "a.jsonl").write_bytes(lines(record, {"text": "u"}))
    result = read(tmp_path / "a.jsonl", license="MIT", lang="en", name="ours")
    first, second = result.documents.to_pylist()
    assert (first["lang"], first["license"], first["created"], first["url"]) == ("de", "MIT", "2024-01-01", None)
    assert (first["source"], first["domain"]) == ("ours", "web")
    rest = {"id": 7, "timestamp": "later", "url": 3, "score": 0.5, "nested": {"a": None, "b": 1}, "source": "theirs"}
    assert first["meta"] == json.dumps(rest, sort_keys=True, separators=(",", ":"))
    assert (second["lang"], second["meta"]) == ("en", None)


def test_the_id_field_is_called_id_and_nothing_is_lost(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(lines({"id": 1, "uid": "x", "text": "t"}))
    assert json.loads(read(tmp_path / "a.jsonl", id_field="uid").column("meta")[0]) == {"id": "x", "_id": 1}


def test_a_template_builds_the_text(tmp_path, read):
    records = [{"q": "Why?", "a": "So.", "n": 3}, {"q": "x"}, {"q": None, "a": "y"}, {"q": [], "a": "y"}]
    (tmp_path / "a.jsonl").write_bytes(lines(*records))
    result = read(tmp_path / "a.jsonl", template="Q: {q}\n{{A}}: {a}{q}")
    assert result.texts == ["Q: Why?\n{A}: So.Why?"]
    assert result.column("meta") == ['{"n":3}']
    assert list(result.reasons.values()) == ["field_missing", "text_null", "text_not_string"]


@pytest.mark.parametrize("template", ["{a..b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}", "{a", "{a.b c}", "no field"])
def test_templates_hold_plain_names_only(template):
    with pytest.raises(SourceError, match=r"sources\.faq\.template"):
        ReadSpec("faq", "web", template=template)


@pytest.mark.parametrize("encoding", ["klingon", "hex", "utf-7"])
def test_unknown_encodings_are_refused(encoding):
    with pytest.raises(SourceError, match=r"sources\.faq\.encoding"):
        ReadSpec("faq", "web", encoding=encoding)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_null(tmp_path, read, number):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "NaN is no number", "score": {number}}}\n')
    result = read(tmp_path / "a.jsonl")
    assert result.texts == ["NaN is no number"]
    assert result.column("meta") == ['{"score":null}']


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": NaN}', "text_null"),
        ('{"text": "\\ud800", "n": NaN}', "lone_surrogate"),
        ('{"text": "a", "n": NaN', "truncated"),
        ('{"text": "a", "n": ' + "[" * 5000 + "NaN" + "]" * 5000 + "}", "json_too_deep"),
        ("NaN", "not_object"),
    ],
)
def test_lines_with_nan_that_are_wrong_otherwise(tmp_path, read, line, reason):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    result = read(tmp_path / "a.jsonl")
    assert result.texts == []
    assert len(result.reasons) == 1
    assert reason in result.reasons.values() or "not_json" in result.reasons.values()


@pytest.mark.parametrize(
    ("text", "stored"), [("a\r\nb\r\n", "a\nb\n"), ("a\rb", "a\nb"), ("a\r\r\nb\n", "a\n\nb\n"), ("a\nb", "a\nb")]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.txt", "a.csv"])
def test_line_ends_are_line_feeds_and_counted(tmp_path, read, name, text, stored):
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_bytes(lines({"text": text}))
    elif name == "a.parquet":
        pq.write_table(pa.table({"text": [text]}), path)
    elif name == "a.csv":
        path.write_bytes(b'text,n\n"' + text.encode() + b'",1\n')
    else:
        path.write_bytes(text.encode())
    result = read(path)
    assert result.texts == [stored]
    assert result.outcome.facts["line_ends"] == int(text != stored)


@pytest.mark.parametrize("text", [" ", "\n\t \r\n", "\u00a0\u3000\u2003", "\u200b\ufeff\u2060", "\u2800", "\x0b\x1c"])
def test_white_space_alone_is_no_document(tmp_path, read, text):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": text}, {"text": text + "."}))
    result = read(tmp_path / "a.jsonl")
    assert len(result.texts) == 1
    assert list(result.reasons.values()) == ["empty_text"]
