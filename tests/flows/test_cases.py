"""Files and recipes that version 0.1.0 got wrong, each with the right value; further forms stand beside their rooms.

``cases/NAME`` holds a recipe and its input. Archives, pages and tables stand in ``tests/sources``, cron lines in
``test_cron``, languages of odd texts in ``tests/filters/test_language``.
"""

# ruff: noqa: E501  tables of one row for each case

import json
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gristmill.cli import main
from gristmill.corpus.errors import PlanError, RecipeError
from gristmill.corpus.files import read_json
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.data_card import check_run_card
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.handoff.plan import Plan
from gristmill.trainer.training import checkpoint

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def case(home, tmp_path, monkeypatch):
    """A function that makes a copy of a case the working directory and returns its recipe."""

    def copy(name: str) -> Path:
        shutil.copytree(CASES / name, tmp_path / name)
        monkeypatch.chdir(tmp_path / name)
        return tmp_path / name / "recipe.toml"

    return copy


def column(run: Path, stage: str, file: str, name: str) -> list:
    with reopen_run(run) as context:
        parts = range(len(context.run.manifest(stage).parts))
        return [value for n in parts for value in pq.read_table(context.file(stage, file, n))[name].to_pylist()]


def shown(capsys, *arguments: object) -> str:
    """Standard output of a command that ends well."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    return out


MISTAKES = [  # case, key, what is told, line
    ("b05-cap-inf", "mixing.caps.max_epochs", "finite number", 12),
    ("b11-first-phase-linear", "curriculum.0.shape", "the first has none", 13),
    ("b22-timezone-folder", "schedule.timezone", "'Europe' is no time zone such as 'Europe/Berlin'", 18),
    ("b24-cron-last-friday", "schedule.cron", "the last such day of a month is L5", 17),
    ("b26-cron-six-fields", "schedule.cron", "there is no field of seconds", 17),
    ("b40-document-bytes-beyond", "limits.document_bytes", "33554432", 9),
]


@pytest.mark.parametrize(("name", "key", "told", "line"), MISTAKES, ids=[name for name, *_ in MISTAKES])
def test_a_mistake_is_told_with_its_line_before_any_stage(case, home, name, key, told, line):
    with pytest.raises(RecipeError) as caught:
        load_recipe(case(name))
    (mistake,) = str(caught.value).split("\n")[1:]
    assert mistake.startswith(f"  {key}: ")
    assert told in mistake
    assert mistake.endswith(f"(line {line})")
    assert not home.exists()


def test_a_phase_that_adds_no_row_is_told_with_its_line(case):
    recipe = case("b11-first-phase-linear")
    recipe.write_text(recipe.read_text().replace('shape = "linear"\n', "").replace("= 640", "= 63"))
    with pytest.raises(
        RecipeError, match=r"curriculum\.0\.until_tokens: the phase has 63 tokens, fewer than a row of 64 \(line 1\d\)"
    ):
        load_recipe(recipe)


def test_daily_is_a_cron_line(case):
    assert load_recipe(case("b28-cron-daily")).recipe.schedule.cron == "@daily"


@pytest.mark.parametrize("command", [("run", "--direct"), ("run",)])
def test_a_device_that_is_not_here_is_told_before_any_stage(case, home, capsys, command):
    name, *options = command
    with pytest.raises(SystemExit) as ended:
        main([name, str(case("b09-device-cuda-missing")), *options])
    told = capsys.readouterr().err.strip()
    assert ended.value.code == 1
    assert told.startswith("gristmill: trainer.device is 'cuda', which this machine does not have: ")
    assert "\n" not in told
    assert not list(home.glob("store/*"))


# ------------------------------------------------------------------------------------------------ emptied, held out


def test_documents_that_cuts_emptied_are_counted_and_have_no_row(case, capsys):
    recipe = case("b01-edits-leave-nothing")
    result = refine_directly(recipe)
    run = Path(result["run"])
    menu, law = result["sources"]["menu"], result["sources"]["law"]
    assert (menu["emptied"], menu["kept"], menu["bytes_kept"]) == (5, 0, 0)
    assert (law["emptied"], law["kept"]) == (0, 10)
    assert result["notices"] == ["kept documents that are not trained on, since cuts left no text: 5 of menu"]
    assert Plan.load(run / "plan").names == ("law",)
    assert read_json(run / "shards" / "menu" / "index.json")["rows"] == 0
    assert "menu" not in column(run, "tokens", "tokens.parquet", "source")
    card = read_json(run / "card" / "card.json")
    assert {source["name"]: (source["emptied"], source["kept"]) for source in card["sources"]} == {
        "menu": (5, 0),
        "law": (0, 10),
    }
    assert check_run_card(run)["problems"] == []
    assert explain_document(run, "menu0")["stages"][-1]["verdict"] == "emptied"
    out = shown(capsys, "run", recipe, "--direct")
    assert "emptied" in out
    assert result["notices"][0] in out.replace("\n", " ")
    assert read_json(run / "verified.json")["ok"]


@pytest.mark.parametrize("left", ["", " \n", "\u3000\u200b\n"])
def test_white_space_alone_is_no_text_that_is_left(case, left):
    """What stands between the cuts may be white space of any kind: nothing to train on either."""
    recipe = case("b01-edits-leave-nothing")
    notes = [{"id": f"m{n}", "text": f"mail{n}@example.org{left}"} for n in range(3)]
    Path("in/menu.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    text = recipe.read_text().replace(
        '[line_edits]\nrules = ["c4"]', '[line_edits]\nrules = ["c4"]\ndomains = ["menu"]'
    )
    recipe.write_text(text)
    result = refine_directly(recipe, until="tokens")
    assert (result["sources"]["menu"]["emptied"], result["sources"]["law"]["kept"]) == (3, 10)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("b31-only-document-held-out", ("0.5", "0.5"), r"all of the 1 kept documents are held out from training \(shards\.heldout\)"),
        ("b31-only-document-held-out", ("profiles = []", "profiles = []\nrules.words.at_least = 9999"), r"no document was kept"),
        ("b01-edits-leave-nothing", ('path = "in/law', 'path = "in/menu'), r"cuts left no text of the 5 kept documents.*\[line_edits\]"),
    ],
)  # fmt: skip
def test_the_blame_for_nothing_to_plan_names_the_right_key(case, name, change, told):
    recipe = case(name)
    recipe.write_text(recipe.read_text().replace(*change))
    with pytest.raises(PlanError, match=told):
        refine_directly(recipe)


# ------------------------------------------------------------------------------------------------ stores and trainings


def test_takedown_says_which_runs_still_hold_the_text(case, capsys):
    recipe = case("b03-takedown-shared-store")
    first = refine_directly(recipe, until="shards")["run"]
    second = refine_directly(recipe.with_name("second.toml"), until="shards")["run"]
    with pytest.raises(SystemExit) as ended:
        main(["takedown", second, "--ids", "ids.txt", "--one-run"])
    told = capsys.readouterr().out.replace("\n", " ")
    assert ended.value.code == 1, "text is left in the home"
    assert "removed 2 documents" in told
    assert f"store entries that another run names: {first}" in told
    assert "no byte of the text is left" not in told
    told = shown(capsys, "takedown", first, "--ids", "ids.txt").replace("\n", " ")
    assert "another run names" not in told
    assert told.strip().endswith("no byte of the text is left in the home")


@pytest.fixture
def stopped(case, monkeypatch) -> Path:
    """The recipe of a training that ended after the checkpoint of step 10."""
    recipe, save = case("b38-resume-progress"), checkpoint.save

    def save_and_end(folder, state, *spread):
        save(folder, state, *spread)
        if state.step == 10:
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_end)
        with pytest.raises(InterruptedError):
            refine_directly(recipe)
    return recipe


def test_progress_of_a_resumed_training_goes_on_from_its_step(stopped, home, capsys):
    """And with other threads, a free key, it is the same run that goes on."""
    (run,) = home.glob("runs/prog/*/")
    free = stopped.read_text().replace("threads = 1", "threads = 2\nkeep = 1")
    stopped.write_text(free.replace("checkpoint_steps = 5", "checkpoint_steps = 7"))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["run", str(stopped), "--direct", "--json"])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    assert Path(json.loads(out)["run"]) == run
    counted = [line.split()[1].split("/") for line in err.splitlines() if line.startswith("train ")]
    done, total = [int(step) for step, _ in counted], {int(all_steps) for _, all_steps in counted}
    assert done == sorted(done)
    assert done[0] >= 10
    assert total == {done[-1]}
    assert RunDir(run).manifest("train").parts[0].facts["summary"]["steps"] == done[-1]


# ------------------------------------------------------------------------------------------------ input


def test_the_same_lines_with_other_ends_meet_the_same_verdict(case):
    recipe = case("12-crlf-fineweb")
    recipe.write_text(recipe.read_text() + "max_largest_share = 1.0\n")  # the two are equal, and so one cluster
    run = Path(refine_directly(recipe, until="decide")["run"])
    assert column(run, "signals", "signals.parquet", "terminal_punct_line_share") == [1.0, 1.0]
    assert len(set(column(run, "documents", "documents.parquet", "text"))) == 1
    assert sorted(column(run, "decide", "ledger.parquet", "verdict")) == ["kept", "merged"]  # none is dropped


@pytest.mark.parametrize(
    ("name", "signal_name", "finds"),
    [("14-pii-version-as-ip", "pii_ipv4", [0, 0, 0, 0, 0, 1]), ("16-pii-doi-as-phone", "pii_phone", [0, 0, 0, 0, 0, 0, 1])],
)  # fmt: skip
def test_numbers_that_are_no_personal_data(case, name, signal_name, finds):
    run = Path(refine_directly(case(name), until="pii")["run"])
    assert column(run, "pii", "pii.parquet", signal_name) == finds


def test_a_folder_as_spark_leaves_it(case):
    result = refine_directly(case("24-spark-folder"), until="documents")
    assert len(column(Path(result["run"]), "documents", "documents.parquet", "doc_id")) == 3


def test_white_space_alone_is_counted_as_empty(case):
    run = Path(refine_directly(case("b35-white-space-only"), until="documents")["run"])
    with reopen_run(run) as context:
        rejects = pq.read_table(context.file("documents", "rejects.parquet"))
    assert pc.value_counts(rejects["reason"]).to_pylist() == [{"values": "empty_text", "counts": 3}]


def test_a_text_without_letters_has_no_language(case):
    """And 2,100 empty lines before a text change nothing: case b15 is the last document."""
    recipe = case("b17-lang-of-digits")
    (recipe.parent / "in" / "blank.jsonl").write_text(
        "".join(json.dumps({"text": "\n" * n + json.loads(line)["text"]}) + "\n" for n in (0, 2100) for line in PLAIN)
    )
    text = recipe.read_text().replace('model = "lid.176.ftz"', "").replace("in/law.jsonl", "in/*.jsonl")
    recipe.write_text(text)
    run = Path(refine_directly(recipe, until="language")["run"])
    found = dict(
        zip(
            column(run, "documents", "documents.parquet", "locator"),
            zip(
                column(run, "language", "language.parquet", "lang_id"),
                column(run, "language", "language.parquet", "lang_score"),
                strict=True,
            ),
            strict=True,
        )
    )
    odd = [
        lang
        for locator, (lang, _) in found.items()
        if locator.startswith("in/law.jsonl:") and not locator.endswith(":4")
    ]
    assert odd == ["und"] * 3
    (plain, blank) = (score for locator, score in found.items() if "blank" in locator)
    assert plain[0] == blank[0] == "en"
    assert abs(plain[1] - blank[1]) < 0.05


PLAIN = [(CASES / "b17-lang-of-digits" / "in" / "law.jsonl").read_text().splitlines()[3]]


def test_a_table_of_sixty_thousand_columns_is_read(case):
    """In time that grows with the columns: bench/wide_table.py."""
    recipe = case("b29-wide-csv")
    Path("in").mkdir()
    names = ["text", *(f"c{number}" for number in range(60_000))]
    rows = [[f"Some words stand in row {row}.", *["1"] * 60_000] for row in range(3)]
    Path("in/wide.csv").write_text("".join(",".join(row) + "\n" for row in [names, *rows]))
    result = refine_directly(recipe, until="documents")
    assert result["stages"]["documents"]["documents_out"] == 3
