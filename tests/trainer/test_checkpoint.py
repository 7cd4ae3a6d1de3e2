"""Checkpoints are whole or not there, and hold no pickle."""

import errno
import json
import signal
from dataclasses import replace

import pytest
import torch

from gristmill.corpus.errors import TrainError
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.checkpoint import Checkpoint, load_latest, save
from gristmill.trainer.training.log import Log
from gristmill.trainer.training.loop import train
from tests.forks import exit_status
from tests.trainer.processes import save_and_die


def make(step):
    return Checkpoint(step, {"w": torch.full((3,), float(step))}, {"rng": torch.arange(4).byte()}, {"cursor": step})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(tmp_path):
    save(tmp_path, make(7))
    found = load_latest(tmp_path)
    assert (found.step, found.state) == (7, {"cursor": 7})
    assert found.model["w"].tolist() == [7, 7, 7]
    assert found.training["rng"].dtype == torch.uint8


def test_the_last_two_are_kept(tmp_path):
    for step in (1, 2, 10):
        save(tmp_path, make(step))
    assert names(tmp_path) == ["step-000000002", "step-000000010"]
    assert load_latest(tmp_path).step == 10


def test_no_checkpoint_is_none(tmp_path):
    assert load_latest(tmp_path / "nothing") is None


def test_same_state_same_bytes(tmp_path):
    for place in ("a", "b"):
        save(tmp_path / place, make(1))
    for name in names(tmp_path / "a" / "step-000000001"):
        a, b = (tmp_path / place / "step-000000001" / name for place in ("a", "b"))
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog, name, harm):
    save(tmp_path, make(1))
    victim = save(tmp_path, make(2)) / name
    content = bytearray(victim.read_bytes())
    if harm == "remove":
        victim.unlink()
    elif harm == "cut":
        victim.write_bytes(content[: len(content) // 2])
    elif name == "state.json":
        victim.write_text(json.dumps(json.loads(content) | {"files": {}}))
    else:
        content[-1] ^= 1
        victim.write_bytes(content)
    assert load_latest(tmp_path).step == 1
    assert "step-000000002 is damaged" in caplog.text


def test_all_damaged_is_an_error_that_says_what_to_do(tmp_path):
    (save(tmp_path, make(1)) / "state.json").write_text("{")
    with pytest.raises(TrainError, match=r"all 1 checkpoints .* remove that folder"):
        load_latest(tmp_path)


def test_training_can_save_over_a_damaged_one(tmp_path):
    save(tmp_path, make(1))
    (save(tmp_path, make(2)) / "model.safetensors").write_bytes(b"")
    save(tmp_path, make(2))
    assert load_latest(tmp_path).step == 2


def test_files_are_safetensors_and_json(tmp_path):
    folder = save(tmp_path, make(1))
    assert names(folder) == ["model.safetensors", "state.json", "training.safetensors"]
    for path in folder.glob("*.safetensors"):
        header = int.from_bytes(path.read_bytes()[:8], "little")
        assert json.loads(path.read_bytes()[8 : 8 + header])


@pytest.mark.parametrize(
    ("moment", "step"), [("model.safetensors", 2), ("training.safetensors", 2), ("rename", 2), ("after", 3)]
)
def test_kill_in_the_middle_leaves_a_whole_checkpoint(tmp_path, moment, step):
    for before in (1, 2):
        save(tmp_path, make(before))
    assert exit_status(save_and_die, tmp_path, moment) == -signal.SIGKILL
    assert load_latest(tmp_path).step == step
    save(tmp_path, make(3))
    save(tmp_path, make(4))
    assert names(tmp_path) == ["step-000000003", "step-000000004"]


def test_a_log_forgets_what_no_checkpoint_covers(tmp_path):
    import pyarrow as pa

    schema = pa.schema([("step", pa.int64())])
    log = Log(tmp_path, "metrics", schema)
    for sealed in ((1, 2), (3, 4), (5,)):
        log.append({"step": list(sealed)})
        log.seal(sealed[-1])
    log.append({"step": [6]})
    log.rewind(4)
    log.seal(4)
    assert log.read()["step"].to_pylist() == [1, 2, 3, 4]
    log.append({"step": [5]})
    log.seal(5)
    assert log.join(tmp_path / "all.parquet")["step"].to_pylist() == [1, 2, 3, 4, 5]


def test_joined_bytes_do_not_tell_of_segments(tmp_path):
    import pyarrow as pa

    schema = pa.schema([("step", pa.int64()), ("domain", pa.string())])
    for name, cuts in (("a", [3, 7, 100]), ("b", [100])):
        log, begin = Log(tmp_path / name, "c", schema), 0
        for end in cuts:
            for step in range(begin, end):
                log.append({"step": [step], "domain": ["web"]})
            log.seal(end)
            begin = end
        log.join(tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_crash_behind_the_last_checkpoint_leaves_none_too_many(run, config, tmp_path, monkeypatch):
    """Planted: the disk is full once the last one is in place, before those of before are dropped."""
    few = replace(config, checkpoint_steps=2, keep=0)
    whole = train(run, tmp_path / "whole", few)
    real = checkpoint.drop_surplus

    def full(folder, spread):
        if checkpoint.saved_steps(folder)[-1] == whole.steps:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, spread)

    monkeypatch.setattr(checkpoint, "drop_surplus", full)
    with pytest.raises(OSError, match="No space left"):
        train(run, tmp_path / "full", few)
    assert len(checkpoint.saved_steps(tmp_path / "full" / "checkpoints")) == 3
    monkeypatch.undo()
    train(run, tmp_path / "full", few)
    steps = [checkpoint.saved_steps(tmp_path / name / "checkpoints") for name in ("whole", "full")]
    assert steps[0] == steps[1]
