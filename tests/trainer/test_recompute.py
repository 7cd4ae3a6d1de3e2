"""Layers that run again for the gradient: the same gradient, counts and log to the bit, and less that is kept."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch

from gristmill.handoff.loader import Loader
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.model.router import Router
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.micro_batches import parts_of
from gristmill.trainer.training.replay import unequal
from gristmill.trainer.training.session import begin
from tests.trainer.conftest import changed

SHAPES = [
    {},
    {"dropout": 0.2, "expert_dropout": 0.2, "kv_heads": 1, "window": 7},
    {"kv_rank": 4, "dense_layers": 1, "mass": 0.5, "top_k": 3},
    {"layers": 4, "shared_bottom": 2, "shared_span": 2, "groups": 2, "kept_groups": 1},
]


def step_of(run, config, parts=1):
    """Sums of a step, its gradient, and the bytes that were kept for it, each tensor once."""
    session = begin(config)
    batch, kept = next(iter(Loader(run, batch_rows=8))), {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        sums = add_gradients(session.model, [pack_batch(part) for part in parts_of(batch, parts)], config)
    gradient = torch.cat([p.grad.flatten() for p in session.model.parameters() if p.grad is not None])
    return sums, gradient, sum(n_bytes for n_bytes, _ in kept.values())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parts", [1, 3])
def test_the_gradient_is_the_same_to_the_bit_and_nothing_counts_twice(long_run, config, shape, parts):
    config = replace(changed(config, **shape), balance={"bias": 0.01, "frequency": 0.1, "z": 0.01})
    plain, gradient, _ = step_of(long_run, config, parts)
    again, same, _ = step_of(long_run, replace(config, recompute=True), parts)
    assert torch.equal(gradient, same)
    assert torch.equal(plain.counts, again.counts)
    assert plain.loss == again.loss
    assert all(torch.equal(one, other) for one, other in zip(plain.each, again.each, strict=True))


def test_a_router_that_counts_for_itself_would_count_twice(long_run, config, monkeypatch):
    """Why counts are outputs; and that layers do run again."""
    counted, route = [], Router.forward

    def counting(router, x):
        counted.append(route(router, x).counts)
        return route(router, x)

    monkeypatch.setattr(Router, "forward", counting)
    for recompute, times in ((False, 1), (True, 2)):
        counted.clear()
        config = replace(changed(config, dropout=0.0), recompute=recompute)
        sums = step_of(long_run, config)[0]
        assert torch.stack(counted).sum() == times * sums.counts.sum()


def test_eight_layers_keep_less_than_a_third(long_run, config):
    config = changed(config, layers=8, dropout=0.0)
    plain, again = (step_of(long_run, replace(config, recompute=recompute))[2] for recompute in (False, True))
    assert again < plain / 3


def test_a_training_with_it_is_the_training_without_and_goes_on_without(run, config, tmp_path):
    train(run, tmp_path / "plain", config)
    train(run, tmp_path / "mixed", replace(config, recompute=True), max_steps=4)
    train(run, tmp_path / "mixed", config)
    one, other = (pq.read_table(tmp_path / name / "consumption.parquet") for name in ("plain", "mixed"))
    assert one.equals(other)
    saved, again = (checkpoint.load_latest(tmp_path / name / "checkpoints") for name in ("plain", "mixed"))
    assert saved
    assert again
    assert not list(unequal(saved, again))
