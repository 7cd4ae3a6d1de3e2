"""The recipe: every mistake at once, with path, line and nearest key; amounts; the lock."""

import json
from pathlib import Path

import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.recipe_file import read_recipe
from gristmill.corpus.recipe_lines import find_line
from gristmill.corpus.recipe_values import parse_amount
from gristmill.flows.pipeline import recipe_reading
from gristmill.flows.pipeline.assemble import phases_of
from gristmill.flows.pipeline.inputs import list_artefacts
from gristmill.flows.pipeline.recipe_reading import load_recipe

GOOD = """
name = "small"
seed = 1
[[sources]]
name = "web"
path = "a.jsonl"
domain = "web"
[[sources]]
name = "math"
path = ["b.jsonl", "c.jsonl"]
domain = "math"
[[curriculum]]
until_tokens = "2K"
shares = { web = 0.75, math = 0.25 }
"""


def parse_recipe(text: str, name: str = "recipe"):
    return recipe_reading.parse_recipe(text, name).recipe


def message(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "small.toml")
    return str(caught.value)


def test_a_good_recipe_is_read_and_frozen():
    recipe = parse_recipe(GOOD)
    assert recipe.domains == ("math", "web")
    assert recipe.sources[1].paths == ("b.jsonl", "c.jsonl")
    assert recipe.curriculum[0].until_tokens == 2000
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"


def test_a_byte_order_mark_before_a_recipe_is_no_part_of_it(tmp_path):
    (tmp_path / "r.toml").write_text("\ufeffname = 'x'")
    assert read_recipe(tmp_path / "r.toml") == "name = 'x'"


def test_all_mistakes_are_told_at_once():
    text = """
name = "a b"
sed = 1
[[sources]]
name = "web"
path = "x"
domain = "web"
frmat = "warc"
[dedup.near]
thresold = 0.8
[[curriculum]]
until_tokens = "4Q"
shares = { web = 1.1 }
[trainer]

[trainer.model]
top_k = 9
"""
    told = message(text)
    assert told.startswith("small.toml: 8 mistakes")
    assert "sed: unknown key; did you mean 'seed'? (line 3)" in told
    assert "seed: this key is required" in told
    assert "sources.0.frmat: unknown key; did you mean 'format'? (line 8)" in told
    assert "dedup.near.thresold: unknown key; did you mean 'threshold'? (line 10)" in told
    assert "curriculum.0.until_tokens: '4Q' is no amount" in told
    assert "curriculum.0.shares.web" in told
    assert "trainer.model.top_k: top_k is 9, expected 1 to 8" in told


def test_keys_of_the_flat_trainer_say_what_they_are_called_now():
    flat = {"layers": 2, "top_k": 1, "z_loss": 0.1, "balance_rate": 0.1, "balance": '"switch"'}
    text = GOOD + "[trainer]\n" + "".join(f"{key} = {value}\n" for key, value in flat.items())
    told = message(text)
    assert "trainer.layers: this key is now layers in [trainer.model]" in told
    assert "trainer.z_loss: this key is now z in [trainer.balance]" in told
    assert "trainer.balance: this is a table now: [trainer.balance] with switch = 0.01" in told
    assert all(f"trainer.{key}: this " in told for key in flat)
    stored = recipe_reading.stored_recipe(text, "old").trainer
    assert (stored.model.layers, stored.balance) == (2, {"switch": 0.1, "z": 0.1})
    new = GOOD + "[trainer.model]\nlayers = 2\n[trainer.balance]\ngate = 1\n"
    assert recipe_reading.stored_recipe(new, "new").trainer == parse_recipe(new).trainer


def test_shares_that_sum_to_more_than_one_are_a_mistake():
    told = message(GOOD.replace("math = 0.25", "math = 0.35"))
    assert "curriculum.0.shares: shares sum to 1.1, not 1 (line 14)" in told


