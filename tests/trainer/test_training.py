"""Whole trainings on a small run: what was consumed, determinism, resume, and what every saved piece is for."""

import contextlib
import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from gristmill.corpus.errors import GristmillError, TrainError
from gristmill.handoff.audit import consumed, differences
from gristmill.handoff.plan import Plan
from gristmill.trainer.model.balance import BALANCES, Balance
from gristmill.trainer.schedules import learning_rate_at
from gristmill.trainer.training import advance, checkpoint
from gristmill.trainer.training.consumption import CONSUMPTION
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.setting_changes import request_changes
from gristmill.trainer.training.step import train_step
from tests.forks import exit_status
from tests.trainer.conftest import changed
from tests.trainer.processes import train_and_die

STEPS, SAMPLES = 7, 26
CLOCK = ["seconds", "tokens_per_second"]


def metrics(out):
    return pq.read_table(out / "metrics.parquet").drop_columns(CLOCK)


def weights(out):
    return checkpoint.load_latest(out / "checkpoints").model


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Where ``done`` trains once for all tests."""
    return tmp_path_factory.mktemp("straight")


@pytest.fixture
def done(run, config, straight):
    """An uninterrupted training."""
    if not (straight / "summary.json").exists():
        train(run, straight, config)
    return straight


def test_consumption_equals_the_plan(run, done):
    consumption = pq.read_table(done / "consumption.parquet")
    assert differences(run, consumption) == []
    assert consumption.num_rows == SAMPLES
    assert consumption["step"].to_pylist() == [1 + i // 4 for i in range(SAMPLES)]
    counted = {
        name: [Plan.load(run / "plan").names[at] for at in consumption["domain"].to_pylist()].count(name)
        for name in ("books", "code", "web")
    }
    assert counted == consumed(run, SAMPLES)


def test_tokens_by_domain_equal_the_slices_of_the_plan(run, done):
    from gristmill.handoff.loader import Loader

    expected = dict.fromkeys(Plan.load(run / "plan").names, 0)
    for batch in Loader(run, batch_rows=4):
        for row, length in zip(batch.slices.row, batch.slices.length, strict=True):
            expected[list(expected)[batch.domain[row]]] += int(length)
    summary = json.loads((done / "summary.json").read_text())
    assert summary["tokens_by_domain"] == expected
    assert summary["tokens"] == sum(expected.values())
    assert (summary["steps"], summary["samples"]) == (STEPS, SAMPLES)


def test_summary_agrees_with_the_metrics(done):
    summary, table = json.loads((done / "summary.json").read_text()), metrics(done)
    assert summary["loss"]["first"] == table["loss"][0].as_py()
    assert summary["loss"]["last"] == pytest.approx(np.mean(table["loss"].to_numpy()))
    assert set(summary["load"]) == {"max_over_mean", "min_over_mean", "std", "entropy", "dead"}
    assert 0 < summary["active_parameters"] < summary["parameters"]
    assert set(summary["loss_by_domain"]) == {"books", "code", "web"}
    assert json.loads((done / "timing.json").read_text())["tokens_per_second"] > 0


def test_loss_per_step_is_the_mean_over_domains(done):
    for row in metrics(done).to_pylist():
        parts = [row[f"loss/{name}"] for name in ("books", "code", "web")]
        present = [part for part in parts if part is not None]
        assert min(present) <= row["loss"] <= max(present)
        assert [part is None for part in parts] == [row[f"tokens/{name}"] == 0 for name in ("books", "code", "web")]


def test_two_trainings_are_equal_to_the_bit(run, config, done, tmp_path):
    train(run, tmp_path, config)
    assert metrics(tmp_path).equals(metrics(done))
    assert same(weights(tmp_path), weights(done))
    for name in ("summary.json", "consumption.parquet"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes()


@pytest.mark.parametrize("stops", [(3,), (2, 3, 6)])
def test_resumed_equals_uninterrupted(run, config, done, tmp_path, stops):
    for stop in stops:
        assert train(run, tmp_path, config, max_steps=stop).steps == stop
    train(run, tmp_path, replace(config, checkpoint_steps=5))
    assert metrics(tmp_path).equals(metrics(done))
    assert same(weights(tmp_path), weights(done))
    for name in ("summary.json", "consumption.parquet"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes()


def test_killed_twice_and_resumed_equals_uninterrupted(run, config, done, tmp_path):
    """bench/resume_kills.py does so at 30 random steps."""
    for step in (3, 6):
        assert exit_status(train_and_die, run, tmp_path, config, step) == -signal.SIGKILL
    train(run, tmp_path, config)
    assert metrics(tmp_path).equals(metrics(done))
    assert same(weights(tmp_path), weights(done))
    assert (tmp_path / "consumption.parquet").read_bytes() == (done / "consumption.parquet").read_bytes()


@pytest.mark.parametrize("checkpoint_steps", [2, 100])
def test_a_crash_between_checkpoints_leaves_no_gap_and_no_repeat(run, config, done, tmp_path, checkpoint_steps):
    config = replace(config, checkpoint_steps=checkpoint_steps)

    def crash(record):
        if record.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path, config, on_step=crash)
    seen = []
    train(run, tmp_path, config, on_step=lambda record: seen.append(record.step))
    assert seen == list(range(5 if checkpoint_steps == 2 else 1, STEPS + 1))
    assert differences(run, pq.read_table(tmp_path / "consumption.parquet")) == []
    assert metrics(tmp_path).equals(metrics(done))


def test_a_crash_after_the_tables_and_before_the_checkpoint(run, config, done, tmp_path, monkeypatch):
    real = checkpoint.save

    def save(folder, state, spread):
        if state.step == 4:
            raise OSError("disk full")
        return real(folder, state, spread)

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(OSError, match="disk full"):
        train(run, tmp_path, config)
    monkeypatch.setattr(checkpoint, "save", real)
    train(run, tmp_path, config)
    assert metrics(tmp_path).equals(metrics(done))
    assert differences(run, pq.read_table(tmp_path / "consumption.parquet")) == []


def test_a_finished_training_takes_no_more_steps(run, config, done):
    before = (done / "summary.json").read_bytes()
    train(run, done, config, on_step=lambda record: pytest.fail("a step was taken"))
    assert (done / "summary.json").read_bytes() == before


def without_model(state, config):
    fresh = begin(config).model.state_dict()
    state.model.update({name: value for name, value in fresh.items() if not name.endswith("router.bias")})


def without_bias(state, config):
    for name in state.model:
        if name.endswith("router.bias"):
            state.model[name] = torch.zeros_like(state.model[name])


def without_optimizer(state, config):
    for name in [name for name in state.training if name.startswith("optimizer.")]:
        del state.training[name]


def without_generator(state, config):
    torch.manual_seed(0)
    state.training["generator"] = torch.get_rng_state()


def without_cursor(state, config):
    state.state["loader"]["cursor"] = 0


@pytest.mark.parametrize(
    "forget", [None, without_model, without_bias, without_optimizer, without_generator, without_cursor]
)
def test_every_saved_piece_is_needed(run, config, done, tmp_path, forget):
    train(run, tmp_path, config, max_steps=3)  # after an even step this small model's biases happen to be 0
    folder = tmp_path / "checkpoints"
    state = checkpoint.load_latest(folder)
    state = replace(state, model=dict(state.model), training=dict(state.training))
    if forget:
        forget(state, config)
    checkpoint.save(folder, state)
    train(run, tmp_path, config)
    equal = metrics(tmp_path).equals(metrics(done)) and same(weights(tmp_path), weights(done))
    assert equal == (forget is None)


def test_unigram_counts_are_saved(run, config, done, tmp_path):
    train(run, tmp_path, config, max_steps=4)
    state = checkpoint.load_latest(tmp_path / "checkpoints")
    checkpoint.save(
        tmp_path / "checkpoints", replace(state, training=state.training | {"unigrams": torch.zeros(64).long()})
    )
    summary = train(run, tmp_path, config)
    expected = json.loads((done / "summary.json").read_text())["loss"]
    assert summary.loss.heldout_unigram != expected["heldout_unigram"]
    assert summary.loss.heldout_after == expected["heldout_after"]


def test_another_config_is_refused(run, config, done):
    with pytest.raises(TrainError, match=r"trainer\.learning_rate was 0\.01 and is 0\.02.*remove the train folder"):
        train(run, done, replace(config, learning_rate=0.02))


def test_another_plan_is_refused(run, config, done, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    plan = Plan.load(run / "plan")
    Plan.build(plan.domains, row_tokens=plan.row_tokens, seed=99, segments=plan.segments).save(other / "plan")
    with pytest.raises(TrainError, match=r"made on plan .*Remove the train folder"):
        train(other, done, config)


@pytest.mark.parametrize(("key", "value", "section"), [("vocab_size", 65, "tokenizer"), ("row_tokens", 16, "shards")])
def test_shards_that_do_not_fit_are_refused(run, config, tmp_path, key, value, section):
    with pytest.raises(TrainError, match=rf"domain 'books' have {key} .*{section}\.{key}"):
        train(run, tmp_path, changed(config, **{key: value}))


def test_a_folder_without_a_plan_is_refused(config, tmp_path):
    with pytest.raises(GristmillError):
        train(tmp_path, tmp_path / "out", config)


def test_no_steps_are_refused(run, config, tmp_path):
    with pytest.raises(TrainError, match="max_steps is 0"):
        train(run, tmp_path, config, max_steps=0)


def test_divergence_is_an_error_that_names_the_key(run, config, tmp_path, monkeypatch):
    real = advance.train_step
    monkeypatch.setattr(advance, "train_step", lambda *a: real(*a)._replace(loss=float("nan")))
    with pytest.raises(TrainError, match=r"loss is nan at step 1.*trainer\.learning_rate"):
        train(run, tmp_path, config)
    assert not list(tmp_path.glob("checkpoints/step-*"))


@pytest.mark.parametrize("rate", [1e4, 1e20, 1e38])
def test_no_update_is_saved_that_the_next_step_dies_of(run, config, tmp_path, rate):
    """With 1e38 the first update leaves weights that are no numbers; with less, norms still save the model."""
    wild = replace(config, learning_rate=rate, warmup_steps=0, checkpoint_steps=1)
    with contextlib.suppress(TrainError):
        train(run, tmp_path, wild)
    for found in (tmp_path / "checkpoints").glob("step-*/*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(found).values()), found
    saved = checkpoint.load_latest(tmp_path / "checkpoints")
    if saved:  # then the plan goes on behind it, or from a step before
        with pytest.raises(TrainError, match="learning_rate"):
            request_changes(tmp_path, wild, {"learning_rate": 0.0}, back_to=0)
        assert checkpoint.load_latest(tmp_path / "checkpoints").step == saved.step
        request_changes(tmp_path, wild, {"learning_rate": 1e-3}, back_to=0)
        assert train(run, tmp_path, wild).changes[0].step == 0
    else:
        assert train(run, tmp_path, config).steps == STEPS  # and another rate is free to begin


def test_a_gradient_that_is_no_number_moves_nothing(run, config, monkeypatch):
    session = begin(config)
    before = {name: value.clone() for name, value in session.model.state_dict().items()}
    monkeypatch.setattr(
        "gristmill.trainer.training.division.torch.nn.utils.get_total_norm", lambda *_: torch.tensor(float("inf"))
    )
    batch = read_heldout(run / "heldout", ("books",), config)["books"][0]
    result = train_step(session.model, session.optimizer, [batch], config)
    assert not result.is_finite
    assert same(session.model.state_dict(), before)
    assert all(parameter.grad is None for parameter in session.model.parameters())


@pytest.mark.parametrize("device", ["meta", "cuda:99", "vulkan", "mps", "xla"])
def test_a_device_that_is_not_there_is_named(run, config, tmp_path, device):
    with pytest.raises(
        TrainError, match=rf"trainer\.device is '{device}', which this machine does not have.*It has cpu"
    ):
        train(run, tmp_path, replace(config, device=device))
    assert not list(tmp_path.iterdir())


def test_training_without_heldout_rows(run, config, tmp_path):
    for name in ("plan", "shards"):
        shutil.copytree(run / name, tmp_path / "run" / name)
    summary = train(tmp_path / "run", tmp_path / "out", config, max_steps=1)
    assert summary.loss.heldout_after is None
    assert summary.heldout_load is None


@pytest.mark.parametrize("balance", ["switch", "sequence"])
@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_every_gate_and_balance_trains(run, config, tmp_path, balance, score):
    config = changed(config, balance={balance: 0.01, "z": 1e-3}, score=score, shared_experts=0)
    summary = train(run, tmp_path, config, max_steps=2)
    assert summary.steps == 2
    biases = [value for name, value in weights(tmp_path).items() if name.endswith("router.bias")]
    assert all((bias == 0).all() for bias in biases)


def test_a_new_balance_is_one_entry_of_the_table(run, config, tmp_path, monkeypatch):
    seen = []

    def load_of(load):
        seen.append(load.routing.counts.sum().item())
        return load.gates.square().sum()

    monkeypatch.setitem(BALANCES, "squares", Balance(loss=load_of, update=lambda bias, counts, rate: bias.add_(rate)))
    train(run, tmp_path, replace(config, balance={"squares": 0.5}), max_steps=2)
    assert len(seen) == 3 * config.model.layers  # two steps, and a look at the third before the checkpoint
    biases = [value for name, value in weights(tmp_path).items() if name.endswith("router.bias")]
    assert all((bias == 1).all() for bias in biases)


def test_bfloat16_trains_and_is_repeatable(run, config, tmp_path):
    config = changed(config, precision="bfloat16", dropout=0.0)
    for name in ("a", "b"):
        train(run, tmp_path / name, config, max_steps=3)
    assert metrics(tmp_path / "a").equals(metrics(tmp_path / "b"))
    dtypes = {value.dtype for value in weights(tmp_path / "a").values()}
    assert dtypes == {torch.float32}


def test_learning_beats_the_unigram_level(tmp_path, config, long_run):
    """The text is a Markov chain: its context is worth some three nats to whoever reads it."""
    config = changed(config, dropout=0.0, width=32, checkpoint_steps=1000)
    loss = train(long_run, tmp_path, config).loss
    assert loss.heldout_unigram == pytest.approx(np.log(64), abs=0.1)
    assert loss.heldout_after < 0.75 * loss.heldout_unigram
    assert loss.last < loss.first
    assert abs(loss.heldout_before - np.log(64)) < 0.2


def test_the_learning_rate_of_each_step(done):
    rates = metrics(done)["learning_rate"].to_pylist()
    assert rates == [learning_rate_at(step, STEPS, 2, 0.01) for step in range(STEPS)]
    assert max(rates) == 0.01
    assert rates[-1] == pytest.approx(0.001)


def test_consumption_has_the_documented_columns(done):
    assert pq.read_schema(done / "consumption.parquet").equals(CONSUMPTION)
    assert pa.types.is_floating(pq.read_schema(done / "metrics.parquet").field("load_entropy").type)
