"""The command line as its user meets it: answers in JSON, one message for a mistake, never a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gristmill.command_line import answer, call


@pytest.fixture
def milled_home(small_run, small_home, tmp_path, monkeypatch):
    """A copy of the home of the small run: what a change leaves alone is found in its store."""
    shutil.copytree(small_home, tmp_path / "milled")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "milled"))


@pytest.fixture
def recipe(tmp_path, small_text):
    """Write a recipe after replacing some of its text."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = small_text
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "recipe.toml").write_text(text)
        return tmp_path / "recipe.toml"

    return write


def test_version_and_help(capsys):
    assert call(capsys, "--version")[1].strip() == "0.1.0"
    assert "verify" in call(capsys, "--help")[1]


def test_run_until_a_stage_then_reuse(capsys, home, recipe):
    path = recipe()
    first = answer(capsys, "run", path, "--until", "signals", "--direct")
    assert list(first["stages"]) == ["documents", "signals"]
    stage = first["stages"]["documents"]
    assert stage["computed"] > 3
    assert stage["reused"] == 0
    assert stage["documents_in"] > stage["documents_out"] > 0
    second = answer(capsys, "run", path, "--until", "signals", "--direct")
    assert second["run"] == first["run"]
    assert all(stage["computed"] == 0 and stage["reused"] > 0 for stage in second["stages"].values())


def test_run_prints_tables(capsys, home, recipe):
    status, out, err = call(capsys, "run", recipe(), "--until", "documents", "--direct")
    assert status == 0
    assert "documents" in out
    assert "run  " in out
    assert "documents" in err  # progress


def test_plan_runs_nothing_and_then_agrees_with_the_run(capsys, home, recipe):
    path = recipe()
    before = answer(capsys, "plan", path)
    assert not (home / "runs").exists()
    assert before["stages"]["signals"]["compute"] == before["stages"]["signals"]["parts"]
    assert not before["stages"]["tokens"]["known"]
    assert before["seconds"] > 0
    answer(capsys, "run", path, "--until", "signals", "--direct")
    after = answer(capsys, "plan", path)
    assert after["run"] == before["run"]
    assert after["stages"]["signals"]["compute"] == 0
    assert after["stages"]["clusters"]["compute"] == 1


def test_plan_of_a_finished_run_reuses_everything(capsys, small_run, small_home, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(small_home))
    result = answer(capsys, "plan", small_home / "small.toml")
    assert result["run"] == str(small_run)
    assert all(stage["known"] and stage["compute"] == 0 for stage in result["stages"].values())


def test_verify(capsys, small_run):
    result = answer(capsys, "verify", small_run)
    assert result["ok"]
    names = " ".join(check["name"] for check in result["checks"])
    for promise in (
        "conservation decide",
        "receipts tokens",
        "shards forum",
        "plan names",
        "consumption forum",
        "card",
    ):
        assert promise in names
    assert "0 failed" in call(capsys, "verify", small_run)[1]


def test_trace(capsys, small_run):
    result = answer(capsys, "trace", small_run, "--step", 5)
    assert len(result["rows"]) == 8
    assert all(row["documents"] for row in result["rows"])
    status, _, err = call(capsys, "trace", small_run, "--step", 10**6)
    assert status == 1
    assert "the plan has steps 1 to" in err
    assert "sample" in call(capsys, "trace", small_run, "--step", 1)[1]
    doc_id = result["rows"][0]["documents"][0]["doc_id"]
    assert f"{doc_id} row" in call(capsys, "trace", small_run, "--step", 5, "--text")[1]
    assert 5 in [one["step"] for one in answer(capsys, "trace", small_run, "--document", doc_id)["steps"]]
    assert "steps of 8 rows" in " ".join(call(capsys, "trace", small_run, "--document", doc_id)[1].split())
    assert "trained on in step" in call(capsys, "explain", small_run, doc_id)[1]
    assert "verdict is" in call(capsys, "trace", small_run, "--document", "samples/dirty/broken.jsonl:2")[1]
    for wrong in ((), ("--step", 1, "--document", doc_id)):
        assert call(capsys, "trace", small_run, *wrong)[0] == 1


def test_card(capsys, small_run):
    result = answer(capsys, "card", small_run, "--check")
    assert result["problems"] == []
    assert {Path(name).name for name in result["files"]} >= {"README.md", "croissant.json", "card.json"}
    assert answer(capsys, "card", small_run)["problems"] == []


def test_train_again_finds_it_done(capsys, small_run):
    before = (small_run / "train" / "summary.json").read_bytes()
    summary = answer(capsys, "train", small_run, "--direct")
    assert summary["steps"] > 30
    assert (summary["verified"], summary["failed"]) == (True, [])
    assert (small_run / "train" / "summary.json").read_bytes() == before


def test_the_page_of_a_training_is_there_and_is_made_again(capsys, small_run):
    page = small_run / "train" / "training.html"
    before = page.read_bytes()
    assert answer(capsys, "card", small_run, "--training")["page"] == str(page)
    assert page.read_bytes() == before
    assert str(page) in call(capsys, "card", small_run, "--training")[1].replace("\n", "")


def test_rebuild_in_an_empty_home_with_another_number_of_workers(capsys, small_run, home):
    result = answer(capsys, "rebuild", small_run / "card", "--check", "--workers", 1)
    assert result["identical"]
    assert result["first_difference"] is None
    assert Path(result["run"]).parts[-1] == small_run.parts[-1]


