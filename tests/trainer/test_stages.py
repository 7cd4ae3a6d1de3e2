"""Stages of a training: their rates, frozen weights, context, answers, and weights that are gone on from."""

import math
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from gristmill.corpus.errors import RecipeError, TrainError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.flows.inspect.verify_replay import Replay, replay_of
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.handoff.loader import Loader
from gristmill.trainer.generate.trained import load_trained
from gristmill.trainer.layouts.layout import LAYOUTS
from gristmill.trainer.layouts.model_files import Ids, write_model
from gristmill.trainer.layouts.parity import compare
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.schedules import SCHEDULES, learning_rate_at
from gristmill.trainer.training import step as step_module
from gristmill.trainer.training.checkpoint import folder_of
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.timeline import first_steps, is_frozen, moment_at, updates_of
from gristmill.trainer.training_stage import TrainingStage
from tests.trainer.conftest import changed, make_run

HELD = ("*.attention.*", "blocks.0.router.*", "embedding")
STAGES = (
    TrainingStage(name="base", schedule="wsd"),
    TrainingStage(name="domain", frozen=HELD, frozen_steps=1, rate=0.5, floor=1.0),
    TrainingStage(name="alignment", frozen=("blocks.1.*",), schedule="step", context=3),
)
STEPS = 7  # of 26 samples, 4 rows a step; the stages begin with steps 0, 3 and 5


@pytest.fixture
def staged(config):
    return replace(config, stages=STAGES, stage_stops=(11, 20, 26), checkpoint_steps=1, keep=9)


def weights(out, step):
    return load_file(folder_of(out / "checkpoints", step) / "model.safetensors")


def metrics(out):
    return pq.read_table(out / "metrics.parquet").drop(["seconds", "tokens_per_second"])


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    from tests.trainer.conftest import small_config

    config = replace(small_config(), stages=STAGES, stage_stops=(11, 20, 26), checkpoint_steps=1, keep=9)
    out = tmp_path_factory.mktemp("staged")
    train(run, out, config)
    return out


def test_a_stage_begins_with_the_first_step_whose_rows_are_all_its_own(staged):
    assert first_steps(staged, STEPS) == [0, 3, 5, 7]
    places = [moment_at(staged, step, STEPS) for step in range(STEPS + 1)]
    assert [one.stage.name for one in places] == [*["base"] * 3, *["domain"] * 2, *["alignment"] * 3]
    assert [(one.step, one.steps) for one in places[3:6]] == [(0, 2), (1, 2), (0, 2)]


def test_rates_follow_the_schedule_of_each_stage(trained, staged):
    plain = [learning_rate_at(step, 3, 2, 0.01, "wsd") for step in range(3)]
    plain += [learning_rate_at(step, 2, 2, 0.005, "cosine", 1.0) for step in range(2)]
    plain += [learning_rate_at(step, 2, 2, 0.01, "step") for step in range(2)]
    assert metrics(trained)["learning_rate"].to_pylist() == plain


