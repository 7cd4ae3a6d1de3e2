"""Text files that people write: what an editor adds is not content, and only line feeds end lines."""

import hashlib

import pytest

from gristmill.corpus import lock
from gristmill.corpus.own_files import read_own_lines
from gristmill.corpus.recipe_file import parse_toml, read_recipe

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("data", [b"one\n\n two \n", MARK + b"one\r\ntwo\r\n", MARK + b"one\ntwo"])
def test_lines_are_read_without_what_an_editor_adds(tmp_path, data):
    (tmp_path / "list").write_bytes(data)
    assert read_own_lines(tmp_path / "list") == ["one", "two"]


def test_other_separators_stand_inside_a_line(tmp_path):
    (tmp_path / "list").write_text("a\u2028b\nc\x85d\n", encoding="utf-8")
    assert read_own_lines(tmp_path / "list") == ["a\u2028b", "c\x85d"]


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(MARK + b'name = "x"\r\n')
    assert parse_toml(read_recipe(tmp_path / "recipe.toml")) == {"name": "x"}


def test_a_list_of_many_files_holds_any_name(tmp_path):
    files = [lock.LockedFile(f"a{mark}b.jsonl", 1, "0", "jsonl") for mark in "\u2028\x85\x0c"]
    data = lock._list(files).encode()
    (tmp_path / "many.jsonl").write_bytes(data)
    many = lock.ManyFiles(3, 3, ["jsonl"], hashlib.sha256(data).hexdigest(), "many.jsonl")
    assert [one.path for one in lock._read_list(many.expect_list(tmp_path))] == [file.path for file in files]
