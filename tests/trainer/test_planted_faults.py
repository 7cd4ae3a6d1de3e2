"""Faults planted between the shards and the model: each is found, with step and row, wherever else the patch is.

Each changes one place of the way that a row takes. Its training goes through to the end; only the comparison of what
the steps got with the shards can tell.
"""

import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import file_sha256, read_json, write_json
from gristmill.flows.inspect.consumed_digests import compare
from gristmill.flows.inspect.shard_rows import NONE, DomainRows, digest_of
from gristmill.flows.inspect.verify_replay import Replay, replay_of
from gristmill.flows.inspect.verify_training import wrong_metrics
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader, Slices
from gristmill.trainer.model import attention as attention_module
from gristmill.trainer.model import decoder as model_module
from gristmill.trainer.model.attention import Attention
from gristmill.trainer.model.packed import pack, pack_batch
from gristmill.trainer.training import gradients as gradients_module
from gristmill.trainer.training import opened, saving
from gristmill.trainer.training.checkpoint import folder_of, saved_steps
from gristmill.trainer.training.consumption import row_figures, seen_by_model
from gristmill.trainer.training.loop import train
from tests.trainer.conftest import ROW, changed, make_run

SAMPLES, STEP = 14, 1  # 4 rows a step; what changes one batch changes that of the second step
READ, ITERATE, PACK = ShardReader.read_into, Loader.__iter__, opened.pack_batch


def reading(change):
    """Each read of rows goes through ``change(reader, rows, place, out)``."""
    return lambda patch: patch.setattr(ShardReader, "read_into", change)


def loading(change):
    """The batch of one step leaves the loader as ``change(batch)``."""

    def batches(loader):
        for batch in ITERATE(loader):
            yield change(batch) if batch.step == STEP else batch

    return lambda patch: patch.setattr(Loader, "__iter__", batches)


def packing(change):
    """The batch of one step is packed as ``change(packed)``."""

    def packed(batch):
        return change(PACK(batch)) if batch.step == STEP else PACK(batch)

    return lambda patch: patch.setattr(opened, "pack_batch", packed)


def zeros(reader, rows, place, out):
    slices = READ(reader, rows, place, out)
    out[place] = 0
    return slices


def short_slices(reader, rows, place, out):
    slices = READ(reader, rows, place, out)
    return slices._replace(length=slices.length - 1)


def late_slices(reader, rows, place, out):
    slices = READ(reader, rows, place, out)
    return slices._replace(start=np.maximum(slices.start - 1, 0))


def stale(patch):
    before = []

    def packed(batch):
        before.append(PACK(batch))
        return before[-2 if batch.step == STEP else -1]

    patch.setattr(opened, "pack_batch", packed)


def rows_of(batch, rows):
    """The same batch with other rows of it, or fewer."""
    columns = (column[rows] for column in batch[2:7])
    lists = [np.flatnonzero(batch.slices.row == row) for row in rows]
    at = np.concatenate(lists)
    owner = np.repeat(np.arange(len(rows)), [len(one) for one in lists])
    return batch.__class__(batch.step, batch.cursor, *columns, Slices(owner, *(c[at] for c in batch.slices[1:])))


def running_positions(packed):
    row, _, length = packed.slices
    owner = row.repeat_interleave(length)
    first = torch.searchsorted(owner, owner)
    return packed._replace(positions=torch.arange(len(owner)) - first)


def one_document(packed):
    everything = torch.arange(len(packed.tokens))
    return packed._replace(groups=(everything[None],), back=everything)


