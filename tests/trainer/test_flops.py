"""Arithmetic of a step against what torch itself counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gristmill.handoff.loader import Loader
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.training.flops import matmul_speed, step_flops
from tests.trainer.conftest import VOCAB, changed

SHAPES = [{}, {"dense_layers": 1, "kv_heads": 1}, {"top_k": 1, "shared_experts": 0}, {"layers": 4, "shared_span": 2}]
SHAPES += [{"kv_rank": 6}, {"kv_rank": 6, "q_rank": 5, "rope_width": 2}]


@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_a_step_are_what_torch_counts(run, config, shape):
    """Forward alone, without attention and experts, whose kernels torch does not count on a CPU."""
    config = changed(config, **shape)
    batch, model = pack_batch(next(iter(Loader(run, batch_rows=4)))), Model(config.model, VOCAB).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hidden = model(batch).hidden
        _ = hidden[batch.inputs] @ model.embedding.T
    counted = {str(name): n for name, n in counter.get_flop_counts()["Global"].items()}
    plain = sum(n for name, n in counted.items() if name.rpartition(".")[2] in ("mm", "addmm", "bmm"))
    tiny = batch._replace(positions=batch.positions[:0])
    assert step_flops(config.model, [tiny], 0, VOCAB) / 3 == plain


def test_attention_counts_pairs_within_the_window_and_experts_their_choices(run, config):
    batch = pack_batch(next(iter(Loader(run, batch_rows=4))))
    shape, rest = config.model, step_flops(config.model, [batch._replace(positions=batch.positions[:0])], 0, VOCAB)
    pairs = sum(min(int(at) + 1, 3) for at in batch.positions)
    seen = step_flops(shape, [batch], 0, VOCAB, context=3) - rest
    assert seen == 3 * 2 * 2 * pairs * shape.width * shape.layers
    assert (
        step_flops(shape, [batch], 5, VOCAB, context=3) - seen - rest
        == 3 * 2 * 5 * 3 * shape.width * shape.expert_width
    )
    assert step_flops(shape, [batch, batch], 10, VOCAB) == 2 * step_flops(shape, [batch], 5, VOCAB)


def test_a_matmul_has_a_speed():
    assert 1e8 < matmul_speed("float32", "cpu", 1) < 1e14
