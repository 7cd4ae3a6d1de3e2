"""The lock holds all that decides a run: one byte of one artefact, of any kind, gives another run id."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gristmill.corpus.files import canonical_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.stage import PartStage
from gristmill.filters.decide.profiles import PROFILES
from gristmill.flows.pipeline.inputs import list_inputs
from gristmill.flows.pipeline.locking import build_lock
from gristmill.flows.pipeline.recipe_reading import load_recipe

SAMPLES = Path(__file__).parents[2] / "samples"
RECIPE = """
name = "all"
seed = 1
plugins = ["./mine.py"]
[[sources]]
name = "notes"
path = "notes.jsonl"
domain = "notes"
lang = "en"
[language]
model = "lid.ftz"
[blocklist]
words = ["words.txt"]
urls = ["urls.txt"]
hashes = ["hashes.txt"]
[decontaminate.sets]
sums = ["sums.jsonl"]
[[classifiers]]
name = "trained"
positive = ["good.jsonl"]
negative = ["bad.jsonl"]
[[classifiers]]
name = "given"
model = "model.bin"
[[references]]
name = "fitted"
texts = ["good.jsonl"]
[[references]]
name = "given"
model = "reference.parquet"
[decide]
profiles = ["length"]
decisions = "decisions.jsonl"
[knowledge]
graph = "graph"
[trainer]
"""
PLUGIN = """
from gristmill.corpus.stage import Measured, PartStage, Signal
import pyarrow as pa

def measure(batch, options, state):
    return Measured({"vowels": pa.array([float(sum(c in "aeiou" for c in t.as_py())) for t in batch["text"]])})

MINE = PartStage(name="mine", version="1", measure=":measure", table="mine.parquet",
                 signals=(Signal("vowels", "letters", 0, None, "vowels"),))
"""
ARTEFACTS = (
    "notes.jsonl", "mine.py", "lid.ftz", "words.txt", "urls.txt", "hashes.txt", "sums.jsonl", "good.jsonl", "bad.jsonl",
    "model.bin", "reference.parquet", "decisions.jsonl", "graph/entities.parquet", "graph/triples.parquet",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipe with an artefact of every kind; none is read beyond its bytes."""
    (tmp_path / "graph").mkdir()
    for name in ARTEFACTS:
        (tmp_path / name).write_text(json.dumps({"text": name}) + "\n")
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock_of(folder: Path):
    checked = load_recipe(folder / "recipe.toml")
    return build_lock(checked, list_inputs(checked.recipe, checked.stages))


@pytest.mark.parametrize("name", ARTEFACTS)
def test_one_byte_of_an_artefact_is_another_run(folder, name):
    before = lock_of(folder)
    assert lock_of(folder).run_id == before.run_id
    path = folder / name
    path.write_text(path.read_text() + " ")
    assert lock_of(folder).run_id != before.run_id


def test_every_artefact_of_every_stage_is_locked(folder):
    """Against the declarations: what a section names must stand in the lock, whichever stage declares it."""
    checked, lock = load_recipe(folder / "recipe.toml"), lock_of(folder)
    named = {
        (stage.name, what)
        for stage in checked.stages
        if stage.options is not None
        for what, paths in stage.spec.artefacts(stage.options).items()
        if paths
    }
    assert named == {(stage, what) for stage, found in lock.artefacts.items() for what in found}
    assert {stage for stage, _ in named} >= {"language", "blocklist", "contamination", "decide", "mentions"}
    assert {stage.name for stage in checked.stages} == set(lock.stages)
    assert set(lock.plugins) == {"mine"}


def test_versions_of_all_stages_that_run_are_locked_and_of_no_other(folder):
    lock = lock_of(folder)
    assert {"edits", "train", "card", "classifier-trained", "classifier-model-trained"} <= set(lock.stages)
    assert "classifier-model-given" not in lock.stages
    text = RECIPE.replace("[blocklist]", "").replace('words = ["words.txt"]', "").replace('urls = ["urls.txt"]', "")
    (folder / "recipe.toml").write_text(text.replace('hashes = ["hashes.txt"]', ""))
    assert "blocklist" not in lock_of(folder).stages


def test_another_version_of_a_stage_is_another_run(folder):
    checked = load_recipe(folder / "recipe.toml")
    before = lock_of(folder)
    for stage in checked.stages:
        changed = {**before.stages, stage.name: "changed"}
        assert type(before)(**{**{f: getattr(before, f) for f in before.__slots__}, "stages": changed}).run_id != (
            before.run_id
        )


@pytest.mark.parametrize(("name", "differs"), [("length", True), ("c4", False)])
def test_other_rules_of_a_shipped_profile_are_another_run(folder, monkeypatch, name, differs):
    before, shipped = lock_of(folder), PROFILES[name]
    rules = (replace(shipped.rules[0], at_least=shipped.rules[0].at_least + 1), *shipped.rules[1:])
    monkeypatch.setitem(PROFILES, name, replace(shipped, rules=rules))
    assert (lock_of(folder).run_id != before.run_id) == differs


def test_a_lock_from_before_profiles_were_locked_keeps_its_id(folder):
    lock = replace(lock_of(folder), profiles={})
    written = json.loads(canonical_json(lock.to_json()))
    assert "profiles" not in written
    assert Lock.from_json(written).run_id == lock.run_id


def test_what_decides_no_byte_is_not_locked(folder):
    before = lock_of(folder)
    more = '[engine]\nworkers = 3\n[schedule]\ncron = "@daily"\n'.replace("@daily", "0 3 * * *")
    free = RECIPE.replace("[trainer]\n", "[trainer]\nthreads = 2\ncheckpoint_steps = 7\n")
    (folder / "recipe.toml").write_text(free + more)
    assert lock_of(folder).run_id == before.run_id


def test_nothing_of_the_machine_stands_in_it(folder, tmp_path):
    text = canonical_json(lock_of(folder).to_json())
    assert str(folder) not in text
    other = folder / "elsewhere"
    other.mkdir()
    for name in ARTEFACTS:
        (other / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / name, other / name)
    shutil.copy(folder / "recipe.toml", other / "recipe.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(other)
        assert canonical_json(lock_of(other).to_json()) == text


def test_a_shipped_model_is_locked_by_its_bytes_and_not_by_its_path(folder):
    (folder / "recipe.toml").write_text(RECIPE.replace('[language]\nmodel = "lid.ftz"', "[language]"))
    lock = lock_of(folder)
    assert len(lock.artefacts["language"]["model"]) == 64
    assert lock.recipe["language"]["model"] is None
    stages = {stage.name: stage.spec for stage in load_recipe(folder / "recipe.toml").stages}
    assert isinstance(stages["language"], PartStage)
