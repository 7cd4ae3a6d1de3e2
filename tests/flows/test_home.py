"""A home as a whole: takedown reaches every file of it, and gc deletes what no kept run needs and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import LockedError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import EXPORTS, RunDir
from gristmill.corpus.store_use import alone, using
from gristmill.corpus.unfinished import filling
from gristmill.flows.direct import refine_directly
from gristmill.flows.gc.collect import collect, disk_bytes
from gristmill.flows.gc.kept_runs import Retention
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline import disk_space
from gristmill.flows.pipeline.home_contents import Home, entries_of, place_of
from gristmill.flows.pipeline.open_context import open_recipe
from gristmill.flows.takedown.removal import takedown


@pytest.fixture(scope="module")
def second_run(milled, tmp_path_factory):
    """A home with two runs of the same documents: the recipe of the second, the home, and both runs' paths in it."""
    recipe, whole_home, run = milled
    folder = tmp_path_factory.mktemp("second")
    subprocess.run(["cp", "-a", str(whole_home), str(folder / "home")], check=True)
    second = folder / "second.toml"
    second.write_text(recipe.read_text().replace("seed = 1", "seed = 2"))
    os.utime(folder / "home" / run / "lock.json", (1e9, 1e9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        newer = Path(refine_directly(second)["run"]).relative_to(folder / "home")
    return second, folder / "home", run, newer


@pytest.fixture
def two_runs(second_run, tmp_path, monkeypatch):
    """A copy of that home: the older run, the newer one, and its recipe."""
    second, home, older, newer = second_run
    subprocess.run(["cp", "-a", str(home), str(tmp_path / "home")], check=True)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / older, tmp_path / "home" / newer, second


@pytest.fixture
def home_of_two(two_runs) -> Path:
    """The home that both lie in."""
    return two_runs[0].parents[2]


def whole(run: Path) -> bool:
    return verify_run(run)["ok"]


def scanned(home: Path) -> dict[str, bytes]:
    """All bytes of every file, and of tables what a reader sees."""
    found = {}
    for path in (path for path in sorted(home.rglob("*")) if path.is_file() and path.name != "takedown.json"):
        found[str(path)] = path.read_bytes()
        if path.suffix == ".parquet":
            found[str(path)] += str(pq.read_table(path).to_pylist()).encode()
    return found


def test_takedown_reaches_the_whole_home(two_runs, home_of_two, tmp_path):
    older, newer, _ = two_runs
    documents = next(path for path in home_of_two.glob("store/documents/*/documents.parquet"))
    row = pq.read_table(documents).to_pylist()[3]
    text = row["text"].encode()
    planted = {
        "store/signals/0123/part.bin": text,  # an entry that a deleted run named
        "store/tokens/4567/tokens.bin": b"no vocabulary spells it",
        "store/documents/.89ab.otherhost~12.tmp/half": text,
        "cache/documents/cdef/documents.parquet": b"",
        "runs/notes/.gone.tmp/part": text,
        f"runs/notes/{older.name}/tune/report.json": text,
        f"runs/notes/{newer.name}/tune/report.json": text,
        "logs/night.txt": text,
        "night.log": text,
    }
    for name, data in planted.items():
        (home_of_two / name).parent.mkdir(parents=True, exist_ok=True)
        (home_of_two / name).write_bytes(data)
    pq.write_table(pa.table({"text": [row["text"]]}), home_of_two / "cache/documents/cdef/documents.parquet")
    (tmp_path / "out").mkdir()
    write_json(newer / EXPORTS, {"exports": [{"folder": str(tmp_path / "out")}]})
    needles = [text[:32], text[-32:], row["doc_id"].encode()]
    assert sum(needles[1] in data for data in scanned(home_of_two).values()) > 6
    result = takedown(newer, [row["doc_id"]], date="2026-01-31", other_runs=True)
    assert result["left"] == []
    assert result["exports"] == [str(tmp_path / "out")]
    assert result["other_runs"] == {str(older): {"removed": 1}}
    in_older = read_json(older / "takedown.json")["takedowns"][0]["deleted_from_home"]
    assert len({*result["deleted_from_home"], *in_older}) == len(planted)
    assert [name for name, data in scanned(home_of_two).items() if any(needle in data for needle in needles[1:])] == []
    assert whole(older)
    assert whole(newer)


def test_a_living_writer_and_a_foreign_file_are_reported_and_left(two_runs, home_of_two):
    older, newer, _ = two_runs
    documents = next(path for path in home_of_two.glob("store/documents/*/documents.parquet"))
    row = pq.read_table(documents).to_pylist()[3]
    (home_of_two / "notes by hand").write_text(row["text"])
    with filling(home_of_two / "store" / "documents", "key") as aside:
        (aside / "half").write_text(row["text"])
        result = takedown(newer, [row["doc_id"]], date="2026-01-31")
        assert (aside / "half").exists()
    left = {Path(place["file"]).name for place in result["left"]}
    assert {"half", "notes by hand", "documents.parquet"} <= left  # the older run was not asked for
    assert whole(older)


def test_gc_deletes_what_no_run_names(two_runs, home_of_two):
    older, newer, _ = two_runs
    before = {str(path) for path in home_of_two.rglob("*")}
    nothing = collect(Retention())
    assert (nothing["runs_removed"], nothing["entries_removed"]) == ([], {})
    assert {str(path) for path in home_of_two.rglob("*")} == before
    shutil.copytree(next(home_of_two.glob("store/signals/*")), home_of_two / "store" / "signals" / "0123")
    (home_of_two / "store" / "tokens" / ".4567.tmp").mkdir()
    said = collect(Retention(), dry_run=True)
    assert said["entries_removed"] == {"signals": 1}
    assert (home_of_two / "store" / "signals" / "0123").exists()
    done = collect(Retention())
    assert {key: done[key] for key in said if key != "dry_run"} == {key: said[key] for key in said if key != "dry_run"}
    assert done["bytes_after"] == disk_bytes(home_of_two) < done["bytes_before"]
    assert {str(path) for path in home_of_two.rglob("*")} == before
    assert whole(older)
    assert whole(newer)


@pytest.mark.parametrize(
    ("retention", "now", "gone"),
    [
        (Retention(runs=2), 1e9, 0),
        (Retention(runs=1), 1e9, 1),
        (Retention(days=1), 1e9 + 3600, 0),
        (Retention(days=1), 1e9 + 90_000, 1),  # the newer one is the latest
        (Retention(runs=1, days=1), 1e9 + 3600, 0),  # one of the two keeps it
    ],
)
def test_retention(two_runs, home_of_two, retention, now, gone):
    older, newer, _ = two_runs
    result = collect(retention, now=now)
    assert result["runs_removed"] == [str(older)] * gone
    assert older.exists() == (not gone)
    named = entries_of(Home(home_of_two).runs)
    assert {place_of(entry) for entry in Home(home_of_two).entries()} == named
    assert whole(newer)
    assert bool(result["entries_removed"]) == bool(gone)


@pytest.mark.parametrize("why", ["takedown.json", EXPORTS, "writer", "lineage"])
def test_a_run_that_something_still_needs_is_kept(two_runs, home_of_two, why):
    from gristmill.corpus.writer_lock import WriterLock

    older, newer, _ = two_runs
    if why == "lineage":
        (newer / "train").mkdir()
        (newer / "train" / "lineage.json").write_text(f'[{{"run": "{older.name}", "checkpoint": "", "kind": "warm"}}]')
        assert collect(Retention(runs=1))["runs_kept"][str(older)].startswith("the training of")
        return
    if why == "writer":
        with WriterLock(older):
            assert collect(Retention(runs=1))["runs_removed"] == []
        return
    write_json(older / why, {"takedowns": [], "exports": [{"folder": str(home_of_two)}]})
    assert collect(Retention(runs=1))["runs_removed"] == []


def test_gc_waits_for_no_run_and_a_run_waits_for_gc(milled, milled_home):
    recipe, *_ = milled
    store = milled_home / "store"
    with using(store), using(store):
        with pytest.raises(LockedError, match="is in use by a run"):
            collect(Retention())
        assert collect(Retention(), dry_run=True)["entries_removed"] == {}
    (milled_home / "cache").mkdir()
    with using(milled_home / "cache"), pytest.raises(LockedError, match="cache is in use by a run"):
        collect(Retention())  # of a run whose store lies elsewhere: here are its copies
    with alone(store), pytest.raises(LockedError), alone(store):
        pass
    with open_recipe(recipe), pytest.raises(LockedError):
        collect(Retention())


def test_a_damaged_manifest_stops_gc(two_runs):
    older, _, _ = two_runs
    RunDir(older).manifest_path("decide").write_text("{")
    with pytest.raises(StoreError, match=r"decide\.json is damaged"):
        collect(Retention())


def test_a_full_disk_is_one_sentence_before_anything_is_read(milled, tmp_path, monkeypatch):
    recipe, *_ = milled
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: 1_000_000)
    with pytest.raises(StoreError, match=r"0\.00 GB free, and about 0\.07 .*store\.check_space = false"):
        refine_directly(recipe, until="documents")
    allowed = tmp_path / "allowed.toml"
    allowed.write_text(recipe.read_text() + "[store]\ncheck_space = false\n")
    assert refine_directly(allowed, until="documents")["stages"]["documents"]["computed"] == 2
    assert refine_directly(recipe, until="documents")["stages"]["documents"]["reused"] == 2  # nothing is written
    monkeypatch.undo()
    assert disk_space.free_bytes(tmp_path / "not" / "yet") > 0
