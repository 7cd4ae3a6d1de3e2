"""takedown --retrain on a milled run: what is gone, what stays, what is refused, and a killed call carried on."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import file_sha256, read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly, train_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.takedown import refusals, removal, retrain
from gristmill.flows.takedown.closure import close
from gristmill.flows.takedown.journal import JOURNAL
from gristmill.flows.takedown.retrain import takedown_and_retrain
from gristmill.flows.takedown.search import Slices
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.trainer.training.checkpoint import saved_steps
from gristmill.trainer.training.lineage import ancestors

HOUSE = Path(__file__).resolve().parents[2]
DAY = "2026-01-31"


def copy_of(run: Path, target: Path) -> Path:
    shutil.copytree(run.parents[2], target)
    return target / run.relative_to(run.parents[2])


@pytest.fixture(scope="module")
def spaced(small_run, tmp_path_factory):
    """The small run, trained with a checkpoint every four steps; both keys stand outside the lock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HOUSE)
        run = copy_of(small_run, tmp_path_factory.mktemp("spaced") / "home")
        recipe = run / "recipe.toml"
        recipe.write_text(recipe.read_text().replace("checkpoint_steps = 20", "checkpoint_steps = 4\nkeep = 6"))
        shutil.rmtree(run / "train")
        train_directly(run)
        yield run


@pytest.fixture
def copied(spaced, tmp_path, monkeypatch):
    monkeypatch.chdir(HOUSE)
    return copy_of(spaced, tmp_path / "copy")


def table(run, stage, name):
    with reopen_run(run) as context:
        return pq.read_table(context.file(stage, name))


def chosen(run) -> list[str]:
    """A kept document with merged copies."""
    ledger = table(run, "decide", "ledger.parquet")
    return [ledger.filter(pc.equal(ledger["verdict"], "merged"))["other"][0].as_py()]


def contents(run):
    """Every file of the home, but for the report of how long each stage took."""
    paths = [path for path in run.parents[2].rglob("*") if path.is_file() and path.name not in ("lock", "report.json")]
    return {path: file_sha256(path) for path in paths}


@pytest.fixture(scope="module")
def done(spaced, tmp_path_factory):
    """One takedown that several tests look at."""
    run = copy_of(spaced, tmp_path_factory.mktemp("done") / "home")
    return spaced, run, takedown_and_retrain(run, chosen(spaced), date=DAY)


def test_every_copy_is_gone_and_nothing_is_elected(done):
    before, run, result = done
    asked, closure = result["certificate"]["asked"], result["certificate"]["closure"]
    clusters = table(before, "clusters", "clusters.parquet")
    mine = clusters.filter(pc.equal(clusters["doc_id"], asked[0]))["cluster"][0]
    expected = clusters.filter(pc.equal(clusters["cluster"], mine))["doc_id"].to_pylist()
    assert asked == chosen(before)
    assert set(closure) == set(expected)
    assert len(closure) > 1
    assert result["removed"] == sorted(expected)
    kept = [set(table(one, "decide", "kept.parquet")["doc_id"].to_pylist()) for one in (before, run)]
    assert kept[1] == kept[0] - set(expected)
    assert (result["left"], result["reelected"]) == ([], [])
    assert f"{result['replayed_steps']} steps were trained again" in (run / "card" / "README.md").read_text()
    assert [check for check in verify_run(run)["checks"] if not check["ok"]] == []


def test_plan_packing_and_tokenizer_stay(done):
    before, run, result = done
    old, new = (Plan.load(one / "plan") for one in (before, run))
    same = zip(old.locate(0, old.samples), new.locate(0, new.samples), strict=True)
    assert all(np.array_equal(*columns) for columns in same)
    assert file_sha256(before / "tokenizer/tokenizer.json") == file_sha256(run / "tokenizer/tokenizer.json")
    masked = pq.read_table(run / "plan" / "masked.parquet").to_pylist()
    assert len(masked) > 0
    gone = set(result["certificate"]["closure"])
    for domain in old.names:
        readers = [ShardReader(one / "shards" / domain) for one in (before, run)]
        rows = np.arange(readers[0].rows)
        tokens = readers[0].tokens(rows)
        for one in (one for one in masked if one["domain"] == domain):
            tokens[one["row"], one["start"] : one["start"] + one["length"]] = 1
        assert np.array_equal(readers[1].tokens(rows), tokens)
        stay = [[one for one in row if one["doc_id"] not in gone] for row in readers[0].documents(rows)]
        assert readers[1].documents(rows) == stay


