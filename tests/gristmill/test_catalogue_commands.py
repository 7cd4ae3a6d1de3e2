"""The catalogue as commands print it, and the sentence of every option."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from gristmill.app import app
from gristmill.cli import main
from gristmill.flows.pipeline import warming

OWN = """
name = "mine"
seed = 1
plugins = ["./loud.py"]
[[sources]]
name = "web"
path = "*.txt"
domain = "web"
[[references]]
name = "prose"
texts = ["good.txt"]
[decide.profiles.calm]
rules = { upper_word_share = { at_most = 0.3 } }
"""
LOUD = """
import pyarrow as pa
from gristmill.corpus.stage import Measured, PartStage, Signal


def measure(batch, options, state):
    return Measured({"upper_word_share": pa.array([0.0] * batch.num_rows)})


LOUD = PartStage(
    name="loud",
    version="1",
    table="loud.parquet",
    measure=":measure",
    signals=(Signal("upper_word_share", "share of words", 0, 1, "words in capitals"),),
)
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.txt").write_text("good")
    Path("loud.py").write_text(LOUD)
    Path("recipe.toml").write_text(OWN)
    return tmp_path / "recipe.toml"


def rows(capsys, *arguments) -> dict[str, dict]:
    """Rows of a command by their name."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments), "--json"])
    assert not ended.value.code
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}


def test_signals_have_a_unit_a_range_and_a_stage(capsys):
    found = rows(capsys, "signals")
    assert len(found) > 120
    assert found["alpha_word_share"]["unit"] == "share of words"
    assert (found["alpha_word_share"]["low"], found["alpha_word_share"]["high"]) == (0.0, 1.0)
    assert found["pii_email"]["stage"] == "pii"
    assert {row["used"] for row in found.values()} == {None}
    assert set(rows(capsys, "signals", "--stage", "pii", "--name", "IPV")) == {"pii_ipv4", "pii_ipv6"}


def test_a_recipe_adds_its_own(capsys, recipe):
    signals = rows(capsys, "signals", recipe)
    assert (signals["upper_word_share"]["origin"], signals["upper_word_share"]["used"]) == ("loud", True)
    assert signals["cross_entropy_prose"]["used"]
    assert not signals["zstd_ratio"]["used"]
    profiles = rows(capsys, "profiles", recipe)
    assert profiles["calm"]["rules"][0] == {
        "name": "upper_word_share", "signal": "upper_word_share", "at_least": None, "at_most": 0.3,
        "languages": [], "source": "",
    }  # fmt: skip
    assert [name for name, row in profiles.items() if row["used"]] == ["calm"]
    stages = rows(capsys, "stages", recipe)
    assert stages["loud"]["used"]
    assert not stages["pii"]["used"]
    names = list(stages)
    assert names.index("documents") < names.index("loud") < names.index("decide")
    assert "loud" in stages["decide"]["reads"]


def test_readers_have_their_suffixes(capsys):
    found = rows(capsys, "readers")
    assert set(found) >= {"jsonl", "parquet", "csv", "text", "html", "warc", "wet", "arrow"}
    assert ".ndjson" in found["jsonl"]["suffixes"]
    assert found["jsonl"]["packed"]
    assert not found["parquet"]["packed"]


@pytest.mark.parametrize("command", ["signals", "profiles", "readers", "stages"])
def test_a_person_reads_a_table_and_is_helped_with_a_name(capsys, recipe, command):
    with pytest.raises(SystemExit):
        main([command, str(recipe)])
    assert f" {command}" in capsys.readouterr().out.splitlines()[0]
    with pytest.raises(SystemExit) as ended:
        main([command, "--name", "no such thing"])
    assert ended.value.code == 1
    assert "unknown" in capsys.readouterr().err


def test_one_profile_is_shown_with_its_rules(capsys):
    with pytest.raises(SystemExit):
        main(["profiles", "--name", "c4@edited"])
    out = capsys.readouterr().out
    assert "c4_curly_brackets_left" in out
    assert "0 or less" in out


def test_the_catalogue_imports_nothing_heavy():
    code = (
        "import sys; from gristmill.cli import main\n"
        "try:\n    main(['signals', '--json'])\nexcept SystemExit: pass\n"
        "print([name for name in ('numba', 'pyarrow', 'polars', 'torch', 'prefect', 'dask') if name in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_warmup_says_what_it_compiled(capsys, monkeypatch):
    def pretend(recipe, reporter, workers):
        reporter.note("compiling")
        return ["signals", "pii"]

    monkeypatch.setattr(warming, "warm_up", pretend)
    with pytest.raises(SystemExit) as ended:
        main(["warmup"])
    assert (ended.value.code, *capsys.readouterr()) == (0, "compiled: signals, pii\n", "compiling\n")


def without_sentence(commands: App) -> list[str]:
    """Commands, arguments and options that no sentence explains."""
    found = []
    for name in commands:
        if name.startswith("-"):
            continue
        if not commands[name].help:
            found.append(name)
        arguments = commands[name].assemble_argument_collection(parse_docstring=True)
        found += [f"{name} {one.name}" for one in arguments if one.show and not one.parameter.help]
    return found


def test_every_option_has_a_sentence():
    assert len(list(app)) > 15
    assert without_sentence(app) == []


def test_an_option_without_a_sentence_is_found():
    planted = App()

    @planted.command
    def thing(number: int = 0) -> None:
        """Do it."""

    assert without_sentence(planted) == ["thing --number"]


PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"


def unlisted(page: str) -> list[str]:
    """Commands and options that the page does not list; ``--json`` is said once for all."""
    found = []
    for name in app:
        if name.startswith("-"):
            continue
        line = next((row for row in page.splitlines() if row.startswith(f"| `gristmill {name} ")), "")
        options = [
            one.name for one in app[name].assemble_argument_collection() if one.field_info.is_keyword_only and one.show
        ]
        found += [f"{name} {option}" for option in options if option != "--json" and option not in line]
        found += [] if line else [name]
    return found


def test_the_page_of_commands_lists_them_all():
    page = PAGE.read_text(encoding="utf-8")
    assert unlisted(page) == []
    assert unlisted(page.replace(" [--steps N]", "")) == ["sweep --steps"]


def test_the_page_has_the_stages_in_running_order(capsys):
    text = " ".join(PAGE.read_text(encoding="utf-8").split("Stages, in order: ")[1].split(".")[0].split())
    assert text.split(", ") == list(rows(capsys, "stages"))
