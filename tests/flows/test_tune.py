"""``gristmill tune``: from a recipe to a file that ``tuned:`` reads; stopped and taken up again; each mistake once."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from gristmill.cli import app, main
from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe
from gristmill.flows.tune import counted_proxy, proxy_runs
from gristmill.flows.tune.tune_recipe import budget_of, tune_recipe
from gristmill.mixing.named_shares import tuned_shares
from tests.conftest import SMALL

HOUSE = Path(__file__).resolve().parents[2]
TUNE = "[tune]\nruns = 16\ntokens = 6000\nobjective = { forum = 2.0, legal = 1.0, instructions = 1.0 }\n"


@pytest.fixture
def recipe(small_run, small_home, tmp_path, monkeypatch):
    """The small recipe with [tune], in a copy of the small run's home; all of its stages are found again."""
    monkeypatch.chdir(HOUSE)
    shutil.copytree(small_home, tmp_path / "copy")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "copy"))
    path = tmp_path / "tune.toml"
    path.write_text(SMALL + TUNE)
    return path


def test_a_tuning_goes_from_a_recipe_to_a_mixture_that_the_plan_reads(recipe, tmp_path, small_run, capsys):
    out = tmp_path / "mixture.json"
    app(["tune", str(recipe), "--out", str(out), "--json"], result_action="return_value")
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert "tune: 16 proxy runs of 6,000 tokens, preset bigram (10 for the fit, 6 against the prior)" in printed.err
    assert Path(found["run"]).name == small_run.name  # [tune] decides nothing of the corpus
    assert len(found["mixtures"]) == 10
    assert {"fit", "proposal", "comparison", "next_runs", "budget"} <= set(found)
    assert found["comparison"]["pairs"] == 3
    shares = tuned_shares(out, load_recipe(recipe).recipe.sources_by_domain)
    assert shares == found["proposal"]["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)
    assert all(share <= found["caps"][name] + 1e-6 for name, share in shares.items())
    for phase in (found["curriculum"], f'[[curriculum]]\nuntil_tokens = "20K"\nshares = "tuned:{out}"\n'):
        begin, end = SMALL.index("[[curriculum]]"), SMALL.index("[tokenizer]")
        text = SMALL[:begin] + phase + SMALL[end:]
        assert parse_recipe(text).recipe.curriculum[0].until_tokens == 20_000
    assert tomllib.loads(found["curriculum"])["curriculum"][0]["shares"] == pytest.approx(shares, abs=1e-6)


def test_a_stopped_tuning_goes_on_and_ends_with_the_same_answer(recipe, monkeypatch):
    calls = []

    def stops(**arguments):
        calls.append(arguments["task"])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return counted_proxy.count_proxy(**arguments)

    monkeypatch.setattr(proxy_runs, "count_proxy", stops)
    with pytest.raises(KeyboardInterrupt):
        tune_recipe(recipe, workers=1)
    resumed = tune_recipe(recipe, workers=1)
    assert sum(one["reused"] for one in resumed["mixtures"]) == 4
    assert len(calls) == 1 + 16
    again = tune_recipe(recipe, workers=2)
    assert all(one["reused"] for one in again["mixtures"])
    assert len(calls) == 1 + 16
    assert again["proposal"] == resumed["proposal"]
    assert again["comparison"] == resumed["comparison"]


def test_what_it_costs_is_told_without_a_run(recipe, monkeypatch, capsys):
    monkeypatch.setenv("GRISTMILL_HOME", str(recipe.parent / "none"))
    app(["tune", str(recipe), "--dry-run", "--json"], result_action="return_value")
    budget = json.loads(capsys.readouterr().out)["budget"]
    assert (budget["runs"], budget["swarm_runs"], budget["paired_runs"], budget["tokens"]) == (16, 10, 6, 96_000)
    assert 0 < budget["cpu_minutes"] < 1
    assert not (recipe.parent / "none").exists()
    app(["tune", str(recipe), "--dry-run"], result_action="return_value")
    assert "for a run of 20,000 tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("runs = 16", "runs = 15", r"tune\.runs: Input should be greater than or equal to 16"),
        ("runs = 16", 'runs = 16\npreset = "bigrm"', r"tune\.preset: unknown preset 'bigrm'; did you mean 'bigram'"),
        ("runs = 16", 'runs = 16\nprior = "tuned:x.json"', r"tune\.prior: a tuned file is no prior"),
        ("runs = 16", "runs = 16\nprior = { forum = 0.5, wed = 0.5 }", r"tune\.prior\.wed: no source has the domain"),
        ("forum = 2.0", "form = 2.0", r"tune\.objective\.form: no source has the domain 'form'; did you mean 'forum'"),
        ("tokens = 6000", "tokens = 60", r"tune\.tokens: 60 tokens are less than one step"),
        ("tokens = 6000", "tokens = 30000", r"tune\.tokens: a proxy run of 30000 tokens is longer"),
        ("heldout = 0.05", "heldout = 0", r"shards\.heldout: nothing is held out"),
        (TUNE, "", r"the recipe 'small' has no \[tune\]"),
    ],
)
def test_a_mistake_is_one_message_before_anything_runs(old, new, message):
    text = (SMALL + TUNE).replace(old, new)
    assert text != SMALL + TUNE
    with pytest.raises(RecipeError, match=message):
        budget_of(parse_recipe(text).recipe)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[tune]\n",
            "[mixing]\nbudget = 20000\ncaps.max_epochs = 0.01\n[tune]\n",
            r"mixing\.caps: no mixture of 20,000",
        ),
        (
            "[tune]\n",
            "[tune]\nprior = { forum = 0.5, void = 0.5 }\n",
            "domain 'void' has a share, but no row of it is left",
        ),
        ("forum = 2.0", "forum = 2.0, void = 1.0", r"tune\.objective: domain 'void' has too few held-out documents"),
    ],
)
def test_what_is_known_once_rows_are_packed_stops_before_any_proxy(recipe, monkeypatch, capsys, old, new, message):
    monkeypatch.setattr(proxy_runs, "count_proxy", None)  # none is called
    void = recipe.parent / "void.jsonl"
    void.write_text('{"text": "short"}\n')  # [decide] drops it
    source = f'[[sources]]\nname = "void"\npath = "{void}"\ndomain = "void"\nretention_budget = 1.0\n'
    recipe.write_text((SMALL + TUNE).replace("[[sources]]", f"{source}[[sources]]", 1).replace(old, new))
    with pytest.raises(SystemExit):
        main(["tune", str(recipe)])
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"gristmill: .*{message}", last)
