"""[knowledge.domains] and [knowledge.quotas]: what becomes of a kept document by the types that it names."""

import json
from pathlib import Path

import polars as pl
import pytest

from gristmill.corpus.errors import RecipeError, SourceError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.mix import mix_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.pipeline.run_summary import notices
from gristmill.knowledge.stage import Knowledge, expect_types, linking_options
from gristmill.show_questions import show_mix

from .conftest import written_graph

TEXTS = {
    "plant": "We saw the Great Oak, the Great Oak of old. " * 8,
    "city": "They went to Old Harbour, and from Old Harbour home. " * 8,
    "none": "Nothing of that kind is named in this text, which goes on for a while. " * 6,
}
RECIPE = """
name = "kinds"
seed = 1
[[sources]]
name = "texts"
path = "texts.jsonl"
domain = "web"
[knowledge]
graph = "graph"
[knowledge.domains]
nature = ["Q10884", "Q729"]
stone = ["Q11"]
[decide]
profiles = ["length"]
[decide.domains.web]
rules.words.at_least = 20
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
heldout = 0
"""


@pytest.fixture
def corpus(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    entities = [("a", "Great Oak", {"type": "Q10884"}), ("b", "Old Harbour", {"type": "Q515"})]
    entities += [("c", "Grey Wolf", {"type": "Q729"}), ("d", "Stony Hill", {"type": "Q11"})]
    written_graph(tmp_path / "graph", entities)
    lines = [json.dumps({"id": name, "text": text}) for name, text in TEXTS.items()]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def test_the_main_type_moves_a_kept_document_and_reaches_the_shards(corpus):
    run = refine_directly(corpus, until="shards")["run"]
    kept = pl.read_parquet(f"{run}/../../../store/decide/*/kept.parquet").sort("row")
    assert kept["domain"].to_list() == ["nature", "web", "web"]  # a type of no domain, and no type: as they were
    ledger = pl.read_parquet(f"{run}/../../../store/decide/*/ledger.parquet")
    assert set(ledger["domain"]) == {"web"}  # rules went by the source's domain
    assert sorted(path.name for path in (corpus.parent / "home").glob("runs/kinds/*/shards/*")) == [
        "nature",
        "stone",
        "web",
    ]


def test_other_domains_and_quotas_link_no_text_again(corpus):
    plain, named = (Knowledge(graph="graph", domains=domains) for domains in ({}, {"nature": ("Q729",)}))
    asked = Knowledge(graph="graph", quotas={"Q729": 9}, quota_factor=2)
    assert linking_options(plain, 1) == linking_options(named, 2) == linking_options(asked, 1) == plain


def test_a_document_of_a_type_under_its_quota_weighs_more_and_what_is_not_reached_is_told(corpus):
    """A plant, a city and a text of neither in one domain; no document names a wolf."""
    quotas = '[knowledge.quotas]\nQ10884 = 2\nQ729 = 1\n[knowledge.domains]\nstone = ["Q11"]\n'
    head, tail = RECIPE.split("[knowledge.domains]")
    corpus.write_text(head + quotas + tail[tail.index("[decide]") :])
    run = RunDir.open(Path(refine_directly(corpus, until="shards")["run"]))
    kept = pl.read_parquet(corpus.parent / "home" / "store" / "decide" / "*" / "kept.parquet").sort("row")
    weight = kept["weight"].to_list()
    assert weight[0] == pytest.approx(2, rel=2e-3)
    assert weight[1] == weight[2] < 1
    told = " ".join(notices(run))
    assert "Q729 0.0 of 1 (0 documents name it)" in told
    assert "Q10884" not in told
    (part,) = run.manifest("decide").parts
    assert part.facts["quotas"]["Q10884"] | {"drawn": 2} == {
        "asked": 2, "documents": 1, "before": 1.0, "drawn": 2, "reached": True
    }  # fmt: skip


def test_mix_shows_how_far_the_curriculum_comes_with_the_quotas(corpus, capsys):
    """The plant's weight is 2: twice the epochs of its domain, and a city that no quota raises."""
    quotas = "[knowledge.quotas]\nQ10884 = 2\nQ729 = 1\nQ515 = 1\n"
    curriculum = '[[curriculum]]\nuntil_tokens = "1500"\nshares = { web = 1.0 }\n'
    head, tail = RECIPE.split("[knowledge.domains]")
    corpus.write_text(
        f'{head}{quotas}[knowledge.domains]\nstone = ["Q11"]\n{tail[tail.index("[decide]") :]}{curriculum}'
    )
    run = Path(refine_directly(corpus, until="shards")["run"])
    found = mix_run(run)
    (epochs,) = (one["epochs"] for one in found["domains"] if one["domain"] == "web")
    weight = pl.read_parquet(corpus.parent / "home" / "store" / "decide" / "*" / "kept.parquet").sort("row")["weight"]
    drawn = {one["type"]: one["drawn"] for one in found["quotas"]}
    assert drawn == pytest.approx({"Q10884": weight[0] * epochs, "Q729": 0, "Q515": weight[1] * epochs})
    assert {one["type"]: one["reached"] for one in found["quotas"]} == {"Q10884": True, "Q729": False, "Q515": True}
    assert not mix_run(run, ["curriculum.0.until_tokens=64"])["quotas"][0]["reached"]
    show_mix(found)
    assert "Q10884" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ('stone = ["Q11"]', 'stone = ["Q729"]', r"type 'Q729' belongs to the domain 'nature' already"),
        ('stone = ["Q11"]', "stone = []", r"knowledge\.domains\.stone.*names no type"),
        ("[decide.domains.web]", "[decide.domains.nature]", r"no source has the domain 'nature'"),
    ],
)
def test_a_mistake_is_reported_with_the_recipe(corpus, written, instead, told):
    with pytest.raises(RecipeError, match=told):
        parse_recipe(RECIPE.replace(written, instead), corpus)


def test_a_curriculum_may_draw_what_types_give(corpus):
    phase = '[[curriculum]]\nuntil_tokens = "1K"\nshares = { nature = 0.5, web = 0.5 }\n'
    recipe = parse_recipe(RECIPE + phase, corpus).recipe
    assert (recipe.domains, recipe.source_domains) == (("nature", "stone", "web"), ("web",))


def test_a_type_that_the_graph_lacks_is_reported_before_any_stage(corpus):
    with pytest.raises(SourceError, match=r"knowledge\.domains\.nature: no entity of the graph has the type 'Q7290'"):
        expect_types(Knowledge(graph="graph", domains={"nature": ("Q7290",)}))
    with pytest.raises(SourceError, match=r"knowledge\.quotas: no entity of the graph has the type 'Q72'"):
        expect_types(Knowledge(graph="graph", quotas={"Q72": 3}))