def test_a_share_of_a_domain_that_no_source_has():
    told = message(GOOD.replace("math = 0.25", "maths = 0.25"))
    assert "no source has the domain 'maths'; did you mean 'math'?" in told


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "math"', 'name = "web"', "'web' is the name of two sources"),
        ("seed = 1", "seed = -1", "seed: Input should be greater than or equal to 0"),
        ("[[curriculum]]", "[decide.domains.mth]\n[[curriculum]]", "no source has the domain 'mth'"),
        ("[[curriculum]]", "[dedup.near]\nbands = 3\n[[curriculum]]", "bands and rows are given together"),
        ("[[curriculum]]", "[dedup.near]\nbands = 99\nrows = 2\n[[curriculum]]", "need more than 128 hashes"),
        ("[[curriculum]]", "[trainer.model]\nwidth = 64\nheads = 3\n[[curriculum]]", "heads is 3"),
        ("{ web = 0.75, math = 0.25 }", '"unimix"', "curriculum.0.shares: no shares are called 'unimix'"),
        ("{ web = 0.75, math = 0.25 }", '"temperature:x"', "curriculum.0.shares: 'x' is no temperature above 0"),
        ("{ web = 0.75, math = 0.25 }", '"tuned:no.json"', "curriculum.0.shares: cannot read the mixture in no.json"),
        ("{ web = 0.75, math = 0.25 }", "7", "curriculum.0.shares: Input should be a valid dictionary"),
        ("[[curriculum]]", '[mixing]\nbudget = "3K"\n[[curriculum]]', "ends after 2000 of mixing.budget = 3000"),
    ],
)
def test_rules_between_keys(old, new, expected):
    assert expected in message(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("section", "mistake"),
    [
        ('rules = ["c5"]', "line_edits.rules.0: Input should be 'c4' or 'refinedweb@dclm'"),
        ("rules = []", "line_edits.rules: Tuple should have at least 1 item"),
        ('domains = ["web"]', "line_edits.rules: this key is required"),
        (
            'rules = ["c4"]\ndomains = ["wed"]',
            "line_edits.domains: no source has the domain 'wed'; did you mean 'web'?",
        ),
    ],
)
def test_mistakes_in_line_edits_name_the_key(section, mistake):
    assert mistake in message(f"{GOOD}[line_edits]\n{section}\n")


def test_line_edits_are_part_of_the_lock():
    recipe = parse_recipe(f'{GOOD}[line_edits]\nrules = ["c4"]\ndomains = ["web"]\n')
    assert recipe.locked()["line_edits"] == {"rules": ["c4"], "domains": ["web"]}


def test_a_tuned_mixture_is_of_this_corpus_and_stands_in_the_lock(tmp_path):
    file, corpus = tmp_path / "tuned.json", {"web": ["web"], "math": ["math"]}
    text = GOOD.replace("{ web = 0.75, math = 0.25 }", f'"tuned:{file}"')
    file.write_text(json.dumps({"format": "gristmill-mixture-1", "corpus": {}, "shares": {"web": 1}}))
    assert "was tuned on another corpus: domain 'math'" in message(text)
    assert "(line 14)" in message(text)
    file.write_text(json.dumps({"format": "gristmill-mixture-1", "corpus": corpus, "shares": {"web": 1}}))
    checked = recipe_reading.parse_recipe(text, "recipe")
    assert list_artefacts(checked.stages)["plan"]["tuned"].digest == file_sha256(file)
    assert checked.recipe.locked()["curriculum"][0]["shares"] == f"tuned:{file}"
    assert phases_of(checked.recipe)[0].shares == {"web": 1}
    assert checked.recipe.curriculum[0].may_draw("math")
    assert (
        not parse_recipe(GOOD.replace("math = 0.25", "math = 0.0").replace("0.75", "1.0"))
        .curriculum[0]
        .may_draw("math")
    )


def test_phases_must_come_one_after_the_other():
    told = message(GOOD + '[[curriculum]]\nuntil_tokens = "2K"\nshares = { web = 1.0 }\n')
    assert "curriculum.1.until_tokens: 2000 does not come after 2000" in told


def test_no_sources_at_all():
    assert "sources: Tuple should have at least 1 item" in message('name = "a"\nseed = 1\nsources = []')


def test_text_that_is_not_toml():
    assert "small.toml is not TOML" in message("name = ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*nowhere\.toml"):
        load_recipe(tmp_path / "nowhere.toml")


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "r.toml")


def test_engine_store_and_schedule_are_not_locked():
    extra = '[engine]\nworkers = 3\n[store]\npath = "s3://b"\n[schedule]\ncron = "* * * * *"\n'
    assert parse_recipe(GOOD + extra).locked() == parse_recipe(GOOD).locked()


def test_the_seed_is_locked():
    assert parse_recipe(GOOD.replace("seed = 1", "seed = 2")).locked() != parse_recipe(GOOD).locked()


@pytest.mark.parametrize(
    ("text", "amount"), [("4M", 4_000_000), ("1.5k", 1500), ("2B", 2 * 10**9), ("1_000", 1000), (7, 7)]
)
def test_amounts(text, amount):
    assert parse_amount(text) == amount


def test_lines_of_inline_and_nested_keys():
    text = "a = 1\n[b.c]\nd = 2\n[[e]]\nf = 1\n[[e]]\nf = 2\n"
    assert find_line(text, ["b", "c", "d"]) == 3
    assert find_line(text, ["e", 1, "f"]) == 7
    assert find_line(text, ["e", 1, "missing"]) == 6
    assert find_line(text, ["nothing"]) == 0


@pytest.mark.parametrize("path", sorted(Path("recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    assert load_recipe(path).recipe.sources


@pytest.mark.parametrize("value", ['"', "\\n", "::", "", "§"])
def test_what_cannot_stand_between_fields(value):
    written = "'\"'" if value == '"' else f'"{value}"'
    assert "sources.0.delimiter" in message(GOOD.replace('path = "a.jsonl"', f'path = "a.csv"\ndelimiter = {written}'))
