"""export, samples and list as a user calls them, and runs by name in every command that takes one."""

import shutil
from pathlib import Path

import pytest

from gristmill.app import app
from gristmill.corpus.files import read_json
from gristmill.corpus.writer_lock import WriterLock
from gristmill.show_text import plain
from tests.gristmill.command_line import answer, call


@pytest.fixture
def named(small_run, small_home, monkeypatch):
    """The small run, in the home in use."""
    monkeypatch.setenv("GRISTMILL_HOME", str(small_home))
    return small_run


def test_export(capsys, named, tmp_path):
    result = answer(capsys, "export", "latest", "--to", "parquet", "--out", tmp_path / "a", "--by", "source")
    assert {name: result[name] for name in read_json(tmp_path / "a" / "export.json")} == read_json(
        tmp_path / "a" / "export.json"
    )
    assert result["documents"] > 100
    status, out, err = call(
        capsys, "export", "small/latest", "--to", "jsonl", "--out", tmp_path / "b", "--with", "signals"
    )
    assert status == 0
    assert f"{result['documents']:,} documents in " in out
    assert "export" in err  # progress
    status, out, err = call(capsys, "export", named, "--to", "jsonl", "--out", tmp_path / "b")
    assert (status, out) == (1, "")
    assert "name a new or an empty folder" in err
    assert "unknown target of --to 'csv'" in call(capsys, "export", named, "--to", "csv", "--out", tmp_path / "c")[2]
    assert call(capsys, "export", named, "--to", "jsonl")[0] == 2


def test_samples(capsys, named):
    rule = answer(capsys, "samples", named.name[:6], "--dropped", "-n", 3)["samples"][0]["rules"][0]["rule"]
    result = answer(capsys, "samples", "latest", "--rule", rule, "--number", 2)
    assert result == answer(capsys, "samples", "latest", "--rule", rule, "-n", 2)
    assert result["choice"] == {"rule": rule}
    assert len(result["samples"]) == min(2, result["documents"])
    status, out, _ = call(capsys, "samples", "latest", "--rule", rule)
    assert status == 0
    assert result["samples"][0]["doc_id"] in out
    merged = answer(capsys, "samples", "latest", "--merged", "-n", 1)["samples"][0]
    beside = call(capsys, "samples", "latest", "--cluster", merged["doc_id"])[1]
    assert "merged" in beside
    assert "kept" in beside
    assert "unknown rule 'nonsense'" in call(capsys, "samples", "latest", "--rule", "nonsense")[2]
    assert "say which documents" in call(capsys, "samples", "latest")[2]


def test_the_list(capsys, named):
    row = next(row for row in answer(capsys, "list")["rows"] if row["path"] == str(named))
    assert (row["recipe"], row["run"]) == ("small", named.name)
    assert named.name in call(capsys, "list")[1].replace("\n", "")


COMMANDS = [
    ("verify",),
    ("explain", "samples/dirty/broken.jsonl:2"),
    ("trace", "--step", "1"),
    ("whatif", "--set", "words.at_least=80"),
    ("sweep", "words.at_least", "--from", "0", "--to", "9", "--steps", "2"),
    ("rank", "--better", "legal", "--worse", "web"),
    ("review",),
    ("card", "--check"),
    ("samples", "--kept"),
    ("mix",),
    ("without", "--source", "dirty"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_run_by_name(capsys, named, command):
    name, *rest = command
    by_path = call(capsys, name, named, *rest, "--json")
    assert by_path[0] == 0, by_path[2]
    assert call(capsys, name, "small/latest", *rest, "--json")[:2] == by_path[:2]
    status, out, err = call(capsys, name, "smal/latest", *rest, "--json")
    assert (status, out) == (1, "")
    assert err == "gristmill: unknown run 'smal/latest'; did you mean 'small/latest'?\n"


def test_every_command_that_takes_a_run_takes_its_name():
    asked = {command[0] for command in COMMANDS} | {"export", "generate"}
    others = {"train", "takedown", "approve"}  # they change the run
    taking = {name for name, one in subcommands().items() if "run" in one.default_command.__annotations__}
    assert taking == asked | others
    for name in taking:
        assert subcommands()[name].default_command.__annotations__["run"] is not Path


def test_training_and_takedown_by_name(capsys, small_run, small_home, tmp_path, monkeypatch):
    shutil.copytree(small_home, tmp_path / "copy")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "copy"))
    assert answer(capsys, "train", "latest", "--direct")["steps"] > 30
    (tmp_path / "ids.txt").write_text("nobody\n")
    assert "unknown document" in call(capsys, "takedown", "small/latest", "--ids", tmp_path / "ids.txt")[2]


def test_a_run_that_another_process_writes(capsys, named, tmp_path):
    with WriterLock(named):
        status, _, err = call(capsys, "export", "latest", "--to", "jsonl", "--out", tmp_path / "out")
    assert status == 4
    assert "is being written by process" in err


def subcommands() -> dict:
    return {name: app[name] for name in app if not name.startswith("-")}


def test_every_option_of_these_has_a_sentence():
    bare = [
        f"{name} {argument.name}"
        for name in ("export", "samples", "list")
        for argument in app[name].assemble_argument_collection(parse_docstring=True)
        if argument.show and not (argument.parameter.help or "").strip()
    ]
    assert bare == []


def test_no_character_of_a_text_moves_the_cursor():
    shown = plain("a\x1b[2Jb\rc\x07\n" + "é" * 999)
    assert shown.plain.startswith("a␛[2Jb␍c␇\né")
    assert shown.plain.endswith("é ... (1,009 characters)")
