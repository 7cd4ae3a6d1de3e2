"""A setting changed at a checkpoint of a run, as the command does it; and the measure that decides nothing."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.cli import app
from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import read_json
from gristmill.flows.direct import train_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.training_settings import change_training, read_settings
from gristmill.flows.server import free_port
from gristmill.trainer.training.checkpoint import drop_after
from tests.forks import FORKS

HOUSE = Path(__file__).resolve().parents[2]


@pytest.fixture
def copied(small_run, small_home, tmp_path, monkeypatch):
    """A copy of the small run and its store."""
    monkeypatch.chdir(HOUSE)
    shutil.copytree(small_home, tmp_path / "copy")
    return tmp_path / "copy" / small_run.relative_to(small_home)


@pytest.mark.parametrize("text", ["learning_rate", "learning_rate=", "learning_rate=fast", "warmup_steps=true", "=1=1"])
def test_what_is_no_setting_is_named(text):
    with pytest.raises(RecipeError, match="is not KEY=NUMBER"):
        read_settings([text])


def test_a_change_reaches_metrics_summary_card_and_key(copied):
    train = copied / "train"
    (train / "done.json").unlink()
    kept = drop_after(train / "checkpoints", read_json(train / "summary.json")["steps"] - 1)
    change_training(copied, ["trainer.learning_rate=1e-4", "max_grad_norm=0.5"])
    summary = train_directly(copied)
    (one, other) = summary["changes"]
    assert one == {"step": kept[-1], "key": "learning_rate", "before": 3e-3, "after": 1e-4}
    assert other["key"] == "max_grad_norm"
    rates = pq.read_table(train / "metrics.parquet")["learning_rate"].to_pylist()
    assert rates[kept[-1] - 1] > 1e-4 >= rates[kept[-1]]
    assert read_json(copied / "card" / "card.json")["training"]["changes"] == summary["changes"]
    assert "| learning\\_rate | 0.003 | 0.0001 |" in (copied / "card" / "README.md").read_text()
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []
    before = (train / "done.json").read_bytes()
    train_directly(copied)  # is found finished
    assert (train / "done.json").read_bytes() == before


def train_as_torchrun_does(rank: int, run: Path, port: int) -> None:
    place = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {"GRISTMILL_HOME": str(run.parents[2])} | {name: str(value) for name, value in place.items()}
    os.chdir(HOUSE)
    for _ in range(2):  # the second finds it finished, and the other rank does not wait for ever
        assert app(["train", str(run), "--direct", "--json"], result_action="return_value") == 0


def test_two_processes_of_torchrun_go_on_with_a_training_of_one(copied):
    train = copied / "train"
    (train / "done.json").unlink()
    before = read_json(train / "summary.json")
    kept = drop_after(train / "checkpoints", before["steps"] - 1)
    assert 0 < kept[-1] < before["steps"]
    port = free_port()
    assert on_ranks_of_their_own(train_as_torchrun_does, copied, port) == [0, 0]
    after = read_json(train / "summary.json")
    assert after["tokens"] == before["tokens"]
    assert after["loss"]["heldout_after"] == pytest.approx(before["loss"]["heldout_after"], abs=1e-5)
    assert read_json(copied / "card" / "card.json")["training"]["loss"] == after["loss"]
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []


def on_ranks_of_their_own(function, *arguments) -> list[int | None]:
    """Exit statuses of two processes that run ``function(rank, *arguments)`` beside each other."""
    both = [FORKS.Process(target=function, args=(rank, *arguments)) for rank in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join(300)
    return [one.exitcode for one in both]


def test_the_measure_is_printed_and_the_run_stays_as_it_is(copied, capsys):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file() and path.suffix != ".lock"}
    app(["train", str(copied), "--measure", "--json"], result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    assert set(found["tokens_per_second"]) == {"float32", "bfloat16"}
    assert found["used"] == "float32"
    assert {path: path.stat().st_mtime_ns for path in before} == before
