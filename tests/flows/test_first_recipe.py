"""``gristmill init``: the recipe that it writes runs, and nothing that exists is overwritten."""

import json
import os

import pytest

from gristmill.cli import app
from gristmill.corpus.errors import RecipeError, SourceError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.first_recipe import write_first_recipe
from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe

WORDS = "The mill grinds its corn by day and by night"


def text(number):
    """Other words for each number, so that none is a near duplicate."""
    return " ".join(f"{word}{number}" for word in WORDS.split())


@pytest.fixture
def folder(home, tmp_path, monkeypatch):
    """Texts under another field, a folder of files, and conversations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "texts").mkdir(parents=True)
    (tmp_path / "in" / "posts.csv").write_text("nr;body\n" + "".join(f"{n};{text(n)}\n" for n in range(9)))
    for n in range(3):
        (tmp_path / "in" / "texts" / f"{n}.txt").write_text(text(n + 20))
    chat = [
        {"messages": [{"role": "user", "content": text(n + 40)}, {"role": "assistant", "content": text(n + 60)}]}
        for n in range(4)
    ]
    (tmp_path / "in" / "chat.jsonl").write_text("".join(json.dumps(one) + "\n" for one in chat))
    return tmp_path


def test_what_it_writes_runs(folder, capsys):
    app(["init", "in/posts.csv", "in/texts/*.txt", "in/chat.jsonl", "--json"], result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["files"], one["keys"]) for one in found["sources"]] == [
        ("posts", {"csv": 1}, {"text_field": "body", "id_field": "nr"}),
        ("texts", {"text": 3}, {}),
        ("chat", {"jsonl": 1}, {"messages": "messages"}),
    ]
    result = refine_directly(folder / "recipe.toml", "decide")
    assert {name: one["kept"] for name, one in result["sources"].items()} == {"posts": 9, "texts": 3, "chat": 4}


def test_what_is_commented_out_is_right_too(folder):
    write_first_recipe(["in/posts.csv"], folder / "mine.toml")
    head, later = (folder / "mine.toml").read_text().split("# What else there is")
    sections = "".join(line.removeprefix("# ") for line in later.splitlines(keepends=True)[1:] if line != "\n")
    recipe = parse_recipe(head + sections).recipe
    assert recipe.trainer is not None
    assert recipe.pii.email == "mask"
    assert recipe.name == "mine"


def test_names_are_told_apart_and_odd_paths_are_quoted(folder):
    odd = folder / "in" / 'a "b"\\c'
    odd.mkdir()
    (odd / "x.txt").write_text(WORDS)
    write_first_recipe(["in/posts.csv", "in/posts.csv", str(odd)], folder / "r.toml")
    sources = load_recipe(folder / "r.toml").recipe.sources
    assert [one.name for one in sources] == ["posts", "posts-2", "a-b-c"]
    assert sources[2].path == str(odd)


def test_a_name_that_no_recipe_can_hold_is_left_out_by_a_pattern(folder):
    odd = folder / "odd"
    odd.mkdir()
    for name in (b"caf\xe9.txt", b"good.txt", b"one\rtwo\x7f.jsonl"):
        (odd / os.fsdecode(name)).write_text(json.dumps({"text": WORDS}))
    found = write_first_recipe(["odd"], folder / "r.toml")
    assert found.left_out == [os.fsdecode(b"odd/caf\xe9.txt")]
    texts, lines = sorted(load_recipe(folder / "r.toml").recipe.sources, key=lambda source: source.paths)[::-1]
    assert (texts.paths, lines.paths) == (("odd/one\rtwo\x7f.jsonl",), ("odd/good.txt",))


def test_nothing_is_overwritten_and_nothing_is_written_for_nothing(folder):
    (folder / "recipe.toml").write_text("mine")
    with pytest.raises(RecipeError, match="exists already"):
        write_first_recipe(["in/posts.csv"], folder / "recipe.toml")
    assert (folder / "recipe.toml").read_text() == "mine"
    with pytest.raises(SourceError, match="no file, folder or match for 'nothing'"):
        write_first_recipe(["nothing"], folder / "new.toml")
    assert not (folder / "new.toml").exists()
