"""The band index inside a run: nightly snapshots, a deleted folder, a plan, a rebuild, a takedown."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import read_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.takedown.removal import takedown

HOUSE = Path(__file__).resolve().parents[2]
NIGHTLY = """
name = "nightly"
seed = 7
[[sources]]
name = "forum"
path = "SNAPSHOTS/*.jsonl"
domain = "forum"
[limits]
part_bytes = "100K"
[dedup.near]
threshold = 0.7
INDEX
[[curriculum]]
until_tokens = "4K"
shares = { forum = 1.0 }
[tokenizer]
vocab_size = 400
sample_bytes = "100K"
[shards]
row_tokens = 64
"""


@pytest.fixture
def nightly(tmp_path, monkeypatch):
    """nightly(snapshots, index=..., until=...): a run over the first snapshots, in a home of its own."""
    lines = (HOUSE / "samples/forum/fortunes.en.jsonl").read_text(encoding="utf-8").splitlines()
    lines += lines[:40]
    snapshots = tmp_path / "snapshots"
    snapshots.mkdir()

    def run(n, *, home="home", index: str | None = None, until="clusters"):
        for i in range(n):
            (snapshots / f"{i}.jsonl").write_text("\n".join(lines[i * 150 : (i + 1) * 150]), encoding="utf-8")
        monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / home))
        recipe = tmp_path / "nightly.toml"
        key = f'index = "{tmp_path / index}"' if index else ""
        recipe.write_text(NIGHTLY.replace("SNAPSHOTS", str(snapshots)).replace("INDEX", key))
        return refine_directly(recipe, until)

    monkeypatch.chdir(HOUSE)
    return run


def entry(result) -> tuple[str, dict]:
    """Key, and digests of the files, of a run's clusters."""
    with reopen_run(Path(result["run"])) as context:
        receipt = context.run.manifest("clusters").parts[0]
    return receipt.key, receipt.to_json()


def test_a_night_appends_its_snapshot_and_says_what_all_say(nightly):
    for night, appended in ((1, 150), (2, 150)):
        found = nightly(night, index="index")
        assert found["maintenance"]["index"] == f"{appended} appended, 0 removed"
        assert entry(found) == entry(nightly(night, home="plain"))
        assert read_json(Path(found["run"]) / "report.json")["maintenance"] == found["maintenance"]
    assert nightly(2, index="index")["maintenance"] == {"index": "in step"}


def test_the_index_changes_neither_run_nor_key_and_is_brought_in_step_over_a_reused_entry(nightly, tmp_path):
    plain = nightly(2)
    kept = nightly(2, index="index")
    assert (kept["run"], kept["stages"]["clusters"]["reused"]) == (plain["run"], 1)
    assert kept["maintenance"]["index"] == "300 appended, 0 removed"
    shutil.rmtree(tmp_path / "index")
    assert nightly(2, index="index")["maintenance"]["index"] == "300 appended, 0 removed"
    (tmp_path / "index" / "index.json").write_text("not JSON")
    assert nightly(2, index="index")["maintenance"]["index"].startswith("made anew: ")


def test_plan_writes_no_index(nightly, tmp_path):
    nightly(1, index="index")
    shutil.rmtree(tmp_path / "index")
    shutil.rmtree(tmp_path / "home" / "store" / "clusters")
    plan = plan_run(tmp_path / "nightly.toml")
    assert plan["stages"]["clusters"]["compute"] == 1
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [('index = "x"\noff = true', "near duplicates, which are off"), ('index = "s3://x/y"', "a folder on this machine")],
)
def test_a_wrong_index_is_a_mistake_of_the_recipe(keys, said):
    with pytest.raises(RecipeError, match=rf"dedup\.near.*{said}"):
        parse_recipe(NIGHTLY.replace("INDEX", keys), "nightly.toml")


def test_the_lock_does_not_name_the_index(nightly):
    run = Path(nightly(1, index="index")["run"])
    assert "index" not in read_json(run / "lock.json")["recipe"]["dedup"]["near"]
    with reopen_run(run) as context:
        assert context.recipe.dedup.near.index


# ------------------------------------------------------------------------------------------------ takedown, rebuild


@pytest.fixture
def finished(nightly, tmp_path):
    """A finished run whose index holds its documents, and the folder of the index."""
    return Path(nightly(2, index="index", until=None)["run"]), tmp_path / "index"


def documents(run: Path) -> pa.Table:
    with reopen_run(run) as context:
        parts = range(len(context.run.manifest("documents").parts))
        return pa.concat_tables([pq.read_table(context.file("documents", "documents.parquet", part)) for part in parts])


def doc_ids_of(index: Path) -> set[str]:
    found = [pq.read_table(path)["doc_id"].to_pylist() for path in index.glob("segment-*/documents.parquet")]
    return {doc_id for column in found for doc_id in column}


def test_takedown_takes_documents_out_of_the_index(finished):
    run, index = finished
    before = documents(run)
    gone = before["doc_id"].to_pylist()[:3]
    hashes = set(before["text_hash"].to_pylist()[:3]) - set(before["text_hash"].to_pylist()[3:])
    words = [bytes.fromhex(one) for one in hashes]
    raw = b"".join(path.read_bytes() for path in index.glob("segment-*/variants.npy"))
    assert all(word in raw for word in words)
    result = takedown(run, gone, date="2026-01-31")
    assert (result["index_removed"], result["left"]) == (3, [])
    assert doc_ids_of(index) == set(before["doc_id"].to_pylist()) - set(gone)
    raw = b"".join(path.read_bytes() for path in index.glob("segment-*/variants.npy"))
    assert not any(word in raw for word in words)
    assert [check for check in verify_run(run)["checks"] if not check["ok"]] == []


def test_takedown_searches_the_index(nightly, tmp_path):
    run, index = Path(nightly(1, index="index")["run"]), tmp_path / "index"
    gone = documents(run)["doc_id"][0].as_py()
    (index / "notes").write_text(f"we once had {gone}")
    assert [place["file"] for place in takedown(run, [gone])["left"]] == [str(index / "notes")]


def test_takedown_of_an_old_run_does_not_take_the_index_back(nightly, tmp_path):
    old = Path(nightly(1, index="index")["run"])
    new = Path(nightly(2, index="index")["run"])
    gone = documents(old)["doc_id"][0].as_py()
    assert takedown(old, [gone])["index_removed"] == 1
    assert doc_ids_of(tmp_path / "index") == set(documents(new)["doc_id"].to_pylist()) - {gone}


def test_takedown_empties_a_damaged_index(nightly, tmp_path):
    run, index = Path(nightly(1, index="index")["run"]), tmp_path / "index"
    gone = documents(run)["doc_id"][0].as_py()
    next(iter(index.glob("segment-*/keys.npy"))).unlink()
    result = takedown(run, [gone])
    assert (result["index_removed"], result["left"]) == (0, [])
    assert gone not in doc_ids_of(index)


def test_rebuild_leaves_the_index_alone(finished, tmp_path, monkeypatch):
    run, index = finished
    shutil.rmtree(index)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "another"))
    assert rebuild_from_card(run / "card", check=True)["identical"]
    assert not index.exists()
    assert pc.all(pc.is_valid(documents(run)["doc_id"])).as_py()
