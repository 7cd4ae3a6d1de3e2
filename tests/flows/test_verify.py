"""Verify finds what was broken on purpose, and a run that was killed ends as if it had not been."""

import json
import os
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.files import read_json, write_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.verify_replay import Replay
from tests.forks import FORKS


@pytest.fixture
def copied(small_run, small_home, tmp_path, monkeypatch):
    """A copy of the small run and its store that a test may break."""
    home = tmp_path / "copy"
    shutil.copytree(small_home, home)
    monkeypatch.setenv("GRISTMILL_HOME", str(home))
    return home / small_run.relative_to(small_home)


def failures(run: Path) -> list[str]:
    result = verify_run(run)
    assert result["ok"] == all(check["ok"] for check in result["checks"])
    return [check["name"] for check in result["checks"] if not check["ok"]]


def flip(path: Path, at: int) -> None:
    """Change one bit of a file without touching what it is linked to."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_a_whole_run_has_no_failures(copied):
    assert failures(copied) == []


def test_a_flipped_bit_in_a_shard(copied):
    shard = max((copied / "shards" / "forum").glob("data-*.arrow"))  # the card shows rows of the first one
    flip(shard, shard.stat().st_size // 2)
    assert failures(copied) == ["shards forum"]


def test_a_flipped_bit_in_the_store(copied):
    part = next((copied.parents[2] / "store" / "signals").glob("*/signals.parquet"))
    flip(part, 200)
    assert failures(copied) == ["receipts signals"]


def test_a_document_that_got_lost(copied):
    manifest = read_json(copied / "manifests" / "decide.json")
    manifest["parts"][0]["accounts"]["forum"]["documents_kept"] -= 1
    write_json(copied / "manifests" / "decide.json", manifest)
    assert "conservation decide forum" in failures(copied)


def test_a_part_that_got_lost(copied):
    manifest = read_json(copied / "manifests" / "signals.json")
    manifest["parts"].pop()
    write_json(copied / "manifests" / "signals.json", manifest)
    assert "alignment signals" in failures(copied)


def test_a_row_that_the_trainer_did_not_consume(copied):
    path = next((copied / "train").glob("consumption*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    assert any(name.startswith("consumption") for name in failures(copied))


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "summary.json", "metrics.parquet"])
def test_a_changed_byte_of_a_training_is_named(copied, name):
    path = max((copied / "train").rglob(name))
    flip(path, path.stat().st_size // 3)
    broken = {check["name"]: check["detail"] for check in verify_run(copied)["checks"] if not check["ok"]}
    assert str(path) in broken["receipts train"]


def test_a_loss_that_is_not_that_of_the_rows(copied):
    path = copied / "train" / "metrics.parquet"
    table = pq.read_table(path)
    loss = table["loss"].to_numpy().copy()
    loss[3] *= 1.001
    pq.write_table(table.set_column(table.schema.get_field_index("loss"), "loss", [loss]), path)
    broken = {check["name"]: check["detail"] for check in verify_run(copied)["checks"] if not check["ok"]}
    assert broken["consumption metrics"].startswith("step 4 logged ")


def test_replay_of_the_small_run(copied):
    result = verify_run(copied, Replay(seed=3))
    details = {check["name"]: check["detail"] for check in result["checks"]}
    assert result["ok"], details
    assert "chosen by --seed 3" in details["replay interval 1"]
    assert "documents, packed and alone, and as logged: row " in details["replay document by document"]


def test_a_plan_for_other_shards(copied):
    index = copied / "shards" / "forum" / "index.json"
    value = json.loads(index.read_text())
    value["rows"] += 0
    index.unlink()
    index.write_text(json.dumps(value))
    assert "plan names shards forum" in failures(copied)


def snapshot(run: Path) -> dict[str, bytes]:
    """Every file that a trainer or a reader of the card is handed."""
    folders = ("shards", "heldout", "plan", "tokenizer", "card", "manifests")
    files = [path for folder in folders for path in (run / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(files)}


def refine_in(home: Path, recipe: Path) -> None:
    os.environ["GRISTMILL_HOME"] = str(home)
    os.chdir(HOUSE)
    refine_directly(recipe)


@pytest.mark.slow
def test_killed_again_and_again_the_run_ends_the_same(small_run, small_text, tmp_path):
    """SIGKILL at five moments of a run; the next start goes on, and the end is byte for byte that of a whole run."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(small_text)
    for parts in (2, 6, 9, 12, 14):
        running = FORKS.Process(target=refine_in, args=(tmp_path, recipe))
        running.start()
        while running.is_alive() and len(list(tmp_path.glob("store/*/*/receipt.json"))) < parts:
            time.sleep(0.02)
        running.kill()
        running.join()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(tmp_path))
        run = Path(refine_directly(recipe)["run"])
    assert not list(tmp_path.glob("store/*/.*.tmp"))
    assert snapshot(run) == snapshot(small_run)
