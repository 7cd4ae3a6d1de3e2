"""[tokenizer.compare] in a run: figures of the card beside the run's own, digests in lock and card, rows untouched."""

import json
from pathlib import Path

import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import file_sha256
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from tests.tokenizer.own_tokenizers import FAMILIES

RECIPE = """
name = "beside"
seed = 3
[[sources]]
name = "web"
path = "{folder}/web.jsonl"
domain = "web"
[decide]
profiles = []
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
heldout = 0.2
"""
COMPARE = '[tokenizer.compare]\nfiles = { bert = "FOLDER/bert.json", t5 = "FOLDER/t5.json" }\n'
TEXTS = {"en": "The dog sleeps and the fox runs", "de": "Der Hund schläft und der Fuchs läuft"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    rows = [{"text": f"{text} {n}.", "lang": lang} for n in range(30) for lang, text in TEXTS.items()]
    (folder / "web.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, family in (("bert", "word_piece"), ("t5", "unigram")):
        FAMILIES[family]().save(str(folder / f"{name}.json"))
    plain = RECIPE.format(folder=folder)
    (folder / "plain.toml").write_text(plain)
    (folder / "beside.toml").write_text(plain + COMPARE.replace("FOLDER", str(folder)))
    return folder


@pytest.fixture(scope="module")
def home(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield


@pytest.fixture(scope="module")
def run(folder, home):
    return Path(refine_directly(folder / "beside.toml")["run"])


def test_the_card_has_their_figures_beside_the_runs_own(folder, run):
    own, bert, t5 = json.loads((run / "card" / "card.json").read_text())["tokenizer"]["compared"]
    assert [one["name"] for one in (own, bert, t5)] == ["", "bert", "t5"]
    assert own["sha256"] == file_sha256(run / "tokenizer" / "tokenizer.json")
    assert bert["sha256"] == file_sha256(folder / "bert.json")
    for one in (own, bert, t5):
        assert [(text["lang"], text["documents"]) for text in one["texts"]] == [("de", 30), ("en", 30)]
        assert {(text["bytes"], text["words"]) for text in one["texts"]} == {(1040, 240), (1250, 240)}
        assert one["unused"] == one["unused_by_domain"]["web"] < min(one["unused_by_language"].values())
    page = (run / "card" / "README.md").read_text()
    tokens = sum(text["tokens"] for text in bert["texts"])
    assert f"| all | bert | {2290 / tokens:.2f} | {tokens / 480:.2f} | {bert['unused']} |" in page
    assert f"| bert | {bert['vocab_size']} | 60 | {bert['sha256']} |" in page  # no capital comes back
    assert verify_run(run)["ok"]


def test_they_change_no_row_and_their_files_stand_in_the_lock(folder, run):
    plain = refine_directly(folder / "plain.toml")
    assert not sum(stage["computed"] for name, stage in plain["stages"].items() if name != "card")
    card = json.loads((Path(plain["run"]) / "card" / "card.json").read_text())
    assert card["tokenizer"]["compared"] == []
    assert "Tokenizers compared" not in (Path(plain["run"]) / "card" / "README.md").read_text()
    locks = [json.loads((one / "lock.json").read_text()) for one in (run, Path(plain["run"]))]
    assert file_sha256(folder / "t5.json") in json.dumps(locks[0])
    assert "compare" not in json.dumps(locks[1]["recipe"]["tokenizer"])
    assert run != Path(plain["run"])


def test_another_file_under_the_same_name_is_counted_anew(folder, run, home):
    FAMILIES["word_level"]().save(str(folder / "t5.json"))
    stages = refine_directly(folder / "beside.toml", until="tokenizer-comparison")["stages"]
    assert stages["tokenizer-comparison"]["computed"] == 1, "the others were counted before"
    assert (stages["tokenizer-comparison"]["reused"], stages["tokenizer"]["computed"]) == (2, 0)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ('{ bert = "gone.json" }', r"tokenizer\.compare.*no file at gone\.json"),
        ('{ "a b" = "gone.json" }', r"tokenizer\.compare\.files.*a b"),
        ("{}", r"tokenizer\.compare\.files"),
        ('{ plain = "FOLDER/plain.toml" }', r"tokenizer\.compare\.files\.plain: .*plain\.toml"),
    ],
)
def test_mistakes_name_their_key(folder, files, told):
    text = f"{RECIPE.format(folder=folder)}[tokenizer.compare]\nfiles = {files.replace('FOLDER', str(folder))}\n"
    with pytest.raises(RecipeError, match=told):
        parse_recipe(text, folder=folder)
