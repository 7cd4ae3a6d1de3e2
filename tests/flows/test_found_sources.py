"""``gristmill init`` of a folder with many kinds of files: a source for each way of reading, none silently left out."""

import gzip
import json
import os

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.cli import app
from gristmill.corpus.errors import SourceError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.first_recipe import write_first_recipe
from gristmill.flows.pipeline.recipe_reading import load_recipe

KHMER = "ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជាហើយមានអ្នកនិយាយច្រើន"


def jsonl(*fields):
    return "".join(json.dumps(one) + "\n" for one in fields)


@pytest.fixture
def mixed(home, tmp_path, monkeypatch):
    """Two ways of JSON lines under one ending, one packed; Parquet; notes; four files that no reader knows."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    (folder / "notes" / "old").mkdir(parents=True)
    (folder / "a.jsonl").write_text(jsonl({"doc_id": 1, "content": "the first of the mill's texts"}))
    (folder / "b.jsonl").write_text(jsonl({"id": "x", "text": "a text with other keys in another file"}))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(jsonl({"id": "y", "text": "packed lines of the third"}).encode()))
    table = pa.table({"body": [KHMER * 4, KHMER * 5 + "។"], "score": [0.1, 0.2]})
    pq.write_table(table, folder / "k.parquet")
    (folder / "notes" / "one.md").write_text("a note of six words here")
    (folder / "notes" / "old" / "two.md").write_text("another older note of seven words")
    for name in ("notes/x.docx", "y.pdf", "sub.vtt", "UNKNOWN_FILE"):
        (folder / name).write_bytes(b"PK")
    return folder


def sources_of(path):
    return {one.name: one for one in load_recipe(path).recipe.sources}


def test_files_that_are_read_in_one_way_are_one_source(mixed, tmp_path):
    found = write_first_recipe(["in"], tmp_path / "r.toml")
    sources = sources_of(tmp_path / "r.toml")
    assert {name: one.path for name, one in sources.items()} == {
        "a": "in/a.jsonl",
        "in-jsonl": ("in/b.jsonl", "in/c.jsonl.gz"),  # a pattern by ending would take a.jsonl too
        "k": "in/k.parquet",
        "notes": "in/notes/**/*.md",
    }
    assert (sources["a"].text_field, sources["a"].id_field, sources["k"].text_field) == ("content", "doc_id", "body")
    assert found.left_out == ["in/UNKNOWN_FILE", "in/notes/x.docx", "in/sub.vtt", "in/y.pdf"]


def test_every_file_is_read_once_and_text_without_spaces_is_kept(mixed, tmp_path):
    write_first_recipe(["in"], tmp_path / "r.toml")
    result = refine_directly(tmp_path / "r.toml", "decide")
    assert {name: one["documents"] for name, one in result["sources"].items()} == {
        "a": 1, "in-jsonl": 2, "k": 2, "notes": 2
    }  # fmt: skip
    assert result["sources"]["k"]["dropped"] == 0  # the rule on words judges no Khmer


def test_a_source_of_which_nothing_is_kept_is_noticed(mixed, tmp_path):
    write_first_recipe(["in"], tmp_path / "r.toml")
    text = (tmp_path / "r.toml").read_text()
    (tmp_path / "late.jsonl").touch()
    late = '[[sources]]\nname = "late"\npath = "late.jsonl"\ndomain = "late"\n'
    (tmp_path / "r.toml").write_text(text.replace("\n[language]", "\n# [language]") + late)
    nothing_read, notice = refine_directly(tmp_path / "r.toml", "decide")["notices"]
    assert nothing_read == "late holds no record: 1 file, 0 bytes"
    assert notice.startswith("nothing of k is kept, 2 of 2 documents are dropped: `gristmill samples RUN --source k`")


def test_one_way_keeps_the_path_and_leaves_the_others_out_by_pattern(mixed, tmp_path, capsys):
    app(["init", "in/notes", "--out", "r.toml"], result_action="return_value")
    assert "no reader knows them by name or can open them: 'in/notes/x.docx'" in " ".join(
        capsys.readouterr().out.split()
    )
    (source,) = sources_of(tmp_path / "r.toml").values()
    assert (source.path, source.exclude) == ("in/notes", ("*.docx",))


def test_a_folder_of_unknown_files_is_an_error_and_writes_nothing(mixed, tmp_path):
    (tmp_path / "odd").mkdir()
    for name in ("a.pdf", "b.zip"):
        (tmp_path / "odd" / name).write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"no reader knows 'odd/a.pdf', 'odd/b.zip' by name; .* Unpack archives"):
        write_first_recipe(["odd"], tmp_path / "r.toml")
    assert not (tmp_path / "r.toml").exists()


def test_a_pipe_and_a_link_to_nothing_are_left_out_and_not_waited_for(mixed, tmp_path):
    (mixed / "notes" / "gone.md").symlink_to("nowhere.md")
    os.mkfifo(mixed / "notes" / "pipe[1].md")
    found = write_first_recipe(["in/notes"], tmp_path / "r.toml")
    (source,) = sources_of(tmp_path / "r.toml").values()
    assert source.exclude == ("*.docx", "in/notes/gone.md", "in/notes/pipe[[]1].md")
    assert len(found.left_out) == 3
    assert refine_directly(tmp_path / "r.toml", "decide")["sources"]["notes"]["documents"] == 2


def test_arrays_and_texts_in_several_encodings_have_their_own_keys(mixed, tmp_path):
    (mixed / "d.json").write_text(json.dumps([{"instruction": "a", "output": "b"}] * 3, indent=1))
    russian = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n"
    (mixed / "notes" / "koi.txt").write_bytes((russian * 9).encode("koi8-r"))
    (mixed / "notes" / "wide.txt").write_bytes(russian.encode("utf-16"))  # its mark is enough
    write_first_recipe(["in"], tmp_path / "r.toml")
    sources = sources_of(tmp_path / "r.toml")
    assert (sources["d"].messages, sources["koi"].encoding) == ("instruction", "koi8-r")
    assert sources["notes"].path == ("in/notes/old/two.md", "in/notes/one.md", "in/notes/wide.txt")


def test_the_working_directory_is_no_root_of_the_disk(mixed, tmp_path, monkeypatch):
    """Two ways of reading, each of several files: patterns below here."""
    monkeypatch.chdir(mixed)
    for name in ("d.csv", "e.csv"):
        (mixed / name).write_text("id,text\n1,a row of some words\n")
    (mixed / "a.jsonl").unlink()
    write_first_recipe(["."], tmp_path / "r.toml")
    paths = {one.path for one in sources_of(tmp_path / "r.toml").values()}
    assert paths == {"**/*.csv", ("**/*.jsonl", "**/*.jsonl.gz"), "k.parquet", "notes/**/*.md"}


def test_a_mixed_folder_of_an_object_store(tmp_path):
    lake = fsspec.filesystem("memory")
    for name, text in (("a.csv", "id,text\n1,x y\n"), ("b/c.csv", "id,text\n2,x z\n"), ("d.jsonl", '{"text": "w"}\n')):
        lake.pipe(f"/mixed/in/{name}", text.encode())
    write_first_recipe(["memory://mixed/in"], tmp_path / "r.toml")
    paths = {one.path for one in sources_of(tmp_path / "r.toml").values()}
    assert paths == {"memory:///mixed/in/**/*.csv", "memory:///mixed/in/d.jsonl"}