FIRST = STEP * 4  # the first sample of the changed step
FAULTS = {
    "neighbour row": (reading(lambda s, rows, *to: READ(s, (rows + 1) % s.rows, *to)), 0, "it got row"),
    "zero tokens": (reading(zeros), 0, "it got token 0 everywhere"),
    "constant row": (reading(lambda s, rows, *to: READ(s, rows * 0, *to)), 0, "it got row 0 of"),
    "stale batch": (stale, FIRST, "it got row"),
    "domains swapped in the loader": (loading(lambda batch: batch._replace(domain=2 - batch.domain)), FIRST),
    "domains swapped in the batch": (packing(lambda p: p._replace(domain=2 - p.domain)), FIRST, "it got it as of"),
    "targets shifted": (packing(lambda p: p._replace(targets=p.targets.roll(1))), FIRST),
    "a slice ends early": (reading(short_slices), 0, "the last token of each document is missing"),
    "a slice begins early": (reading(late_slices), None),
    "positions not restarted": (packing(running_positions), None, "its positions do not restart"),
    "attention across documents": (packing(one_document), None),
    "a row dropped": (loading(lambda batch: rows_of(batch, [0, 2, 3])), FIRST + 1),
    "a row twice": (loading(lambda batch: rows_of(batch, [0, 0, 1, 2, 3])), FIRST + 1),
    "a row in place of another": (loading(lambda b: rows_of(b, [0, 0, 2, 3])._replace(row=b.row)), FIRST + 1),
    "epoch off by one": (loading(lambda batch: batch._replace(epoch=batch.epoch + 1)), FIRST),
    "epoch off by one in the batch": (
        packing(lambda p: p._replace(epoch=p.epoch + 1)),
        FIRST,
        "it got it as of epoch 1",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("whole"), SAMPLES)


@pytest.fixture
def tiny(config):
    return changed(config, layers=1, width=8, heads=1, dropout=0.0, heldout_rows=0, checkpoint_steps=100)


def trained(run, out, config):
    train(run, out, config)
    return pq.read_table(out / "consumption.parquet")


def test_without_a_fault_nothing_is_found(whole, tiny, tmp_path):
    log = trained(whole, tmp_path, tiny)
    found = compare(whole, log)
    assert (found.order, found.content) == ([], [])
    assert sum(found.tokens.values()) == sum(log["tokens"].to_pylist())


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_with_step_and_row(whole, tiny, tmp_path, fault):
    plant, sample, *guess = FAULTS[fault]
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        log = trained(whole, tmp_path, tiny)
        inside = compare(whole, log)  # the same wrong code in the process of verify
    found = compare(whole, log)
    assert (found.order, found.content) == (inside.order, inside.content)
    problems = [*found.order, *found.content]
    assert problems
    plan = Plan.load(whole / "plan")
    at = int(problems[0].split("sample ")[1].split(")")[0]) if sample is None else sample
    domain, epoch, row = (int(column[0]) for column in plan.locate(at, at + 1))
    place = f"step {1 + at // 4}: row {row} of {plan.names[domain]} (epoch {epoch}, sample {at})"
    assert problems[0].startswith(place), problems
    assert not guess or guess[0] in problems[0]


def test_three_digests_of_a_row_agree(tmp_path):
    """Handed over, in the step, and computed again from the file; rows of one domain say which tokens count."""
    run = make_run(tmp_path, 40, masked="code")
    rows = [DomainRows(run / "shards" / name) for name in Plan.load(run / "plan").names]
    for batch in Loader(run, batch_rows=7):
        packed = pack_batch(batch)
        got = row_figures(packed, torch.ones(len(packed.targets)))
        assert np.array_equal(batch.digest, got.digest)
        for i, (domain, epoch, row) in enumerate(zip(batch.domain, batch.epoch, batch.row, strict=True)):
            slices = rows[domain].slices(row)
            assert digest_of(int(domain), int(epoch), slices) == batch.digest[i].tobytes()
            counted = sum(int((one.targets != NONE).sum()) for one in slices)
            assert (got.targets[i], got.nats[i]) == (counted, counted)


def test_masked_targets_do_not_count(tiny, tmp_path):
    run = make_run(tmp_path, 40, masked="code")
    reader = ShardReader(run / "shards" / "code")
    mask = reader.mask(np.arange(24))
    assert [np.flatnonzero(row).tolist() for row in mask[:1]] == [
        [2, 3, 4, 8, 9, 10, 14, 15, 16, 20, 21, 22, 26, 27, 28]
    ]
    rows = np.array([3, 0, 20])
    packed = pack(reader.tokens(rows), np.zeros(3), *reader.slices(rows), reader.mask(rows))
    following = torch.from_numpy(mask[rows].reshape(-1))
    stream = [(row * ROW + at) for row, start, n in packed.slices.T.tolist() for at in range(start, start + n)]
    assert all(following[stream[at] + 1] for at in packed.inputs.tolist())
    log = trained(run, tmp_path / "out", tiny)
    assert compare(run, log).content == []
    with pytest.MonkeyPatch.context() as patch:
        mask_ignored(patch)
        ignored = trained(run, tmp_path / "ignored", tiny)
        assert "of code" in compare(run, ignored).content[0]
    assert compare(run, ignored).content


def test_reach_tells_what_attention_reads():
    """A token read twice, one left out, and a line that begins elsewhere are no reach."""
    row, start, length = np.array([0, 0]), np.array([0, 3]), np.array([3, 4])
    packed = pack(np.arange(8)[None], np.array([0]), row, start, length)
    group = packed.groups[0]
    assert seen_by_model(packed).reach.tolist() == [0, 1, 2, 0, 1, 2, 3]
    for line, place, token in ((0, 0, 1), (1, 1, 3), (1, 2, 6)):
        other = group.clone()
        other[line, place] = token
        assert NONE in seen_by_model(packed._replace(groups=(other,))).reach.tolist()


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("longer"), 26)


def replayed(run, out, config, interval=2):
    checks = replay_of(run, out, config, Replay(interval))
    return {check.name: check.detail for check in checks if not check.ok}


@pytest.mark.parametrize("change", [{}, {"dropout": 0.1}, {"precision": "bfloat16"}], ids=str)
def test_replay_of_a_whole_training_finds_nothing(longer, tiny, tmp_path, change):
    config = changed(tiny, checkpoint_steps=2, keep=2, **change)
    train(longer, tmp_path, config)
    assert saved_steps(tmp_path / "checkpoints") == [2, 4, 6, 7]
    for interval in range(4):
        assert replayed(longer, tmp_path, config, interval) == {}
    seeded = {next(replay_of(longer, tmp_path, config, Replay(seed=seed))).name for seed in (3, 3)}
    assert len(seeded) == 1
    with pytest.raises(TrainError, match=r"--interval 4: .* leave 0 \(steps 1 to 2\).*trainer\.keep"):
        replayed(longer, tmp_path, config, 4)