def test_the_model_is_that_of_a_training_from_the_start(done, tmp_path):
    _, run, result = done
    certificate = read_json(run / "train" / "certificate.json")
    assert certificate == result["certificate"]
    fresh = copy_of(run, tmp_path / "fresh")
    shutil.rmtree(fresh / "train")
    train_directly(fresh)
    files = read_json(fresh / "train" / "done.json")["files"]
    equal = {one["name"] for one in read_json(run / "train" / "done.json")["files"] if one in files}
    steps = saved_steps(run / "train" / "checkpoints")
    assert {f"checkpoints/step-{step:09d}/model.safetensors" for step in steps} <= equal
    assert {"consumption.parquet", "evaluation.parquet", "load.parquet", "summary.json"} <= equal
    assert certificate["digests"].keys() == {str(step) for step in steps}
    assert certificate["final"]["model.safetensors"] == certificate["digests"][str(steps[-1])]["model.safetensors"]
    assert certificate["base_checkpoint"] < certificate["first_step"]
    assert certificate["replayed_steps"] == steps[-1] - certificate["base_checkpoint"]
    assert any("tokenizer" in sentence for sentence in certificate["not_covered"])


def test_a_killed_call_is_carried_on(done, copied, monkeypatch):
    before, whole, result = done

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(retrain, "train_model", die)
    with pytest.raises(KeyboardInterrupt):
        takedown_and_retrain(copied, chosen(before), date=DAY)
    monkeypatch.undo()
    monkeypatch.chdir(HOUSE)
    with pytest.raises(StoreError, match="run it again with --retrain"):
        removal.takedown(copied, chosen(before), date=DAY)
    again = takedown_and_retrain(copied, chosen(before), date=DAY)
    assert again["certificate"]["final"] == result["certificate"]["final"]
    assert read_json(copied / "manifests" / "train.json") == read_json(whole / "manifests" / "train.json")
    assert not (copied / JOURNAL).exists()


def lineage(folder, **entry):
    write_json(folder / "train" / "lineage.json", [{"checkpoint": "0" * 64, **entry}])


def sibling_of(run: Path) -> str:
    """NAME/ID of a copy of the run in its home."""
    shutil.copytree(run, run.with_name("0" * 32))
    return f"{run.parent.name}/{'0' * 32}"


