"""The tokenizer of the latest run: ids stay, the lock names its bytes and no place, a card rebuilds alone."""

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import CardError, RecipeError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.mix import mix_run
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe
from gristmill.flows.takedown.removal import takedown

FROM = '[tokenizer]\nfrom = "latest"\n'


@pytest.fixture
def recipe(tmp_path, home, write_notes):
    return write_notes(tmp_path, {})


def add_note(recipe: Path, text: str) -> None:
    notes = recipe.parent / "odd.jsonl"
    notes.write_text(notes.read_text() + json.dumps({"text": text}) + "\n")


def tokens_of(run: Path) -> dict[str, list[int]]:
    context = read_run(run)
    parts = range(len(context.run.manifest("tokens").parts))
    tables = [pq.read_table(context.file("tokens", "tokens.parquet", part)) for part in parts]
    return {row["doc_id"]: row["tokens"] for table in tables for row in table.to_pylist()}


@pytest.fixture(scope="module")
def first_nights(write_notes, tmp_path_factory):
    """A run that trains its tokenizer, then three that take it, each on one note more: recipe, home and results."""
    folder = tmp_path_factory.mktemp("nights")
    recipe = write_notes(folder, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        results = [refine_directly(recipe)]
        recipe.write_text(recipe.read_text().replace("[tokenizer]\n", FROM))
        for word in ("quern", "hopper", "sluice"):
            add_note(
                recipe, f"The {word} of the mill has words like {word}ing and {word}ed that were not there before."
            )
            results.append(refine_directly(recipe))
    return recipe, folder / "home", results


@pytest.fixture
def nights(first_nights, tmp_path, monkeypatch):
    """The four runs in a copy of their home, and the results of the last three."""
    _, home, results = first_nights
    subprocess.run(["cp", "-a", str(home), str(tmp_path / "copy")], check=True)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "copy"))
    return [tmp_path / "copy" / Path(one["run"]).relative_to(home) for one in results], results[1:]


def test_ids_stay_for_ever_and_the_fit_is_reported(nights):
    runs, results = nights
    assert len(set(runs)) == 4
    sums = {file_sha256(run / "tokenizer" / "tokenizer.json") for run in runs}
    assert len(sums) == 1
    assert {read_json(run / "lock.json")["artefacts"]["tokenizer"]["path"] for run in runs[1:]} == sums
    assert all(one["verified"] for one in results)
    first, last = tokens_of(runs[0]), tokens_of(runs[-1])
    assert len(last) == len(first) + 3
    assert {doc_id: last[doc_id] for doc_id in first} == first
    fit = results[-1]["bytes_per_token"]["notes"]
    assert fit["now"] < fit["before"] == results[-2]["bytes_per_token"]["notes"]["now"]
    index = [read_json(run / "shards" / "notes" / "index.json") for run in runs]
    assert len({json.dumps(one.get("pad_id")) for one in index}) == 1


def test_documents_of_last_night_are_not_encoded_again(nights):
    _, results = nights
    assert [one["stages"]["tokenizer"]["reused"] for one in results] == [0, 1, 1]
    assert [one["stages"]["tokens"]["computed"] for one in results[1:]] == [1, 1], "the part with the new note alone"


def test_the_lock_names_no_place_and_the_run_is_the_same_elsewhere(nights, first_nights):
    recipe, home, _ = first_nights
    runs, _ = nights
    for run in runs[1:]:
        assert str(home) not in (run / "lock.json").read_text()
        assert "from" not in read_json(run / "lock.json")["recipe"]["tokenizer"]
    again = refine_directly(recipe)  # in the copy
    assert Path(again["run"]).name == runs[-1].name
    assert again["stages"]["tokens"]["computed"] == 0


def test_a_card_is_rebuilt_without_the_run_that_trained(nights, tmp_path, monkeypatch):
    runs, _ = nights
    card = shutil.copytree(runs[-1] / "card", tmp_path / "card")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "new"))
    assert rebuild_from_card(card, check=True)["identical"]
    tokenizer = card / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("mill", "moll", 1) + " ")
    with pytest.raises(CardError, match="tokenizer: path is not what the card was made from"):
        rebuild_from_card(card, check=True)


def test_without_a_latest_run_it_is_an_error_before_anything_runs(recipe, home):
    recipe.write_text(recipe.read_text().replace("[tokenizer]\n", FROM))
    for ask in (refine_directly, plan_run):
        with pytest.raises(RecipeError, match=r"tokenizer\.from = .latest.: no run of 'notes' has ended and passed"):
            ask(recipe)
    assert not list(home.glob("runs/*/*"))


def test_a_part_of_a_run_is_no_latest_and_a_lost_file_is_named(recipe, home):
    refine_directly(recipe, "plan")
    recipe.write_text(recipe.read_text().replace("[tokenizer]\n", FROM))
    with pytest.raises(RecipeError, match="no run of 'notes' has ended"):
        refine_directly(recipe)
    recipe.write_text(recipe.read_text().replace(FROM, "[tokenizer]\n"))
    run = Path(refine_directly(recipe)["run"])
    (run / "tokenizer" / "tokenizer.json").unlink()
    recipe.write_text(recipe.read_text().replace("[tokenizer]\n", FROM))
    with pytest.raises(RecipeError, match=r"no .*tokenizer\.json\. Leave the key out"):
        refine_directly(recipe)


def test_questions_plans_and_takedowns_of_such_a_run(nights, first_nights):
    recipe, run = first_nights[0], nights[0][-1]
    assert mix_run(run, ["curriculum.0.until_tokens=500"])["feasible"]
    assert plan_run(recipe)["stages"]["tokenizer"]["reuse"] == 1
    doc_id = next(iter(tokens_of(run)))
    found = takedown(run, [doc_id], other_runs=True)
    assert found["left"] == []
    assert doc_id not in tokens_of(run)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ('from = "first"', "tokenizer.from"),
        ('from_ = "latest"', "tokenizer.from_: unknown key; did you mean 'from'?"),
        ('from = "latest"\npath = "x.json"', "path and from each name a tokenizer"),
    ],
)
def test_mistakes_are_named(recipe, keys, text):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe.read_text().replace("vocab_size = 300", keys))
    assert text in str(caught.value)
    assert load_recipe(recipe).recipe.locked()["tokenizer"].keys() == {
        "path", "vocab_size", "min_frequency", "sample_bytes", "sample", "specials", "chat_template"
    }  # fmt: skip
