"""README is true: its commands parse, its recipe has no mistake, its code runs, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gristmill
from gristmill import cli
from gristmill.corpus._rooms import HOUSE, ROOMS
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.catalogue_rows import Known
from gristmill.flows.pipeline.recipe_reading import parse_recipe

TEXT = (HOUSE / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def blocks(kind: str) -> list[str]:
    return [block["text"] for block in BLOCK.finditer(TEXT) if block["kind"] == kind]


def block(kind: str, word: str) -> str:
    """The one block of a kind that holds a word."""
    (found,) = [text for text in blocks(kind) if word in text]
    return found


def commands(text: str) -> list[list[str]]:
    """Words of every gristmill command in blocks of sh."""
    lines = [line.partition("#")[0] for line in text.splitlines() if line.startswith("gristmill ")]
    return [shlex.split(line)[1:] for line in lines]


def parse(words: list[str]) -> None:
    """Raise SystemExit where the command line does not know a command or an option; a run is any folder."""
    there = ["." if word.startswith(("RUN", "$RUN")) or "/latest" in word else word for word in words]
    cli.app.parse_args(there, exit_on_error=True, print_error=False)


def test_it_is_read_in_five_minutes():
    assert 8_000 <= len(TEXT.encode()) <= 9_300


def test_every_command_parses():
    found = commands("".join(blocks("sh")))
    assert len(found) > 10
    for words in found:
        parse(words)


@pytest.mark.parametrize("line", ["whatif RUN --sett a=1", "explane RUN a", "trace RUN --step five"])
def test_a_command_that_is_none_is_seen(line):
    with pytest.raises(SystemExit):
        parse(line.split())


def test_every_verb_of_make_is_one():
    verbs = set(re.findall(r"`make (\w+)`|^make (\w+)", TEXT, re.MULTILINE))
    makefile = (HOUSE / "Makefile").read_text(encoding="utf-8")
    for verb in {name for pair in verbs for name in pair if name}:
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb


def test_the_recipe_has_no_mistake():
    recipe = parse_recipe(block("toml", "crawl/")).recipe
    assert recipe.decide.chosen_profiles == ("fineweb@0.01", "entropy@residual")
    assert recipe.decide.rules["words"].at_least == 50


def test_a_signal_and_a_profile_of_ones_own(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    code = block("python", "# loud.py")
    assert len([line for line in code.splitlines() if line and not line.startswith("#")]) <= 12
    Path("loud.py").write_text(code)
    Path("calm.txt").write_text("The mill grinds.")
    Path("loud.txt").write_text("Flour!" * 10)
    plugins, profile = block("toml", "loud.py").split("\n", 1)
    source = '\nname = "own"\nseed = 1\n[[sources]]\nname = "a"\npath = "*.txt"\ndomain = "a"\n'
    Path("recipe.toml").write_text(plugins + source + profile)
    result = refine_directly(Path("recipe.toml"), until="decide")
    assert result["stages"]["loud"]["computed"] == 1
    assert result["sources"]["a"]["dropped"] == 1
    assert (Path(result["run"]) / "plugins" / "loud.py").read_text() == code


def run_python(code: str, **names: str) -> None:
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run([sys.executable, "-c", given + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_hand_over_gives_every_planned_row_its_rank(small_run):
    check = "    seen = len(batch.tokens)\nassert seen and batch.tokens.dtype == 'int64'\n"
    run_python(block("python", "handoff.loader") + check, run=str(small_run))


@pytest.mark.skipif(not hasattr(gristmill, "run"), reason="the Python interface has a branch of its own")
def test_the_notebook_block_runs(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("The mill grinds its corn by day and by night.")
    Path("recipe.toml").write_text(
        'name = "book"\nseed = 1\n[decide]\nprofiles = ["length"]\n'
        '[[sources]]\nname = "a"\npath = "*.txt"\ndomain = "a"\n'
    )
    run_python(block("python", "import gristmill\n"))


def test_the_picture_adds_up():
    picture = block("", "14 sources")
    records, documents, rejects, signals, kept, failed, merged = (
        int(re.search(rf"([\d,]+) {word}", picture)[1].replace(",", ""))
        for word in ("records", "and", "rejects", "numbers", "kept", "failed", "merged")
    )
    assert records == documents + rejects
    assert documents == kept + failed + merged
    sample = HOUSE / "recipes" / "sample.toml"
    assert len(parse_recipe(sample.read_text(encoding="utf-8"), folder=sample.parent).recipe.sources) == 14
    assert signals == sum(bool(row.used) for row in Known.of(sample).signals())


def missing(text: str) -> set[str]:
    return {link for link in LINK.findall(text) if not (HOUSE / link).exists()}


def test_every_link_leads_somewhere():
    pages = [TEXT, (HOUSE / "CONTRIBUTING.md").read_text(encoding="utf-8")]
    assert set().union(*map(missing, pages)) == set()
    assert missing("[a](docs/nowhere.md) [b](LICENSE)") == {"docs/nowhere.md"}


def test_the_house_lists_every_room_and_where_to_start():
    listing = block("", "corpus/  ")
    for room in ROOMS:
        assert re.search(rf"^{room}/ ", listing, re.MULTILINE), room
    for line in listing.splitlines()[:-1]:
        room = line.split("/")[0]
        for name in line.split("  ")[-1].split(", "):
            assert (HOUSE / room / name.strip()).exists(), line
    assert 12 <= len(listing.splitlines()) <= 16


def gone(text: str) -> set[str]:
    """Files that a page names and the house lacks; capitals stand for a name of one's own."""
    named = re.findall(r"`([a-z_0-9]+/[a-z_0-9/]+\.(?:py|md|toml))`", text)
    return {name for name in named if not (HOUSE / name).exists()}


def test_files_that_pages_name_are_there():
    pages = [*(HOUSE / "docs").rglob("*.md"), HOUSE / "README.md", HOUSE / "CONTRIBUTING.md"]
    assert {page.name: found for page in pages if (found := gone(page.read_text(encoding="utf-8")))} == {}
    assert gone("`corpus/stage.py` `corpus/stages.py`") == {"corpus/stages.py"}
