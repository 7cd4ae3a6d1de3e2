"""Names of runs: what finds one, what is refused with the nearest, and when NAME/latest moves."""

import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from gristmill.corpus.errors import AmbiguousNameError, UnknownNameError
from gristmill.corpus.files import read_json, write_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.runs import find_run, list_runs, note_latest
from gristmill.flows.inspect.trace import trace_step
from gristmill.flows.inspect.verify import VERIFIED, verify_run
from gristmill.flows.pipeline.open_context import reopen_run


@pytest.fixture
def copied(small_run, small_home, tmp_path, monkeypatch):
    """The small run in a home of its own."""
    home = tmp_path / "copy"
    shutil.copytree(small_home, home)
    monkeypatch.setenv("GRISTMILL_HOME", str(home))
    return home / small_run.relative_to(small_home)


def second(run: Path, recipe: str, run_id: str) -> Path:
    """Another run, as far as names are concerned."""
    path = run.parents[1] / recipe / run_id
    shutil.copytree(run, path)
    return path


def test_a_run_that_has_ended_and_holds_is_the_latest(copied):
    latest = read_json(copied.parent / "latest.json")
    assert latest == {"run": copied.name, "verified": True}
    assert read_json(copied / VERIFIED)["ok"]
    for name in (
        str(copied),
        copied,
        "latest",
        "small/latest",
        copied.name,
        copied.name[:4],
        f"small/{copied.name[:5]}",
    ):
        assert find_run(name) == copied


def test_a_relative_path_is_a_path(copied, monkeypatch):
    monkeypatch.chdir(copied.parent)
    assert find_run(copied.name) == Path(copied.name)
    monkeypatch.chdir(copied.parents[1])
    assert find_run(f"small/{copied.name}") == Path("small") / copied.name
    assert find_run("small/latest") == copied  # no such file, so the home's
    assert find_run(".") == Path()  # no run: said where it is opened


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "unknown run 'nowhere'"),
        ("smal/latest", "unknown run 'smal/latest'; did you mean 'small/latest'"),
        ("small/ffffffff", "unknown run 'ffffffff'; known: "),
        ("abc", "unknown run 'abc'"),
        ("no/such/path", "unknown run 'no/such/path'"),
        ("../runs", "unknown run"),
    ],
)
def test_what_names_no_run(copied, name, message):
    with pytest.raises(UnknownNameError, match=message):
        find_run(name)


def test_an_id_that_begins_alike_and_two_recipes(copied):
    twin = second(copied, "small", copied.name[:6] + "0" * 10)
    with pytest.raises(AmbiguousNameError, match=f"run '{copied.name[:6]}' is the beginning of 2 names: "):
        find_run(copied.name[:6])
    assert find_run(copied.name) == copied
    assert find_run("latest") == copied
    other = second(copied, "other", "77" * 8)
    assert find_run("7777") == other
    assert find_run("other/7777") == other
    with pytest.raises(
        AmbiguousNameError, match="run 'latest' is the beginning of 2 names: other/latest, small/latest"
    ):
        find_run("latest")
    with pytest.raises(UnknownNameError, match="no run of the recipe has ended and passed verify"):
        find_run("other/latest")
    assert twin.is_dir()


def test_an_empty_home(home):
    with pytest.raises(UnknownNameError, match="unknown run 'latest'; known: none in "):
        find_run("latest")
    assert list_runs()["rows"] == []


def test_a_part_of_a_run_is_not_the_latest(home, tmp_path, small_text):
    (tmp_path / "recipe.toml").write_text(small_text)
    result = refine_directly(tmp_path / "recipe.toml", until="signals")
    assert "verified" not in result
    run = Path(result["run"])
    assert not (run.parent / "latest.json").exists()
    (row,) = list_runs()["rows"]
    assert (row["stage"], row["documents"], row["verified"], row["latest"]) == ("signals", None, None, False)


def test_a_run_that_fails_a_check_does_not_become_the_latest(copied):
    (copied.parent / "latest.json").unlink()
    shard = next((copied / "shards" / "forum").glob("data-*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    with reopen_run(copied) as context:
        found = note_latest(context)
    assert not found["verified"]
    assert [line.split(":")[0] for line in found["failed"]] == ["shards forum"]
    assert not (copied.parent / "latest.json").exists()
    (row,) = list_runs()["rows"]
    assert (row["verified"], row["latest"]) == (False, False)


def test_the_list(copied):
    os.utime(copied / "lock.json", (1e9, 1e9))
    (row,) = list_runs()["rows"]
    assert row["path"] == str(copied)
    assert (row["recipe"], row["run"], row["when"]) == ("small", copied.name, "2001-09-09T01:46:40+00:00")
    assert (row["stage"], row["verified"], row["latest"], row["problem"]) == ("card", True, True, None)
    with reopen_run(copied) as context:
        assert row["documents"] == sum(a.documents_kept for a in context.run.manifest("decide").accounts.values())


def test_verified_is_of_what_the_run_is_now(copied):
    path = copied / "manifests" / "clusters.json"
    manifest = read_json(path)
    manifest["parts"][0]["key"] = "0" * 32
    write_json(path, manifest)
    assert list_runs()["rows"][0]["verified"] is None
    verify_run(copied)
    assert list_runs()["rows"][0]["verified"] is False


def test_a_damaged_run_hides_no_other(copied):
    broken = second(copied, "broken", "b" * 16)
    (broken / "stages.json").write_text("{")
    rows = list_runs()["rows"]
    assert [row["recipe"] for row in rows] == ["broken", "small"]
    assert "stages.json is damaged" in rows[0]["problem"]
    assert rows[1]["problem"] is None


def test_a_document_by_how_its_id_begins(small_run):
    doc_id = trace_step(small_run, 1)["rows"][0]["documents"][0]["doc_id"]
    assert explain_document(small_run, doc_id[:12]) == explain_document(small_run, doc_id)
    rejected = explain_document(small_run, "samples/dirty/broken.jsonl:2")
    assert explain_document(small_run, rejected["doc_id"][:12]) == rejected
    with pytest.raises(UnknownNameError, match="unknown document"):
        explain_document(small_run, doc_id[:3])
    begins = beginning_of_two(small_run)
    if begins:
        with pytest.raises(AmbiguousNameError, match="is the beginning of"):
            explain_document(small_run, begins)


def beginning_of_two(run: Path) -> str | None:
    """Four characters that two doc_ids share: 2,000 documents have some thirty such pairs."""
    import pyarrow.parquet as pq

    with reopen_run(run) as context:
        parts = range(len(context.run.manifest("documents").parts))
        tables = [pq.read_table(context.file("documents", "documents.parquet", n), columns=["doc_id"]) for n in parts]
    ids = sorted(doc_id for table in tables for doc_id in table["doc_id"].to_pylist())
    return next((one[:4] for one, other in pairwise(ids) if one[:4] == other[:4]), None)