REFUSALS = {
    "no training": (lambda run, _: shutil.rmtree(run / "train"), "has no training of this version"),
    "teacher not there": (
        lambda run, _: lineage(run, run="/nowhere", kind="teacher"),
        "learned from /nowhere, which is not",
    ),
    "began from one that saw it": (
        lambda run, other: lineage(run, run=str(other), kind="warm"),
        "which saw the documents",
    ),
    "began from one of the home that saw it": (
        lambda run, _: lineage(run, run=sibling_of(run), kind="warm"),
        "which saw the documents",
    ),
    "began from weights of no run": (
        lambda run, _: lineage(run, run="", kind="warm"),
        "weights outside of any run, which is not there",
    ),
    "plain takedown stopped": (
        lambda run, _: write_json(run / JOURNAL / "names.json", {"names": ["x"]}),
        "run it again without",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_is_refused_and_nothing_changed(spaced, copied, case):
    spoil, message = REFUSALS[case]
    spoil(copied, spaced)
    before = contents(copied)
    with pytest.raises(StoreError, match=message):
        takedown_and_retrain(copied, chosen(spaced), date=DAY)
    assert contents(copied) == before


def test_a_vocabulary_that_spells_the_text_is_refused(spaced):
    with reopen_run(spaced) as context:
        word = max(json.loads((spaced / "tokenizer/tokenizer.json").read_text())["model"]["vocab"], key=len)
        vocabulary = refusals.Vocabulary(spaced / "tokenizer" / "tokenizer.json").table
        at = bytes(vocabulary).find(word.encode()) if word.isascii() else 0
        spelled = Slices.of([np_text(bytes(vocabulary)[at : at + 40])])
        with pytest.raises(StoreError, match="a token of the vocabulary spells the text"):
            refusals.expect_retrainable(context, {"x"}, spelled)
        start = spaced / "train" / "checkpoints" / "step-000000004" / "model.safetensors"
        (before,) = ancestors(SimpleNamespace(start=str(start), start_digest="0" * 64))
        lineage(spaced, run=before.run, kind=before.kind)
        refusals.expect_retrainable(context, {"x"}, Slices.of([]))  # it is there, and did not see them
        lineage(spaced, run=str(spaced), kind="proxy")
        refusals.expect_retrainable(context, {"x"}, Slices.of([]))
        assert f"the proxy run {spaced}" in refusals.not_covered(context)
        (spaced / "train" / "lineage.json").unlink()


def np_text(data: bytes):
    import pyarrow as pa

    return pa.array([data.decode("latin-1")], pa.string()).cast(pa.string())


def test_others_that_would_be_kept_otherwise_give_the_run_back(spaced, copied, monkeypatch):
    """Planted: a near copy that the closure forgets is elected when its representative is gone."""
    monkeypatch.setattr(retrain, "close", lambda _, asked: dict.fromkeys(asked, "asked"))
    before = contents(copied)
    with pytest.raises(StoreError, match=r"other ones, 1 in all, would be kept or cut otherwise .*Nothing was changed"):
        takedown_and_retrain(copied, chosen(spaced), date=DAY)
    assert contents(copied) == before


def test_a_document_that_no_step_saw_costs_no_step(spaced, copied):
    kept = table(copied, "decide", "kept.parquet")
    heldout = kept.filter(kept["heldout"])["doc_id"][0].as_py()
    final = read_json(copied / "train" / "summary.json")["steps"]
    certificate = takedown_and_retrain(copied, [heldout], date=DAY)["certificate"]
    assert (certificate["first_step"], certificate["base_checkpoint"], certificate["replayed_steps"]) == (
        None,
        final,
        0,
    )
    assert verify_run(copied)["ok"]
    old, new = (pq.read_table(run / "train" / "evaluation.parquet") for run in (spaced, copied))
    assert old["documents"].to_numpy().sum() > new["documents"].to_numpy().sum()


PAIRS = """
name = "pairs"
seed = 3
[[sources]]
name = "notes"
path = "{folder}/notes.jsonl"
domain = "notes"
[dedup.substrings]
min_tokens = 20
[dedup.lines]
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Documents of random words: two share a passage, two a line, two are equal, one is alone; milled up to edits."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(7)

    def words(n):
        return " ".join("".join(rng.choice(list("abcdefghij"), 6)) for _ in range(n))

    passage, line, equal = words(60), words(12), words(50)
    texts = {
        "passage1": f"{words(40)} {passage} {words(5)}",
        "passage2": f"{words(50)} {passage} {words(9)}",
        "line1": f"{words(40)}\n{line}\n{words(30)}",
        "line2": f"{words(45)}\n{line}\n{words(31)}",
        "equal1": equal,
        "equal2": equal,
        "alone": words(60),
    }
    notes = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items())
    (folder / "notes.jsonl").write_text(notes)
    (folder / "pairs.toml").write_text(PAIRS.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "pairs.toml", "edits")["run"])


@pytest.mark.parametrize("name", ["passage1", "passage2", "line1", "line2", "equal1", "equal2", "alone"])
def test_the_closure_has_the_copy_and_nothing_else(pairs, name):
    """Whichever of two documents with a passage in common is asked for: the one that kept it or the other."""
    with reopen_run(pairs) as context:
        documents = pq.read_table(context.file("documents", "documents.parquet"))
        ids = {json.loads(row["meta"])["id"]: row["doc_id"] for row in documents.to_pylist()}
        found = close(context, [ids[name]])
    other = name[:-1] + {"1": "2", "2": "1"}.get(name[-1], name[-1])
    why = {"passage": "cut", "line": "cut", "equal": "exact"}.get(name[:-1])
    assert found == dict(sorted({ids[other]: why, ids[name]: "asked"}.items())) if why else {ids[name]: "asked"}
    assert RunDir(pairs).has("edits")