@pytest.mark.usefixtures("milled_home")
def test_rebuild_names_the_first_difference(capsys, small_run, tmp_path):
    card = json.loads((small_run / "card" / "card.json").read_text())
    card["shards"]["forum"][0]["sha256"] = "0" * 64
    (tmp_path / "card.json").write_text(json.dumps(card))
    status, out, _ = call(capsys, "rebuild", tmp_path, "--check", "--json")
    assert status == 1
    assert json.loads(out)["first_difference"].startswith("forum/data-00000")
    card["lock"]["inputs"]["forum"][0]["digest"] = "0" * 32
    (tmp_path / "card.json").write_text(json.dumps(card))
    status, _, err = call(capsys, "rebuild", tmp_path, "--check")
    assert status == 1
    assert "sources.forum: samples/forum/fortunes.en.jsonl is not the file that the card was made from" in err


MISTAKES = [
    ([("seed = 7", "sed = 7")], "sed: unknown key; did you mean 'seed'?"),
    ([("forum = 0.5", "forum = 0.6")], "curriculum.0.shares: shares sum to 1.1, not 1"),
    ([("fortunes.en.jsonl", "fortunes.xx.jsonl")], "sources.forum.path"),
    ([('profiles = ["length"]', 'profiles = ["lenght"]')], "did you mean 'length'?"),
    ([("lid.176.ftz", "lid.ftz")], "language.model: no file at"),
    ([('graph = "samples/knowledge"', 'graph = "samples/nothing"')], "knowledge.graph"),
    ([('domain = "legal"\n', 'domain = "legal"\nformat = "warc"\n')], "sources.speeches"),
    ([("samples/legal/state-of-the-union.parquet", "samples/dirty/not-a-parquet.parquet")], "sources.speeches"),
]


@pytest.mark.parametrize(("replacements", "told"), MISTAKES, ids=[told[:30] for _, told in MISTAKES])
def test_one_clear_message_for_a_mistake(capsys, home, recipe, replacements, told):
    status, out, err = call(capsys, "run", recipe(*replacements), "--direct", "--until", "decide")
    assert status == 1
    assert out == ""
    assert told in err


def test_an_unknown_stage_and_a_missing_recipe(capsys, home, recipe):
    assert "unknown stage 'signal'; did you mean 'signals'?" in call(capsys, "run", recipe(), "--until", "signal")[2]
    assert "cannot read the recipe" in call(capsys, "run", "nowhere.toml")[2]
    assert "cannot read the recipe" in call(capsys, "plan", "nowhere.toml")[2]


@pytest.mark.parametrize("command", ["verify", "train", "card"])
def test_a_folder_that_is_no_run(capsys, tmp_path, command):
    status, _, err = call(capsys, command, tmp_path)
    assert status == 1
    assert "is not a run directory" in err


def test_a_schedule_that_is_missing_or_wrong(capsys, home, recipe):
    assert "has no [schedule]" in call(capsys, "schedule", recipe())[2]
    wrong = recipe(("[limits]", '[schedule]\ncron = "every day"\n[limits]'))
    assert "schedule.cron" in call(capsys, "schedule", wrong)[2]


@pytest.mark.usefixtures("milled_home")
def test_a_source_over_its_budget_stops_the_run(capsys, recipe):
    strict = recipe(('domain = "web"\n', 'domain = "web"\nretention_budget = 0.5\n'))
    status, _, err = call(capsys, "run", strict, "--direct", "--until", "decide")
    assert status == 1
    assert "sources.dirty.retention_budget" in err


@pytest.mark.usefixtures("milled_home")
def test_a_schedule_that_repeats_too_much(capsys, recipe):
    status, _, err = call(
        capsys, "run", recipe(('until_tokens = "20K"', 'until_tokens = "20G"')), "--direct", "--until", "plan"
    )
    assert status == 1
    assert "max_epochs" in err


def test_the_program_itself(tmp_path):
    """The installed entry point, from another folder, as a process."""
    environment = {**os.environ, "GRISTMILL_HOME": str(tmp_path)}
    program = Path(sys.executable).with_name("gristmill")
    done = subprocess.run(
        [program, "verify", "."], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gristmill: . is not a run directory")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("until", ["documents", "decide"])
def test_a_home_that_is_none_is_one_sentence(capsys, recipe, monkeypatch, until):
    monkeypatch.setenv("GRISTMILL_HOME", "/dev/null/home")
    status, _, err = call(capsys, "run", recipe(), "--direct", "--until", until)
    assert status == 1
    assert err.splitlines()[-1].startswith("gristmill: /dev/null/home")
    assert "Not a directory" in err


def test_a_full_disk_is_no_fault_of_an_input(capsys, recipe, home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gristmill.corpus.tables.PartWriter.write", full)
    status, _, err = call(capsys, "run", recipe(), "--direct", "--until", "documents")
    assert (status, "sources." in err) == (1, False)
    assert "No space left on device; what was finished is kept" in err.splitlines()[-1]


LOUD = """
from gristmill.sources.reader import Reader

LOUD = Reader("loud", (".loud",), "1", ":read")
print("loaded")


def read(file, source, limits):
    return iter(())
"""


def test_what_a_plug_in_prints_stands_beside_the_answer(capsys, home, recipe):
    path = recipe()
    (path.parent / "loud.py").write_text(LOUD)
    path.write_text('plugins = ["./loud.py"]\n' + path.read_text())
    status, out, err = call(capsys, "readers", path, "--json")
    assert status == 0
    assert json.loads(out)["rows"]
    assert "loaded" in err
