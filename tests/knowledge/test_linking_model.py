"""The prior of a candidate by its definition, and what its weights say of names."""

import math

import numpy as np
import polars as pl
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.knowledge.graph import load_graph, read_tables
from gristmill.knowledge.linking_model import CONTEXT, CONTEXT_WEIGHTS, MIN_SCORE, PRIOR, PRIOR_WEIGHTS, prior_features
from gristmill.knowledge.names import linkable_names
from gristmill.knowledge.stage import Knowledge

ENTITIES = [
    ("a", "Paris", {"description": "capital of France"}),
    ("b", "Paris Hilton", {"type": "person", "aliases": ["Paris", "HILT"]}),
    ("c", "France"),
    ("d", "法国", {"lang": "zh"}),
    ("e", "new wave", {"description": "a wave of france"}),
]
FACTS = [("a", "in", "c"), ("c", "capital", "a"), ("b", "born_in", "c")]


@pytest.fixture
def features(write_graph):
    """{(name, entity): {feature: value}}"""
    folder = write_graph(ENTITIES, FACTS)
    graph = load_graph(folder, min_label_chars=2)
    ids = graph.ids.to_pylist()
    ordinals = pl.DataFrame({"id": ids}).with_row_index("entity")
    names = linkable_names(read_tables(folder)[0].join(ordinals, on="id", how="left", maintain_order="left"), (), 2)
    rows = prior_features(names, graph.degrees)
    keys = [(name, ids[entity]) for name, entity in names.select("name", "entity").rows()]
    return {key: dict(zip(PRIOR, row, strict=True)) for key, row in zip(keys, rows.tolist(), strict=True)}


def test_a_label_weighs_its_share_of_the_triples_of_all_that_bear_it(features):
    city, person = features["Paris", "a"], features["Paris", "b"]
    assert (city["own"], person["own"]) == (1, 0)
    assert (city["degree"], person["degree"]) == pytest.approx((math.log2(3), math.log2(2)))
    assert (city["share"], person["share"]) == pytest.approx((3 / 5, 2 / 5))
    assert (city["person"], person["person"]) == (0, 1)


@pytest.mark.parametrize(
    ("name", "entity", "feature", "value"),
    [
        ("France", "c", "common", 1 / 2),  # of its uses in descriptions one of two is in small letters
        ("Paris", "a", "common", 0),
        ("new wave", "e", "noun", 1),
        ("法国", "d", "length", 2),  # two characters, each as wide as two
        ("Paris Hilton", "b", "length", math.log2(12)),
        ("HILT", "b", "capitals", 1),
        ("France", "c", "capitals", 0),
        ("Hilton", "b", "surname", 1),
        ("Hilton", "b", "own", 0),
        ("Paris", "b", "surname", 0),
        ("法国", "d", "constant", 1),
    ],
)
def test_what_a_name_says_by_itself(features, name, entity, feature, value):
    assert features[name, entity][feature] == pytest.approx(value)


def test_the_graph_holds_the_sum(write_graph, features):
    graph = load_graph(write_graph(ENTITIES, FACTS, "again"), min_label_chars=2)
    sums = [sum(np.array(list(row.values())) * PRIOR_WEIGHTS) for _, row in sorted(features.items())]
    assert sorted(graph.prior.tolist()) == pytest.approx(sorted(sums), abs=1e-5)


def test_each_weight_has_its_feature_and_says_what_it_should():
    prior, context = (dict(zip(*pair, strict=True)) for pair in ((PRIOR, PRIOR_WEIGHTS), (CONTEXT, CONTEXT_WEIGHTS)))
    assert max(prior["common"], prior["noun"], prior["given"]) < 0 < min(prior["own"], prior["share"], prior["degree"])
    against = ("alone", "small", "left", "right", "glued_left", "glued_right", "dated")
    assert max(context[name] for name in against) < 0 < min(context["near"], context["named"], context["left_noun"])


def test_the_bound_is_that_of_the_section_and_a_probability(tmp_path):
    assert Knowledge(graph="g").min_score == MIN_SCORE
    text = (
        'name = "x"\n[[sources]]\nname = "a"\npath = "a.txt"\ndomain = "d"\n[knowledge]\ngraph = "g"\nmin_score = 1.5\n'
    )
    with pytest.raises(RecipeError, match=r"knowledge\.min_score"):
        parse_recipe(text, tmp_path / "recipe.toml")