@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize("floor", [0.0, 0.1, 1.0])
def test_a_schedule_ends_at_its_floor_and_never_rises(shape, floor):
    rates = [learning_rate_at(step, 50, 5, 2.0, shape, floor) for step in range(50)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(2.0 * (1 if shape == "constant" else floor))
    if shape in ("wsd", "step"):
        assert rates[5:40] == [2.0] * 35
    if shape == "step":
        assert rates[42] == pytest.approx(2.0 * math.sqrt(floor))


def test_frozen_weights_are_equal_to_the_bit_and_all_others_move(trained):
    """Step 4 holds some, step 5 none, steps 6 and 7 those of a block."""
    for step, patterns in ((1, ()), (4, HELD), (5, ()), (6, ("blocks.1.*",)), (7, ("blocks.1.*",))):
        before = weights(trained, step - 1) if step > 1 else None
        after = weights(trained, step)
        for name in after if before else ():
            same = torch.equal(before[name], after[name])
            assert same == is_frozen(name, patterns), (step, name)


@pytest.mark.parametrize("stops", [(1, 4), (2, 3, 5, 6)])
def test_resumed_inside_a_stage_equals_uninterrupted(run, staged, trained, tmp_path, stops):
    for stop in (*stops, STEPS):
        train(run, tmp_path, staged, max_steps=stop)
    assert metrics(tmp_path).equals(metrics(trained))
    ours, theirs = weights(tmp_path, STEPS), weights(trained, STEPS)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def replayed(run, out, config):
    checks = [check for interval in (2, 3, 5) for check in replay_of(run, out, config, Replay(interval))]
    return [f"{check.name}: {check.detail}" for check in checks if not check.ok]


def test_replay_of_stages_finds_nothing_and_a_weight_that_did_not_stay(run, staged, tmp_path, trained):
    still = changed(staged, dropout=0.0)
    train(run, tmp_path / "still", still)
    assert replayed(run, tmp_path / "still", still) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "freeze", lambda *_: None)
        train(run, tmp_path / "moved", still)
    assert any(
        "step 4: its checkpoint is of step 4, with 4 updates" in one for one in replayed(run, tmp_path / "moved", still)
    )


def test_updates_are_those_of_the_steps_that_move_a_weight(staged):
    for name in ("embedding", "blocks.1.attention.qkv", "blocks.0.experts.down"):
        for done in range(STEPS + 1):
            moved = [not is_frozen(name, moment_at(staged, step, STEPS).frozen) for step in range(done)]
            assert updates_of(name, staged, done, STEPS) == sum(moved)


def test_a_context_narrows_what_a_stage_sees(run, staged, tmp_path):
    """The same weights, and another loss from the first step of the stage on."""
    wide = replace(staged, stages=(*STAGES[:2], STAGES[2].model_copy(update={"context": 0})))
    narrow, losses = changed(staged, dropout=0.0), []
    for name, config in (("narrow", narrow), ("wide", changed(wide, dropout=0.0))):
        train(run, tmp_path / name, config)
        losses.append(metrics(tmp_path / name)["loss"].to_pylist())
    assert losses[0][:5] == losses[1][:5]
    assert losses[0][5] != losses[1][5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": ("*.atention.*",)}, r"stages\.0\.frozen: no weight is called '\*\.atention\.\*'"),
        ({"frozen": ("*",)}, r"stages\.0\.frozen: \['\*'\] leave no weight"),
        ({"answers_only": True}, r"stages\.0\.answers_only: rows of domain 'books' do not mark answers"),
        ({"rate": 0.0}, r"stages\.0\.rate is 0"),
        ({"schedule": "cosin"}, r"stages\.0\.schedule is cosin, .* did you mean 'cosine'"),
    ],
)
def test_stages_that_cannot_be_are_refused_by_their_key(run, config, tmp_path, change, message):
    stage = TrainingStage(**{"name": "base", **change})
    with pytest.raises(TrainError, match=message):
        train(run, tmp_path, replace(config, stages=(stage,), stage_stops=(26,)))


def test_a_stage_for_answers_alone_counts_no_other_token(config, tmp_path):
    run = make_run(tmp_path / "run", 8, masked="code", shares=(0.0, 1.0, 0.0))
    stage = TrainingStage(name="alignment", answers_only=True)
    train(run, tmp_path / "out", replace(config, stages=(stage,), stage_stops=(8,)))
    log = pq.read_table(tmp_path / "out" / "consumption.parquet")
    assert 0 < sum(log["targets"].to_pylist()) < 0.7 * sum(log["tokens"].to_pylist())


