"""What plan expects: every stage of the recipe, sizes from the heads of files, rates that runs of a home replace."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.stage import CorpusStage, PartStage
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline import estimate
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.estimate import Rates, calibrate
from gristmill.flows.pipeline.inputs import list_inputs
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.stage_costs import STAGES, StageCost
from gristmill.flows.pipeline.stages import BUILT_IN
from gristmill.flows.pipeline.warming import OTHERS, TINY
from gristmill.flows.pipeline.work_sizes import WorkSizes

TEXT = "Mill grinds its corn by day and by night. " * 50
RECIPE = """
name = "sizes"
seed = 1
[[sources]]
name = "packed"
path = "a.jsonl.gz"
domain = "web"
[[sources]]
name = "table"
path = "a.parquet"
domain = "web"
[decide]
[trainer]
[[curriculum]]
until_tokens = "{tokens}"
shares = {{ web = 1.0 }}
"""


@pytest.fixture
def write(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with gzip.open("a.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": f"{number} {TEXT}"}) + "\n" for number in range(400))
    pq.write_table(pa.table({"text": [f"{number} {TEXT}" for number in range(400)]}), "a.parquet")

    def recipe(tokens: str = "100K") -> Path:
        Path("recipe.toml").write_text(RECIPE.format(tokens=tokens))
        return Path("recipe.toml")

    return recipe


def sizes_of(recipe: Path) -> WorkSizes:
    checked = load_recipe(recipe)
    return WorkSizes(checked.recipe, list_inputs(checked.recipe, checked.stages))


def test_text_is_estimated_from_heads_and_footers(write):
    expected = 2 * 400 * len(TEXT) / 1e6
    assert sizes_of(write()).text_mb == pytest.approx(expected, rel=0.15)


def test_every_stage_has_a_cost_and_every_compiled_one_says_so():
    runnable = {spec.name for spec in BUILT_IN if isinstance(spec, PartStage | CorpusStage)}
    assert runnable == set(STAGES)
    assert {name for name, cost in STAGES.items() if cost.compile} == {*TINY, *OTHERS}


def test_plan_lists_every_stage_of_the_recipe_and_what_it_costs_beside(write, monkeypatch):
    monkeypatch.setattr(estimate, "calibrate", lambda: 1.0)  # the machine is measured anew by each call
    monkeypatch.setattr(estimate, "not_made", lambda calls: [])
    warm = plan_run(write())
    monkeypatch.setattr(estimate, "not_made", lambda calls: list(calls))
    cold = plan_run(write())
    checked = load_recipe(write())
    assert [*cold["stages"]][-2:] == ["train", "card"]
    assert set(cold["stages"]) == {stage.name for stage in checked.stages} - {"edits"}  # no stage finds spans
    assert all(stage["compute"] == stage["parts"] and stage["cpu_seconds"] >= 0 for stage in cold["stages"].values())
    assert warm["beside"]["kernels"] == 0 < cold["beside"]["kernels"]
    total = sum(stage["cpu_seconds"] for stage in cold["stages"].values()) + sum(cold["beside"].values())
    assert cold["cpu_seconds"] == pytest.approx(total, abs=0.5)
    longer = plan_run(write("1M"))["stages"]["train"]["cpu_seconds"]
    assert longer > 3 * cold["stages"]["train"]["cpu_seconds"]


def test_a_run_replaces_the_rates_of_its_stages(write, home, monkeypatch):
    monkeypatch.setattr(estimate, "calibrate", lambda: 1.0)
    refine_directly(write(), "signals")
    found = read_json(home / estimate.RATES_FILE)
    assert {"documents", "signals"} <= set(found["stages"])
    assert "train" not in found["stages"]
    found["stages"]["signals"] = {"fixed": 100.0, "each": 7.0}
    write_json(home / estimate.RATES_FILE, found)
    rates = Rates.of_home(home)
    assert rates.costs["signals"] == StageCost(100.0, 7.0)
    assert rates.costs["train"] == STAGES["train"]
    again = write("200K")
    (home / "store" / "signals").rename(home / "gone")
    assert plan_run(again)["stages"]["signals"]["cpu_seconds"] == pytest.approx(
        100 + 7 * 2 * 400 * len(TEXT) / 1e6, rel=0.1
    )
    write_json(home / estimate.RATES_FILE, {"signals": 0.2})  # as version 0.1.0 wrote it
    assert Rates.of_home(home).costs["signals"] == StageCost(
        *(getattr(STAGES["signals"], n) for n in ("fixed", "each", "compile"))
    )


@pytest.mark.parametrize(
    ("seconds", "work", "expected"),
    [
        (21.0, 10.0, StageCost(1.0, 2.0)),  # work outweighs the fixed part: its rate is set
        (4.0, 0.1, StageCost(3.9, 1.0)),  # and here the fixed part
        (0.0, 10.0, StageCost(1.0, 0.05)),  # never below a twentieth
        (9000.0, 10.0, StageCost(1.0, 20.0)),  # nor above twenty times
    ],
)
def test_what_a_run_measured_sets_the_larger_part(seconds, work, expected):
    found = estimate._learned(StageCost(1.0, 1.0), seconds, work)
    assert (found.fixed, found.each) == pytest.approx((expected.fixed, expected.each))


def test_the_machine_is_compared_with_the_tables():
    assert 0.1 <= calibrate() <= 10
