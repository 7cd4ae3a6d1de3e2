"""``gristmill tune``: from a recipe to a file that ``tuned:`` reads; stopped and taken up again; each mistake once."""

import json
import re
import shutil
import tomllib
from html import escape
from pathlib import Path

import numpy as np
import pytest

from gristmill.cli import app, main
from gristmill.corpus.errors import DamagedFileError, RecipeError
from gristmill.flows.gc.collect import collect
from gristmill.flows.gc.kept_runs import Retention
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.home_contents import TUNED
from gristmill.flows.pipeline.open_context import open_checked
from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe
from gristmill.flows.tune import proxy_runs
from gristmill.flows.tune.counted_proxy import count_proxy, draw
from gristmill.flows.tune.proxy_folder import target_slices, write_proxy_folder
from gristmill.flows.tune.proxy_runs import ProxyCorpus
from gristmill.flows.tune.proxy_task import ProxyTask
from gristmill.flows.tune.search_space import search_space
from gristmill.flows.tune.trained_proxy import train_proxy
from gristmill.flows.tune.tune_recipe import budget_of, paired_runs, tune_recipe
from gristmill.handoff.reader import ShardReader
from gristmill.mixing.named_shares import tuned_shares
from gristmill.mixing.signal_basis import Basis
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
    assert [one for one in verify_run(Path(found["run"]))["checks"] if not one["ok"]] == []
    assert len(found["mixtures"]) == 10
    assert {"fit", "proposal", "comparison", "next_runs", "budget"} <= set(found)
    assert found["comparison"]["pairs"] == 3
    page = (Path(found["run"]) / "tune" / "report.html").read_text()
    assert found["page"].endswith("tune/report.html")
    assert escape(found["comparison"]["sentence"][1:]) in page
    assert all(f"{share:.6f}" in page for share in found["proposal"]["shares"].values())
    basis = Basis.load(Path(found["run"]) / "tune" / "basis.json")
    assert found["basis"] == basis.digest
    assert all(len(one["consumed"]) == basis.cells for one in found["mixtures"])
    assert all(sum(one["consumed"]) == pytest.approx(1) for one in found["mixtures"])
    assert found["mixtures"][0]["consumed"] != found["mixtures"][1]["consumed"]
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
        return count_proxy(**arguments)

    monkeypatch.setattr(proxy_runs, "count_proxy", stops)
    with pytest.raises(KeyboardInterrupt):
        tune_recipe(recipe, workers=1)
    assert collect(Retention())["entries_removed"] == {}  # a tuning that was stopped goes on
    resumed = tune_recipe(recipe, workers=1)
    assert sum(one["reused"] for one in resumed["mixtures"]) == 4
    assert len(calls) == 1 + 16
    assert collect(Retention())["entries_removed"] == {}
    again = tune_recipe(recipe, workers=2)
    assert all(one["reused"] for one in again["mixtures"])
    assert len(calls) == 1 + 16
    entries = Path(again["run"]) / TUNED
    whole = entries.read_text()
    for lose, how in ((lambda: entries.write_text("{"), "damaged"), (entries.unlink, "missing")):
        lose()
        with pytest.raises(DamagedFileError, match=rf"{TUNED} is {how}.+; `gristmill tune`"):
            collect(Retention(), dry_run=True)
    mended = tune_recipe(recipe, workers=2)
    assert mended["notices"][0].startswith(f"{TUNED}: ")
    assert entries.read_text() == whole
    entries.write_text("[]")  # planted: what names them is gone
    gone = collect(Retention(), dry_run=True)["entries_removed"]
    assert (gone["proxies"], gone["row-signals"]) == (16, len(load_recipe(recipe).recipe.domains))
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


@pytest.fixture
def folders(small_run):
    """Shards and held-out rows of the small run by domain, and its tokenizer: what a proxy run reads."""
    shards, heldout = (
        {one.name: one for one in sorted((small_run / name).iterdir())} for name in ("shards", "heldout")
    )
    return {"shards": shards, "heldout": heldout, "tokenizer": small_run / "tokenizer" / "tokenizer.json"}


def task(preset: str, seed: int = 5, **shares: float) -> ProxyTask:
    return ProxyTask(shares or {"forum": 0.5, "legal": 0.5}, 2000, 20_000, preset, seed)


@pytest.mark.parametrize(("preset", "run"), [("bigram", count_proxy), ("moe-tiny", train_proxy)])
def test_a_proxy_is_a_function_of_its_task_and_a_domain_helps_itself(folders, tmp_path, preset, run):
    found = []
    for number, one in enumerate([task(preset), task(preset), task(preset, 6, legal=1.0)]):
        (tmp_path / str(number)).mkdir()
        found.append(run(folder=tmp_path / str(number), **folders, task=one))
    assert found[0] == found[1]
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["task.json"]
    facts = found[0].facts
    assert set(facts["epochs"]) == {"forum", "legal"}
    alone, both = (one.facts["fit"]["legal"]["bits_per_byte"] for one in (found[2], found[0]))
    assert alone < both
    assert all(0 < one["bits_per_byte"] < 12 for one in facts["check"].values() if one["documents"])


def test_a_proxy_folder_trains_on_the_drawn_rows_as_often_as_they_are_drawn(folders, tmp_path):
    one = task("moe-tiny", forum=0.7, legal=0.3)
    drawn = draw(folders["shards"], one)
    plan = write_proxy_folder(tmp_path, folders["shards"], drawn, 1)
    where = plan.locate(0, plan.samples)
    for number, name in enumerate(plan.names):
        times = np.bincount(where.row[where.domain == number], minlength=len(drawn[name].rows))
        assert abs(times.sum() - drawn[name].times.sum()) <= 1  # as near as a plan comes
        assert np.ptp(times) <= 1
        full, copied = ShardReader(folders["shards"][name]), ShardReader(tmp_path / "shards" / name)
        assert (copied.tokens(np.arange(copied.rows)) == full.tokens(drawn[name].rows)).all()
    masked = np.random.default_rng(0).random((5, 9)) < 0.5
    again = np.zeros_like(masked)
    for row, slices in enumerate(target_slices(masked)):
        for at in slices:
            again[row, at["start"] : at["start"] + at["length"]] = True
    assert (again == masked).all()


def test_equal_proxies_are_run_once(recipe):
    """The proposal may be the prior itself: two threads would fill one store entry."""
    with open_checked(load_recipe(recipe), engine={"workers": 2}) as context:
        corpus = ProxyCorpus.of(context)
        space = search_space(context.recipe, corpus.packed(context), corpus.heldout_folders(context))
        first, second = paired_runs(context, corpus, space, [space.prior, space.prior], 2)
    assert (first == second).all()
    assert first[0] != first[1]
