"""A recipe that moves middles to the end, from files to rows and card, and mistakes in its section."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.fill_in_middle import original_order
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.tokenizer.own_tokenizers import FAMILIES

RECIPE = """
name = "gaps"
seed = 3
[[sources]]
name = "code"
path = "{folder}/code.jsonl"
domain = "code"
[[sources]]
name = "notes"
path = "{folder}/notes.jsonl"
domain = "notes"
[decide]
profiles = []
[tokenizer]
vocab_size = 300
[fill_in_middle]
rates = {{ code = 0.5 }}
[shards]
row_tokens = 64
heldout = 0.2
"""
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def lines(seed, count):
    draw = np.random.default_rng(seed)
    texts = (" ".join(draw.choice(WORDS, 12)) + f" é語 {seed} {number}" for number in range(count))
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gaps")
    for seed, name in enumerate(("code", "notes")):
        (folder / f"{name}.jsonl").write_text(lines(seed, 120))
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    return folder


@pytest.fixture(scope="module")
def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml")["run"])


def documents(run, stage, domain):
    """Tokens of every document of a domain, put together from its rows."""
    reader, found = ShardReader(run / stage / domain), {}
    rows = np.arange(reader.rows)
    for tokens, listed in zip(reader.tokens(rows), reader.documents(rows), strict=True):
        for one in listed:
            piece = tokens[one["start"] : one["start"] + one["length"]].tolist()
            found.setdefault(one["doc_id"], {})[one["offset"]] = piece
    return {name: [token for _, piece in sorted(pieces.items()) for token in piece] for name, pieces in found.items()}


def test_rows_hold_every_text_and_the_marks_of_half_of_the_code(folder, run):
    text = TextTokenizer(run / "tokenizer" / "tokenizer.json")
    marks = [text.control[f"<|fim_{name}|>"] for name in ("prefix", "suffix", "middle")]
    for domain in ("code", "notes"):
        rows = [*documents(run, "shards", domain).values(), *documents(run, "heldout", domain).values()]
        back = {text.decode(original_order(ids[:-1], marks)) for ids in rows}
        assert back == {json.loads(line)["text"] for line in (folder / f"{domain}.jsonl").read_text().splitlines()}
    moved = [marks[0] in ids for ids in documents(run, "shards", "code").values()]
    assert 0.3 < np.mean(moved) < 0.7
    assert not any(marks[0] in ids for ids in documents(run, "heldout", "code").values())
    assert not any(marks[0] in ids for ids in documents(run, "shards", "notes").values())
    assert f"{sum(moved)} of code" in (run / "card" / "README.md").read_text()
    assert verify_run(run)["ok"]


def test_another_rate_encodes_again_and_no_section_is_as_before(folder, run, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(folder / "home"))
    text = (folder / "recipe.toml").read_text()
    (folder / "other.toml").write_text(text.replace("code = 0.5 }", "code = 1 }"))
    other = refine_directly(folder / "other.toml", until="tokens")
    assert other["stages"]["tokens"]["computed"] == 2
    assert other["stages"]["tokenizer"]["reused"] == 1, "the same marks, so the same tokenizer"
    parts = (folder / "home" / "store" / "tokens").glob("*/tokens.parquet")
    assert {pq.read_schema(part).names[-1] for part in parts} == {"tokens"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("code = 0.5", "cod = 0.5", r"fill_in_middle\.rates\.cod: no source has the domain 'cod'; did you mean 'code'"),
        ("code = 0.5", "code = 1.5", r"fill_in_middle\.rates\.code: .* less than or equal to 1"),
        ("rates = { code = 0.5 }", "", r"fill_in_middle\.rates: this key is required"),
        (
            "[shards]",
            'prefix = "<|fim_suffix|>"\n[shards]',
            r"fill_in_middle\.prefix: .*three tokens of different names",
        ),
    ],
)
def test_mistakes_name_their_key(folder, old, new, told):
    text = (folder / "recipe.toml").read_text()
    with pytest.raises(RecipeError, match=told):
        parse_recipe(text.replace(old, new), folder=folder)


def test_a_tokenizer_of_ones_own_must_have_the_marks(folder):
    FAMILIES["byte_level"]().save(str(folder / "own.json"))
    text = (folder / "recipe.toml").read_text()
    own = f'path = "{folder}/own.json"\nspecials.end = "</s>"\n'
    with pytest.raises(RecipeError, match=r"has no token '<\|fim_prefix\|>'"):
        parse_recipe(text.replace("vocab_size = 300\n", own), folder=folder)