RECIPE = """
name = "a"
seed = 1
[[sources]]
name = "web"
path = "a.jsonl"
domain = "web"
[[curriculum]]
until_tokens = "2K"
shares = { web = 1.0 }
[[curriculum]]
until_tokens = "4K"
shares = { web = 1.0 }
[trainer]
"""


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ('[[trainer.stages]]\nname = "base"', "the stages last for 1 phases, the curriculum has 2"),
        ('[[trainer.stages]]\nname = "base"\n' * 2, "'base' is the name of two stages"),
        ('[[trainer.stages]]\nname = "base"\nphases = 0', "phases is 0, expected a whole number, 1 or more"),
    ],
)
def test_stages_cover_the_phases_of_the_curriculum(stages, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(RECIPE + stages)
    assert parse_recipe(RECIPE + '[[trainer.stages]]\nname = "base"\nphases = 2').recipe.trainer.stages[0].phases == 2


@pytest.fixture
def warm(trained, config):
    path = folder_of(trained / "checkpoints", STEPS) / "model.safetensors"
    return replace(config, start=str(path), start_digest=file_sha256(path))


def test_a_warm_start_goes_on_from_weights_and_says_so(run, trained, warm, config, tmp_path):
    warm = changed(warm, window=3)  # as the last stage, so that losses can be compared
    train(run, tmp_path / "warm", warm, max_steps=2)
    train(run, tmp_path / "new", config, max_steps=2)
    assert read_json(tmp_path / "new" / "lineage.json") == []
    assert read_json(tmp_path / "warm" / "lineage.json") == [
        {"run": "/".join(trained.parent.parts[-2:]), "checkpoint": warm.start_digest, "kind": "warm"}
    ]
    before = read_json(tmp_path / "warm" / "summary.json")["loss"]["heldout_before"]
    assert before == read_json(trained / "summary.json")["loss"]["heldout_after"]
    train(run, tmp_path / "twice", warm, max_steps=1)
    train(run, tmp_path / "twice", warm, max_steps=2)
    ours, theirs = weights(tmp_path / "twice", 2), weights(tmp_path / "warm", 2)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_warm_start_from_other_weights_is_refused(run, warm, tmp_path):
    for change, message in (
        ({"start_digest": "0" * 64}, "is missing or has changed since"),
        ({"start": str(tmp_path / "none")}, "is missing or has changed since"),
        ({"width": 32}, r"k_norm\.weight is 8 in .* and 16 in \[trainer\.model\], and \d+ more differ"),
        ({"layers": 1}, r"blocks\.1\.\S+ is .* in .* and missing in \[trainer\.model\]"),
    ):
        with pytest.raises(TrainError, match=message):
            train(run, tmp_path / "out", changed(warm, **change))
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    with pytest.raises(TrainError, match="holds no weights"):
        train(run, tmp_path / "out", replace(warm, start=str(junk), start_digest=file_sha256(junk)))


def test_a_model_is_measured_and_used_with_the_window_of_its_last_stage(run, staged, trained, tmp_path):
    """Not with that of [trainer.model], nor with that of the stage before; the narrower of the two."""
    model = load_trained(trained, staged).model
    assert (model.shape.window, staged.model.window, staged.used_window) == (3, 0, 3)
    assert [replace(staged, stages=(), stage_stops=()).used_window, changed(staged, window=2).used_window] == [0, 2]
    batch = pack_batch(next(iter(Loader(run, batch_rows=4))))
    plain = begin(staged).model.eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(batch).hidden, plain(batch, 3).hidden)
    assert not torch.allclose(model(batch).hidden, plain(batch).hidden, atol=1e-3)
    write_model(tmp_path, LAYOUTS["dots1"], model, 32, Ids(None, None, None))
    written = read_json(tmp_path / "config.json")
    assert (written["sliding_window"], written["max_window_layers"]) == (3, 0)
    assert compare(tmp_path, model, 32).problems() == []
    write_model(tmp_path, LAYOUTS["dots1"], plain, 32, Ids(None, None, None))  # as it was written before
    assert compare(tmp_path, model, 32).problems() != []
    heldout = read_heldout(run / "heldout", ("books", "code", "web"), staged)
    counts = torch.ones(staged.vocab_size, dtype=torch.int64)
    assert evaluate(model, heldout, staged, counts) == evaluate(plain, heldout, staged, counts)
    wide = evaluate(plain, heldout, replace(staged, stages=(), stage_stops=()), counts)
    assert wide.loss != pytest.approx(evaluate(plain, heldout, staged, counts).loss, abs=1e-3)
