"""A domain that is drawn in an order and with weights, from recipe to training and takedown; mistakes in the recipe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import Card
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.mix import mix_run
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.verify_replay import Replay
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.takedown.removal import takedown
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.show_questions import show_mix

ORDER = """
[mixing.order.notes]
by = "digit_share"
buckets = 3
pace = "root"
[mixing.upsample.notes]
by = "upper_share"
curve = [[0, 0.5], [50, 0.5], [50.1, 1.5]]
[mixing]
window_rows = 4
[trainer]
layers = 1
width = 16
heads = 2
experts = 2
expert_width = 16
batch_rows = 8
threads = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, write_notes):
    """A trained run in an order."""
    folder = tmp_path_factory.mktemp("ordered")
    recipe = write_notes(folder, {}, ORDER)
    recipe.write_text(recipe.read_text().replace('"1K"', '"6K"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        return Path(refine_directly(recipe)["run"])


def test_rows_are_drawn_as_the_recipe_says(run):
    plan = Plan.load(run / "plan")
    domain, _, row = plan.locate(0, 50)
    assert plan.window_rows == 4
    index = ShardReader(run / "shards" / "notes").index
    bounds = np.cumsum([0, *(one["rows"] for one in index["buckets"])])
    group = np.array([one["group"] for one in index["buckets"]])[np.searchsorted(bounds, row, side="right") - 1]
    opens = [one["opens"] for one in mix_run(run)["domains"][0]["buckets"]]
    for number, share in enumerate(opens):
        assert not (group[: int(share * index["rows"])] == number).any()
    assert (domain == 0).all()
    weights = {one["weight"] for one in index["buckets"]}
    assert max(weights) / min(weights) == pytest.approx(3, rel=0.2)
    kept = pq.read_table(run.parents[2] / "store" / "decide" / key_of(run, "decide") / "kept.parquet")
    assert max(kept["weight"].to_pylist()) > 1 > min(kept["weight"].to_pylist())
    assert pa.types.is_float32(kept["weight"].type)


def key_of(run, stage):
    return RunDir.open(run).manifest(stage).parts[0].key


def test_training_is_what_the_plan_says_and_the_card_says_it(run, capsys):
    result = verify_run(run, Replay(seed=1))
    assert result["ok"], [one for one in result["checks"] if not one["ok"]]
    assert any(one["name"] == "plan buckets notes" for one in result["checks"])
    order = Card.from_json(json.loads((run / "card" / "card.json").read_text())).mixture.orders["notes"]
    assert (order.by, order.pace, order.weighted_by) == ("digit_share", "root", "upper_share")
    assert len(order.buckets) == 3
    assert "Order inside domains" in (run / "card" / "README.md").read_text()
    show_mix(mix_run(run, ["mixing.order.notes.pace=linear"]))
    assert "order inside domains" in capsys.readouterr().out


def test_the_steps_of_a_document_are_those_of_its_rows(run):
    plan, reader = Plan.load(run / "plan"), ShardReader(run / "shards" / "notes")
    doc_id = reader.documents(np.array([reader.rows - 1]))[0][0]["doc_id"]
    rows = [n for n in range(reader.rows) if any(one["doc_id"] == doc_id for one in reader.documents(np.array([n]))[0])]
    assert sorted(one["row"] for one in explain_document(run, doc_id)["rows"]) == rows
    located = plan.locate(0, plan.samples)
    assert plan.find(0, np.array(rows)).tolist() == np.flatnonzero(np.isin(located.row, rows)).tolist()


def test_a_bucket_that_is_not_the_plans_is_noticed(run, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(run.parents[2], home)
    copy = home / run.relative_to(run.parents[2])
    path = next((copy / "shards" / "notes").glob("data-*")).resolve()
    content = path.read_bytes()
    batch = next(iter(pa.ipc.open_stream(pa.py_buffer(content))))
    numbers = batch.column("bucket").to_numpy().tobytes()
    path.chmod(0o644)
    path.write_bytes(content.replace(numbers, numbers[2:] + numbers[:2], 1))
    names = {one["name"] for one in verify_run(copy)["checks"] if not one["ok"]}
    assert {"plan buckets notes", "shards notes"} <= names


def test_a_takedown_packs_and_plans_again_in_the_order(run, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(run.parents[2], home)
    copy = home / run.relative_to(run.parents[2])
    doc_id = ShardReader(copy / "shards" / "notes").documents(np.array([0]))[0][0]["doc_id"]
    assert takedown(copy, [doc_id], date="2026-01-31")["left"] == []
    assert len(ShardReader(copy / "shards" / "notes").index["buckets"]) > 1
    assert Plan.load(copy / "plan").domains[0].buckets is not None
    assert verify_run(copy)["ok"]


def test_another_curve_or_pace_encodes_nothing_again(run, tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.copytree(run.parents[2], home)
    monkeypatch.setenv("GRISTMILL_HOME", str(home))
    text = (run / "recipe.toml").read_text()
    recipe = tmp_path / "again.toml"
    recipe.write_text(text.replace("[50.1, 1.5]", "[50.1, 4]"))
    stages = refine_directly(recipe, "pieces")["stages"]
    computed = {name for name, one in stages.items() if one["computed"]}
    assert computed == {"decide", "shards", "plan", "pieces"}
    recipe.write_text(text.replace('"root"', '"linear"'))
    stages = refine_directly(recipe, "pieces")["stages"]
    assert {name for name, one in stages.items() if one["computed"]} == {"plan"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("digit_share", "digit_shar"), r"mixing\.order\.notes\.by: unknown signal 'digit_shar'; did you mean"),
        (
            ('by = "upper_share"', 'by = "lang_score"'),
            r"mixing\.upsample\.notes\.by: nothing measures",
        ),
        (("order.notes", "order.nodes"), r"mixing\.order\.nodes: no source has the domain 'nodes'"),
        (("buckets = 3", "buckets = 0"), r"mixing\.order\.notes\.buckets: .*greater than or equal to 1"),
        (('"root"', '"rot"'), r"mixing\.order\.notes\.pace: unknown pace 'rot'; did you mean 'root'"),
        (("[50, 0.5], [50.1, 1.5]", "[50, 0.5], [20, 1]"), r"mixing\.upsample\.notes\.curve: percentiles ascend"),
        (("[50.1, 1.5]", "[101, 1]"), "percentiles lie between 0 and 100"),
        (("[[0, 0.5], [50, 0.5], [50.1, 1.5]]", "[[0, 0]]"), "factors are 0 and up, and one at least"),
        (("window_rows = 4", "window_rows = -1"), r"mixing\.window_rows"),
    ],
)
def test_a_mistake_is_reported_before_anything_runs(write_notes, tmp_path, change, message):
    text = write_notes(tmp_path, {}, ORDER).read_text()
    assert change[0] in text
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text.replace(*change), "r.toml")


def test_more_buckets_than_rows_name_their_key(write_notes, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    recipe = write_notes(tmp_path, {}, ORDER.replace("buckets = 3", "buckets = 900"))
    with pytest.raises(RecipeError, match=r"mixing\.order\.notes\.buckets: 900 buckets, but the domain packs to about"):
        refine_directly(recipe, "shards")
    assert json.loads((next((tmp_path / "home").glob("runs/notes/*")) / "manifests" / "tokens.json").read_text())
