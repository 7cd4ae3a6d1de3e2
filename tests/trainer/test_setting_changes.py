"""What diverged goes on from its last good checkpoint, nothing unfit is saved, and a change stands in the log."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.typed_json import to_json
from gristmill.trainer.schedules import learning_rate_at
from gristmill.trainer.training import advance, checkpoint
from gristmill.trainer.training.format_speed import measure
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.setting_changes import FILE, config_at, request_changes
from gristmill.trainer.training.step import train_step
from gristmill.trainer.training_summary import Change
from tests.trainer.conftest import changed

STEPS = 7


def rates(out):
    return pq.read_table(out / "metrics.parquet")["learning_rate"].to_pylist()


def saved(out):
    return checkpoint.load_latest(out / "checkpoints")


def finite(out):
    found = [checkpoint.load(path) for path in (out / "checkpoints").glob("step-*")]
    return found and all(
        value.isfinite().all() for one in found for value in (*one.model.values(), *one.training.values())
    )


@pytest.mark.parametrize("good", [0, 4])
def test_what_diverged_goes_on_from_its_last_good_checkpoint(run, config, tmp_path, good):
    """Planted: a rate of 1e38 from the first step on, or from step 5 on; its first update leaves no finite weight."""
    every = replace(config, checkpoint_steps=1)
    if good:
        train(run, tmp_path, every, max_steps=good)
    request_changes(tmp_path, every, {"learning_rate": 1e38, "warmup_steps": 0})
    for _ in range(2):  # a rerun alone changes nothing and harms nothing
        with pytest.raises(TrainError, match=r"training diverged.*--set learning_rate=...` goes on from"):
            train(run, tmp_path, every)
        assert (saved(tmp_path).step if good else saved(tmp_path)) == (good or None)
    request_changes(tmp_path, every, {"learning_rate": 1e-3})
    summary = train(run, tmp_path, every)
    assert finite(tmp_path)
    assert summary.steps == STEPS
    expected = (Change(good, "warmup_steps", 2, 0), Change(good, "learning_rate", 0.01, 0.001))
    assert set(summary.changes) == set(expected)
    before = [learning_rate_at(step, STEPS, 2, 0.01) for step in range(good)]
    assert rates(tmp_path) == before + [learning_rate_at(step, STEPS, 0, 0.001) for step in range(good, STEPS)]


def test_a_change_is_met_again_at_its_step(run, config, tmp_path):
    """The same changes from step 0 on, uninterrupted, give the same weights to the bit."""
    train(run, tmp_path / "a", config, max_steps=4)
    changes = request_changes(tmp_path / "a", config, {"learning_rate": 0.03, "max_grad_norm": 0.05})
    last = train(run, tmp_path / "a", config)
    (tmp_path / "b").mkdir()
    write_json(tmp_path / "b" / FILE, to_json(changes))
    assert train(run, tmp_path / "b", config) == last
    plain = train(run, tmp_path / "c", config)
    weights = [saved(tmp_path / name).model for name in "abc"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["embedding"], weights[2]["embedding"])
    assert plain.changes == ()


def test_changes_other_than_the_checkpoint_was_trained_with_are_refused(run, config, tmp_path):
    train(run, tmp_path, config, max_steps=2)
    request_changes(tmp_path, config, {"learning_rate": 0.03})
    train(run, tmp_path, config, max_steps=4)
    document = read_json(tmp_path / FILE)
    write_json(tmp_path / FILE, [document[0] | {"after": 0.04}])
    with pytest.raises(TrainError, match=r"step 4 was not trained with the changes that changes\.json now holds"):
        train(run, tmp_path, config)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"width": 32}, "trainer.width cannot change during a training; learning_rate, warmup_steps and max_grad_norm"),
        ({"learning_rate": -1.0}, "trainer.learning_rate is -1.0, expected more than 0"),
        ({"warmup_steps": 1.5}, "trainer.warmup_steps is 1.5, expected a whole number"),
    ],
)
def test_a_change_that_cannot_be_is_refused_before_anything_is_written(config, tmp_path, wanted, message):
    with pytest.raises(TrainError, match=message.replace(" and", ",").partition(", warm")[0]):
        request_changes(tmp_path, config, wanted)
    assert not (tmp_path / FILE).exists()


def test_a_finished_training_takes_no_change(run, config, tmp_path):
    train(run, tmp_path, config, max_steps=2)
    write_json(tmp_path / "done.json", {})
    with pytest.raises(TrainError, match="is finished, so no step is left"):
        request_changes(tmp_path, config, {"learning_rate": 0.1})


def test_a_later_change_of_the_same_key_is_forgotten(run, config, tmp_path):
    train(run, tmp_path, config, max_steps=4)
    request_changes(tmp_path, config, {"learning_rate": 0.03})
    shutil.rmtree(tmp_path / "checkpoints" / "step-000000004")
    found = request_changes(tmp_path, config, {"learning_rate": 0.02})
    assert found == (Change(2, "learning_rate", 0.01, 0.02),)
    assert [config_at(config, found, step).learning_rate for step in (0, 1, 2, 9)] == [0.01, 0.01, 0.02, 0.02]
    assert request_changes(tmp_path, config, {"learning_rate": 0.01}) == ()


@pytest.mark.parametrize("where", ["model", "training"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_that_is_not_finite_is_saved(tmp_path, where, value):
    whole = checkpoint.Checkpoint(1, {"w": torch.ones(2)}, {"m": torch.ones(2), "n": torch.ones(2).long()}, {})
    planted = replace(whole, **{where: {"bad": torch.tensor([1.0, value])}})
    with pytest.raises(TrainError, match="bad is not finite behind step 1"):
        checkpoint.save(tmp_path, planted)
    assert not list(tmp_path.iterdir())
    checkpoint.save(tmp_path, whole)


def test_weights_that_the_last_batch_does_not_reach_are_looked_at_too(run, config, tmp_path, monkeypatch):
    """A loss can be finite beside an expert that is not: another batch would choose it."""
    real = advance.train_step

    def plant(model, *rest):
        result = real(model, *rest)
        model.layers[0].router.bias[3] = -torch.inf  # never chosen
        return result

    monkeypatch.setattr(advance, "train_step", plant)
    with pytest.raises(TrainError, match=r"blocks\.0\.router\.bias is not finite behind step 2: training diverged"):
        train(run, tmp_path, config)
    assert saved(tmp_path) is None


def test_a_gradient_is_cut_to_the_norm_asked_for(run, config, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: seen.append(norm(self)))

    def norm(optimizer):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        return torch.linalg.vector_norm(torch.cat([grad.flatten() for grad in gradients])).item()

    batch = read_heldout(run / "heldout", ("books",), config)["books"][0]
    for limit in (0.01, 1e9):
        session = begin(changed(config, max_grad_norm=limit, dropout=0.0))
        result = train_step(session.model, session.optimizer, [batch], session.config)
        assert seen[-1] == pytest.approx(min(limit, result.grad_norm), rel=1e-3)


def test_speed_of_both_precisions_is_measured_and_nothing_written(run, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = measure(run, replace(config, precision="auto"), rounds=2)
    assert set(found.tokens_per_second) == {"float32", "bfloat16"}
    assert found.tokens_per_second[found.faster] == max(found.tokens_per_second.values())
    assert np.isfinite(list(found.tokens_per_second.values())).all()
    assert found.used == "float32"
    assert not list(tmp_path.iterdir())
