"""The first look at a source: as far as its first document, and no further."""

import json

import pytest

from gristmill.sources import jsonl
from gristmill.sources.first_look import first_mistake
from gristmill.sources.first_records import Place
from gristmill.sources.listing import list_files
from gristmill.sources.spec import ReadSpec

WHOLE = Place(0, 1)


def look(path, place=WHOLE, **fields):
    return first_mistake(list_files([str(path)], None, source="s"), ReadSpec("s", "web", **fields), (), place)


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(1000)))
    return tmp_path / "a.jsonl"


def test_nothing_is_wrong_where_a_document_is_read(texts):
    assert look(texts) is None


def test_a_wrong_key_is_named(texts):
    assert "the first 50 records are all rejected" in look(texts, text_field="body")
    assert "sources.s.text_field" in look(texts, text_field="body")


def test_a_short_source_is_wrong_when_it_is_the_whole(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": 1}\n')
    assert "its only record is rejected" in look(tmp_path / "a.jsonl")
    assert look(tmp_path / "a.jsonl", Place(0, 2)) is None  # the parts that follow may be right


def test_a_reject_that_no_key_causes_ends_the_look(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\\u0000"}\n' + '{"text": 1}\n' * 60)
    assert look(tmp_path / "a.jsonl") is None


def test_no_more_is_read_than_the_first_document(texts, monkeypatch):
    parsed = []
    real = jsonl.parse_line
    monkeypatch.setattr(jsonl, "parse_line", lambda *given: parsed.append(1) or real(*given))
    look(texts)
    assert len(parsed) == 1


def test_a_file_that_changed_is_left_to_its_part(texts):
    files = list_files([str(texts)], None, source="s")
    texts.write_text('{"body": 1}\n' * 1000)
    assert first_mistake(files, ReadSpec("s", "web"), (), WHOLE) is None
