"""Alarms: by their plain definition, after a crash, and each of them planted in a training."""

import statistics
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import TrainError
from gristmill.handoff.trace import trace
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.model import router
from gristmill.trainer.training import loop
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.watch import Alarm, Watch
from tests.trainer.conftest import changed

BOUNDS = AlarmBounds(load_std=0.3, dead_experts=0.5, domain_loss=0.3, window=3)
PLANTED = 60  # a step of the long run, whose rows become noise
NAMES = ("load_std/0", "load_dead/0", "loss/web")


def naive(rows, bounds):
    """Every alarm by looking at all values again."""
    for column, kind, bound in zip(NAMES, ("load_std", "dead_experts", "domain_loss"), bounds, strict=True):
        above = []
        known = [(row["step"], row[column]) for row in rows if row[column] is not None]
        for at, (step, value) in enumerate(known):
            values = [one for _, one in known]
            if kind == "domain_loss":
                window = values[max(at - BOUNDS.window, 0) : at]
                spread = [abs(one - statistics.median(window)) for one in window]
                figure = value - statistics.median(window) if window else 0.0
                limit = max(bound, 6 * statistics.median(spread)) if window else bound
            else:
                window = values[max(at + 1 - BOUNDS.window, 0) : at + 1]
                figure, limit = statistics.median(window), bound
            above.append(len(window) == BOUNDS.window and figure > limit)
            if above[-1] and not (len(above) > 1 and above[-2]) and bound:
                yield Alarm(step, kind, column.partition("/")[2], figure, bound)


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]), st.floats(0, 3))
ROWS = st.lists(st.tuples(VALUES, st.sampled_from([0.0, 1.0]), VALUES), max_size=40)


@settings(deadline=None, max_examples=150)
@given(ROWS, st.integers(0, 40), st.booleans())
def test_alarms_are_those_of_the_definition_and_of_a_training_that_went_on(values, cut, silent):
    bounds = BOUNDS.model_copy(update={"load_std": 0.0}) if silent else BOUNDS
    rows = [{"step": step, **dict(zip(NAMES, row, strict=True)), "loss": 9.0} for step, row in enumerate(values, 1)]
    expected = sorted(naive(rows, (bounds.load_std, bounds.dead_experts, bounds.domain_loss)))
    watch = Watch(bounds)
    assert sorted(alarm for row in rows for alarm in watch.see(row)) == expected
    later = Watch(bounds)
    later.recall(pa.Table.from_pylist(rows[:cut], pa.schema([(name, pa.float64()) for name in (*NAMES, "step")])))
    found = [alarm for row in rows[cut:] for alarm in later.see(row)]
    assert sorted(found) == [alarm for alarm in expected if alarm.step > cut]


@pytest.mark.parametrize(("key", "value"), [("window", 0), ("load_std", -1.0), ("domain_loss", float("nan"))])
def test_bounds_that_cannot_be(config, key, value):
    with pytest.raises(TrainError, match=f"trainer.alarms.{key} is"):
        replace(config, alarms=AlarmBounds.model_construct(**{**AlarmBounds().model_dump(), key: value}))


def alarms(out, *kinds):
    return [row for row in pq.read_table(out / "alarms.parquet").to_pylist() if row["kind"] in kinds]


@pytest.mark.parametrize("forced", [True, False])
def test_planted_load_rings_in_every_layer_once(run, config, tmp_path, monkeypatch, forced):
    """Two of four experts take all: a standard deviation of one, and two dead; in turn: nothing."""
    monkeypatch.setattr(router, "choose", lambda scores, *_: torch.arange(2).expand(len(scores), 2))
    config = changed(config, forced_balance=not forced, alarms=BOUNDS)
    train(run, tmp_path, config)
    found = alarms(tmp_path, "load_std", "dead_experts")
    expected = {("load_std", "0", 1.0), ("load_std", "1", 1.0), ("dead_experts", "0", 2.0), ("dead_experts", "1", 2.0)}
    assert {(row["kind"], row["place"], row["value"]) for row in found} == (expected if forced else set())
    assert {row["step"] for row in found} <= {BOUNDS.window}
    documents = [one["doc_id"] for row in trace(run, BOUNDS.window - 1, config.batch_rows) for one in row["documents"]]
    assert all(set(row["documents"]) == set(documents) for row in found)
    counted = pq.read_table(tmp_path / "metrics.parquet")["alarms"].to_pylist()
    assert counted == [0, 0, 4 * forced, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def with_noise(long_run, tmp_path_factory):
    """A training one of whose steps gets random tokens; stopped behind it, and gone on with."""
    from tests.trainer.conftest import small_config

    config = replace(small_config(), alarms=AlarmBounds(window=10), checkpoint_steps=50)
    out, plain = tmp_path_factory.mktemp("noise"), loop.pack_batch

    def planted(batch):
        packed, noise = plain(batch), torch.Generator().manual_seed(1)
        if batch.step != PLANTED - 1:
            return packed
        tokens = torch.randint(config.vocab_size, packed.tokens.shape, generator=noise)
        return packed._replace(tokens=tokens, targets=tokens[packed.inputs + 1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "pack_batch", planted)
        for stop in (PLANTED - 2, PLANTED + 1, 80):
            train(long_run, out, config, max_steps=stop)
    return out


def test_planted_noise_rings_for_its_step_and_names_its_documents(long_run, with_noise):
    found = alarms(with_noise, "domain_loss")
    assert {row["step"] for row in found} == {PLANTED}
    rows = trace(long_run, PLANTED - 1, 4)
    places = {row["place"] for row in found}
    assert {"books", "web"} <= places <= {row["domain"] for row in rows}  # code is still learning: its spread is wide
    for one in found:
        named = [document["doc_id"] for row in rows if row["domain"] == one["place"] for document in row["documents"]]
        assert sorted(one["documents"]) == sorted(named)
        assert one["value"] > one["bound"] == 0.3


def test_the_log_names_step_and_documents(run, config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(router, "choose", lambda scores, *_: torch.arange(2).expand(len(scores), 2))
    train(run, tmp_path, replace(config, alarms=BOUNDS), max_steps=3)
    first = alarms(tmp_path, "load_std")[0]
    told = [record.getMessage() for record in caplog.records]
    assert f"step 3: load_std of layer 0 is 1, above 0.3; documents {first['documents'][0]}," in told[0]
    assert len(told) == 4


def test_bounds_decide_no_weight_and_are_no_other_training(config):
    assert replace(config, alarms=BOUNDS).identity() == config.identity()


def test_a_bound_of_nothing_never_rings(run, config, tmp_path, monkeypatch):
    monkeypatch.setattr(router, "choose", lambda scores, *_: torch.arange(2).expand(len(scores), 2))
    silent = AlarmBounds(load_std=0, dead_experts=0, domain_loss=0, window=1)
    train(run, tmp_path, replace(config, alarms=silent), max_steps=3)
    assert pq.read_table(tmp_path / "alarms.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "metrics.parquet")["alarms"].to_pylist() == [0, 0, 0]