def flip_weight(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def across(patch):
    """Every token of a batch in one line, whatever the groups say."""

    def forward(self, x, rope, batch, window, past=None):
        return ATTEND(self, x, rope, one_document(batch), window, past)

    patch.setattr(Attention, "forward", forward)


def ahead(patch):
    patch.setattr(attention_module.functional, "scaled_dot_product_attention", lambda *a, **_: SDPA(*a))


def idle_optimizer(patch):
    """The third update is left out, and nothing says so."""
    calls = []

    def step(self, *args):
        calls.append(0)
        return None if len(calls) == 3 else ADAM(self, *args)

    patch.setattr(torch.optim.AdamW, "step", step)


def old_weights(patch):
    """Each checkpoint holds the weights of the one before."""
    before = {}

    def capture(*args):
        saved = CAPTURE(*args)
        model = {name: tensor.clone() for name, tensor in saved.model.items()}
        old, before["model"] = before.get("model", model), model
        return replace(saved, model=old)

    patch.setattr(saving, "capture", capture)


def wrong_mean(patch):
    def cross_entropy(*args):
        mean, each = CROSS_ENTROPY(*args)
        return mean * len(each) / (len(each) + 1), each

    patch.setattr(gradients_module, "cross_entropy", cross_entropy)


def permuted(patch):
    patch.setattr(model_module.functional, "embedding", lambda tokens, weight: EMBED((tokens + 1) % 64, weight))


ATTEND, SDPA = Attention.forward, torch.nn.functional.scaled_dot_product_attention
ADAM, CAPTURE, CROSS_ENTROPY = torch.optim.AdamW.step, saving.capture, gradients_module.cross_entropy
EMBED = torch.nn.functional.embedding
BOTH = ("in training alone", "in verify as well")
IN_THE_MODEL = {
    "attention across documents": (across, BOTH, r"step 5: row \d+ of \w+ \(epoch 0, sample 1\d\): .* nats"),
    "attention to later tokens": (ahead, BOTH, r"step 5: row \d+ of \w+ \(epoch 0, sample 16\): .* nats"),
    "an optimizer step left out": (idle_optimizer, BOTH, r"step 6: its checkpoint is of step 6, with 5 updates"),
    "weights of another step": (old_weights, BOTH, r"step 5: row \d+ of \w+ \(epoch 0, sample 16\): .* logged"),
    "embeddings permuted": (permuted, BOTH[:1], r"step 5, sample 16: another nats than is logged"),
}


@pytest.mark.parametrize(("fault", "where"), [(name, at) for name, one in IN_THE_MODEL.items() for at in one[1]])
def test_faults_inside_the_model_are_found_by_replay(longer, tiny, tmp_path, fault, where):
    plant, _, sentence = IN_THE_MODEL[fault]
    config = replace(tiny, checkpoint_steps=2, keep=2)
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        train(longer, tmp_path, config)
        if where == BOTH[1]:
            problems = replayed(longer, tmp_path, config)
    if where == BOTH[0]:
        problems = replayed(longer, tmp_path, config)
    assert any(re.search(sentence, problem) for problem in problems.values()), problems


def mask_ignored(patch):
    patch.setattr(ShardReader, "mask", lambda *_: None)


MORE = {"mask ignored": mask_ignored, "loss averaged wrong": wrong_mean}


def test_a_wrong_mean_is_found_in_the_log(longer, tiny, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        wrong_mean(patch)
        log = trained(longer, tmp_path, tiny)
        assert next(wrong_metrics(tmp_path / "metrics.parquet", log)).startswith("step 1 logged ")


def test_a_weight_changed_behind_the_training_is_found(longer, tiny, tmp_path):
    config = replace(tiny, checkpoint_steps=2)
    train(longer, tmp_path, config)
    path = folder_of(tmp_path / "checkpoints", 7)
    flip_weight(path / "model.safetensors")
    state = read_json(path / "state.json")
    state["files"]["model.safetensors"] = file_sha256(path / "model.safetensors")
    write_json(path / "state.json", state)
    assert "numbers" in replayed(longer, tmp_path, config, 1)["replay interval 1"]
    flip_weight(path / "training.safetensors")
    assert "training.safetensors does not match" in replayed(longer, tmp_path, config, 1)["replay interval 1"]


@pytest.mark.parametrize("stops", [(), (2, 11), (5, 7, 19)])
def test_the_same_checkpoints_are_kept_however_training_was_interrupted(longer, tiny, tmp_path, stops):
    config = replace(tiny, batch_rows=1, checkpoint_steps=1, keep=3)
    for stop in (*stops, 26):
        train(longer, tmp_path, config, max_steps=stop)
    assert saved_steps(tmp_path / "checkpoints") == [6, 13, 19, 25, 26]
