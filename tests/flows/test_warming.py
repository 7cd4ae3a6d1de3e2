"""Compiling ahead: which calls a recipe needs, and that each mills its tiny documents."""

import json

import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline import warming
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.pipeline.warming import BESIDE, WHOLE, calls_of, mill_tiny, warm_up

SHORT = """
name = "mine"
seed = 1
[[sources]]
name = "web"
path = "*.txt"
domain = "web"
"""


def asked(sections: str) -> list[tuple[str, ...]]:
    """Stages of each call, those beside apart."""
    calls = calls_of(parse_recipe(SHORT + sections).recipe)
    assert tuple(calls[-len(BESIDE) :]) == tuple(call for _, call in BESIDE)
    return [call.arguments[1:] for call in calls[: -len(BESIDE)]]


def test_only_stages_of_the_recipe_are_asked_for():
    assert asked("") == [WHOLE]
    assert asked('[language]\n[pii]\nemail = "mask"\n') == [WHOLE, ("language",), ("pii",)]


def test_a_model_that_is_fitted_comes_before_its_stage(tmp_path):
    (tmp_path / "good.txt").write_text("good")
    found = asked(f'[[references]]\nname = "prose"\ntexts = ["{tmp_path}/good.txt"]\n')
    assert found == [WHOLE, ("reference-model-prose", "reference-prose")]


def test_a_call_depends_on_nothing_that_compiles_nothing():
    calls = [
        calls_of(parse_recipe(SHORT.replace("mine", name) + more).recipe)
        for name, more in (("mine", ""), ("yours", "[tokenizer]\nvocab_size = 300\n[decide]\nprofiles = ['length']"))
    ]
    assert calls[0] == calls[1]


@pytest.mark.parametrize("names", [WHOLE, ("pii",)], ids=["whole", "part"])
def test_tiny_documents_are_milled_and_leave_nothing(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRISTMILL_HOME", "as it was")
    mill_tiny(json.dumps({"pii": {"email": "mask"}, "dedup": {"lines": {}, "substrings": {}}}), *names)
    assert warming.os.environ["GRISTMILL_HOME"] == "as it was"
    assert not list(tmp_path.iterdir())


def test_mistakes_of_the_recipe_come_first(tmp_path):
    (tmp_path / "recipe.toml").write_text(SHORT + "[nonsense]\n")
    with pytest.raises(RecipeError, match="nonsense"):
        warm_up(tmp_path / "recipe.toml", lambda text: None)


def test_the_stages_that_were_compiled_are_named(monkeypatch):
    monkeypatch.setattr(warming, "warm", lambda calls, say, workers: calls)
    assert warm_up(None, lambda text: None)[-2:] == ["tokens", "plan"]
    assert "pii" in warm_up(None, lambda text: None)
