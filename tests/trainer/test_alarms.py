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
from gristmill.trainer.training import opened
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.watch import Alarm, Watch
from tests.trainer.conftest import changed

BOUNDS = AlarmBounds(load_std=0.3, dead_experts=0.5, domain_loss=0.3, window=3)
PLANTED = 60  # a step of the long run, whose rows become noise
NAMES = ("choices/0", "choices/0", "loss/web")


def spread(window):
    """Of the loads of all choices of some steps: standard deviation in units of the mean, less that of chance."""
    together = [sum(one) for one in zip(*window, strict=True)]
    mean, n = statistics.fmean(together), max(sum(together), 1)
    by_chance = (len(together) - 1) / n
    return max(statistics.pvariance([one / max(mean, 1e-9) for one in together]) - by_chance, 0) ** 0.5


def dead(window):
    together = [sum(one) for one in zip(*window, strict=True)]
    return float(sum(one < 0.1 * statistics.fmean(together) for one in together))


def naive(rows, bounds):
    """Every alarm by looking at all values again."""
    for column, kind, bound in zip(NAMES, ("load_std", "dead_experts", "domain_loss"), bounds, strict=True):
        above = []
        known = [(row["step"], row[column]) for row in rows if row[column] is not None]
        for at, (step, value) in enumerate(known):
            values = [one for _, one in known]
            if kind == "domain_loss":
                window = values[max(at - BOUNDS.window, 0) : at]
                away = [abs(one - statistics.median(window)) for one in window]
                figure = value - statistics.median(window) if window else 0.0
                limit = max(bound, 6 * statistics.median(away)) if window else bound
            else:
                window = values[max(at + 1 - BOUNDS.window, 0) : at + 1]
                figure, limit = (spread if kind == "load_std" else dead)(window), bound
            above.append(len(window) == BOUNDS.window and figure > limit)
            if above[-1] and not (len(above) > 1 and above[-2]) and bound:
                yield Alarm(step, kind, column.partition("/")[2], figure, bound)


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]), st.floats(0, 3))
CHOICES = st.one_of(st.none(), st.lists(st.sampled_from([0, 1, 50, 900]), min_size=4, max_size=4))
ROWS = st.lists(st.tuples(CHOICES, VALUES), max_size=40)


@settings(deadline=None, max_examples=150)
@given(ROWS, st.integers(0, 40), st.booleans())
def test_alarms_are_those_of_the_definition_and_of_a_training_that_went_on(values, cut, silent):
    bounds = BOUNDS.model_copy(update={"load_std": 0.0}) if silent else BOUNDS
    rows = [
        {"step": step, "choices/0": choices, "loss/web": loss, "loss": 9.0}
        for step, (choices, loss) in enumerate(values, 1)
    ]
    expected = sorted(naive(rows, (bounds.load_std, bounds.dead_experts, bounds.domain_loss)))
    watch = Watch(bounds)
    same([alarm for row in rows for alarm in watch.see(row)], expected)
    later = Watch(bounds)
    schema = pa.schema([("step", pa.int64()), ("choices/0", pa.list_(pa.int64())), ("loss/web", pa.float64())])
    later.recall(pa.Table.from_pylist(rows[:cut], schema))
    found = [alarm for row in rows[cut:] for alarm in later.see(row)]
    same(found, [alarm for alarm in expected if alarm.step > cut])


def same(found, expected):
    assert [one[:3] for one in sorted(found)] == [one[:3] for one in expected]
    assert [one.value for one in sorted(found)] == pytest.approx([one.value for one in expected])


def rings_of(choices, steps=60):
    """Kinds that ring with so many choices of each expert in every step, those of ``choices(step)``."""
    watch = Watch(AlarmBounds())
    return {alarm.kind for step in range(steps) for alarm in watch.see({"step": step, "choices/0": choices(step)})}


def test_an_even_router_of_few_tokens_is_no_alarm_and_a_leaning_one_is():
    """64 choices a step among 8 experts: each step's deviation is 0.33 by chance, and says nothing."""
    rng = torch.Generator().manual_seed(0)

    def drawn(chances):
        return torch.bincount(torch.tensor(chances).multinomial(64, replacement=True, generator=rng), minlength=8)

    even, leaning = [1.0] * 8, [1.5, *[1.0] * 6, 0.5]
    assert rings_of(lambda _: drawn(even).tolist()) == set()
    assert rings_of(lambda _: drawn(leaning).tolist()) == {"load_std"}
    assert rings_of(lambda step: [32 * (one // 2 == step % 4) for one in range(8)]) == set()  # in turn is even
    assert rings_of(lambda _: [9] * 7 + [0]) == {"load_std", "dead_experts"}


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
    expected = {("load_std", "0", 1), ("load_std", "1", 1), ("dead_experts", "0", 2), ("dead_experts", "1", 2)}
    assert {(row["kind"], row["place"], round(row["value"], 1)) for row in found} == (expected if forced else set())
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
    out, plain = tmp_path_factory.mktemp("noise"), opened.pack_batch

    def planted(batch):
        packed, noise = plain(batch), torch.Generator().manual_seed(1)
        if batch.step != PLANTED - 1:
            return packed
        tokens = torch.randint(config.vocab_size, packed.tokens.shape, generator=noise)
        return packed._replace(tokens=tokens, targets=tokens[packed.inputs + 1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "pack_batch", planted)
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
    assert f"step 3: load_std of layer 0 is 0.997, above 0.3; documents {first['documents'][0]}," in told[0]
    assert len(told) == 4


def test_bounds_decide_no_weight_and_are_no_other_training(config):
    assert replace(config, alarms=BOUNDS).identity() == config.identity()


def test_a_bound_of_nothing_never_rings(run, config, tmp_path, monkeypatch):
    monkeypatch.setattr(router, "choose", lambda scores, *_: torch.arange(2).expand(len(scores), 2))
    silent = AlarmBounds(load_std=0, dead_experts=0, domain_loss=0, window=1)
    train(run, tmp_path, replace(config, alarms=silent), max_steps=3)
    assert pq.read_table(tmp_path / "alarms.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "metrics.parquet")["alarms"].to_pylist() == [0, 0, 0]
