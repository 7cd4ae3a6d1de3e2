"""Packing rows into a stream, and attention that stays inside documents."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.model.attention import Attention, rotary
from gristmill.trainer.model.decoder import Model, count_parameters
from gristmill.trainer.model.fused import rotate
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.shape import Shape

ROW = 24


@st.composite
def rows_of_documents(draw):
    """Slices (row, start, length) with gaps, at most ROW tokens a row."""
    slices = []
    for row in range(draw(st.integers(1, 3))):
        at = 0
        while at < ROW and draw(st.booleans()):
            at += draw(st.integers(0, 3))
            length = min(draw(st.integers(1, 40)), ROW - at)
            if length > 0:
                slices.append((row, at, length))
                at += length
    return slices or [(0, 0, 1)]


def make_batch(slices, seed=0, vocab=32):
    rng = np.random.default_rng(seed)
    rows = max(row for row, _, _ in slices) + 1
    tokens = rng.integers(0, vocab, (rows, ROW)).astype(np.uint16)
    row, start, length = (np.array(column) for column in zip(*slices, strict=True))
    return tokens, pack(tokens, np.arange(rows) % 2, row, start, length)


@given(rows_of_documents())
def test_packed_equals_a_walk_over_slices(slices):
    tokens, batch = make_batch(slices)
    stream, positions, inputs, targets, domain = [], [], [], [], []
    for row, start, length in slices:
        for at in range(length):
            if at + 1 < length:
                inputs.append(len(stream))
                targets.append(tokens[row, start + at + 1])
            domain.append(row % 2)
            stream.append(tokens[row, start + at])
            positions.append(at)
    assert batch.tokens.tolist() == stream
    assert batch.positions.tolist() == positions
    assert batch.inputs.tolist() == inputs
    assert batch.targets.tolist() == targets
    assert batch.domain.tolist() == domain


@given(rows_of_documents())
def test_every_token_finds_its_way_back_from_the_groups(slices):
    _, batch = make_batch(slices)
    laid = torch.cat([group.flatten() for group in batch.groups])
    assert torch.equal(laid[batch.back], torch.arange(len(batch.tokens)))
    assert all(len(group) for group in batch.groups)


def test_similar_lengths_share_a_group():
    _, batch = make_batch([(0, 0, 3), (0, 3, 16), (1, 0, 20), (1, 20, 4), (2, 0, 24)])
    assert [tuple(group.shape) for group in batch.groups] == [(3, 16), (2, 24)]


def naive_attention(layer, x, slices, window):
    """Each document alone, head by head, an explicit mask."""
    out, at = [], 0
    for _, _, length in slices:
        here = x[at : at + length]
        width = layer.out.shape[1] // layer.heads
        weights = layer.qkv.split([layer.heads * width, layer.kv * width, layer.kv * width])
        q, k, v = (functional.linear(here, weight).view(length, -1, width) for weight in weights)
        rope = rotary(torch.arange(length), width)
        q, k = rotate(layer.q_norm(q), *rope.unbind(1)), rotate(layer.k_norm(k), *rope.unbind(1))
        served = [head * layer.kv // layer.heads for head in range(layer.heads)]
        k, v = k[:, served], v[:, served]
        scores = torch.einsum("thc,shc->hts", q, k) / math.sqrt(width)
        sees = torch.tensor([[t - (window or length) < s <= t for s in range(length)] for t in range(length)])
        scores = scores.masked_fill(~sees, -torch.inf)
        out.append(torch.einsum("hts,shc->thc", scores.softmax(-1), v).flatten(1))
        at += length
    return functional.linear(torch.cat(out), layer.out)


@given(rows_of_documents(), st.sampled_from([0, 1, 2, 4]), st.sampled_from([0, 1, 5, 24]))
def test_attention_equals_document_by_document(slices, kv_heads, window):
    torch.manual_seed(0)
    layer, (_, batch) = Attention(Shape(width=16, heads=4, kv_heads=kv_heads)), make_batch(slices)
    x = torch.randn(len(batch.tokens), 16, requires_grad=True)
    ours = layer(x, rotary(batch.positions, 4), batch, window)
    naive = naive_attention(layer, x, slices, window)
    assert torch.allclose(ours, naive, atol=1e-5)
    weight = torch.randn_like(ours)
    (gradient,) = torch.autograd.grad((ours * weight).sum(), x)
    (expected,) = torch.autograd.grad((naive * weight).sum(), x)
    assert torch.allclose(gradient, expected, atol=1e-4)


def test_rotary_scores_depend_on_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 8)
    scores = []
    for shift in (0, 100):
        rope = rotary(torch.tensor([3, 7]) + shift, 8)
        scores.append(float((rotate(q, *rope[:1].unbind(1)) * rotate(k, *rope[1:].unbind(1))).sum()))
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def make_model(**changes):
    torch.manual_seed(0)
    return Model(Shape(**({"layers": 2, "width": 16, "heads": 2, "expert_width": 8} | changes)), 32)


SHAPES = {
    "plain": {},
    "grouped queries": {"kv_heads": 1},
    "window": {"window": 3},
    "latent": {"kv_rank": 8, "window": 5},
    "latent of queries": {"kv_rank": 6, "q_rank": 4, "rope_width": 6},
    "dense first": {"dense_layers": 1},
    "shared layers": {"layers": 6, "shared_bottom": 2, "shared_span": 2, "own_top": 2},
    "one expert": {"top_k": 1},
    "groups": {"groups": 4, "kept_groups": 2},
    "mass": {"mass": 0.3, "top_k": 4},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_document_sees_another(shape):
    slices = [(0, 0, 10), (0, 10, 9), (1, 2, 17)]
    tokens, batch = make_batch(slices)
    tokens[0, 4] = (tokens[0, 4] + 1) % 32
    row, start, length = (np.array(column) for column in zip(*slices, strict=True))
    changed = pack(tokens, np.arange(2), row, start, length)
    model = make_model(**shape)
    before, after = model(batch).hidden, model(changed).hidden
    assert torch.allclose(before[:4], after[:4], atol=1e-6), "a token changed the past of its document"
    assert all(not torch.allclose(one, other, atol=1e-4) for one, other in zip(before[4:7], after[4:7], strict=True))
    assert torch.allclose(before[10:], after[10:], atol=1e-6), "a token changed another document"


@given(rows_of_documents(), st.integers(0, 31))
def test_padding_changes_nothing(slices, filler):
    tokens, batch = make_batch(slices)
    covered = np.zeros(tokens.shape, bool)
    for row, start, length in slices:
        covered[row, start : start + length] = True
    tokens[~covered] = filler
    row, start, length = (np.array(column) for column in zip(*slices, strict=True))
    other = pack(tokens, np.arange(len(tokens)) % 2, row, start, length)
    model = make_model()
    for a, b in zip(model(batch).routings, model(other).routings, strict=True):
        assert torch.equal(a.counts, b.counts)
        assert int(a.counts.sum()) == 2 * len(batch.tokens)


def test_the_model_starts_near_the_uniform_loss():
    _, batch = make_batch([(0, 0, 24), (1, 0, 24)])
    model = make_model()
    logits = model(batch).hidden[batch.inputs] @ model.embedding.T
    assert functional.cross_entropy(logits, batch.targets).item() == pytest.approx(math.log(32), abs=0.3)


def test_parameters_are_counted_once_and_idle_experts_left_out():
    model = make_model(experts=4, top_k=1, shared_experts=0)
    total, active, across, shared = count_parameters(model)
    one = 16 * 16 + 16 * 8
    assert (across, shared) == (0, 0)
    assert total == sum(p.numel() for p in model.parameters())
    assert total - active == 2 * 3 * one


def test_dropout_acts_in_training_only():
    _, batch = make_batch([(0, 0, 24)])
    model = make_model(dropout=0.5)
    assert not torch.equal(model(batch).hidden, model(batch).hidden)
    model.eval()
    assert torch.equal(model(batch).hidden, model(batch).hidden)


def test_a_window_of_layers_reaches_as_far_as_all_of_them_together():
    """Two layers of window 3 see four tokens back, and no further; a window of the pass narrows that of the model."""
    tokens, batch = make_batch([(0, 0, 24)])
    tokens[0, 2] = (tokens[0, 2] + 1) % 32
    _, changed = tokens, pack(tokens, np.zeros(1), np.zeros(1), np.zeros(1), np.array([24]))
    for model, window, reach in ((make_model(window=3), 0, 4), (make_model(), 3, 4), (make_model(window=3), 2, 2)):
        moved = (model(batch, window).hidden - model(changed, window).hidden).abs().amax(1) > 1e-6
        assert moved.nonzero().flatten().tolist() == list(range(2, 3 + reach))


def test_layers_that_share_weights_have_them_once_and_routers_of_their_own():
    shape = {"layers": 6, "shared_bottom": 2, "shared_span": 2, "own_top": 2}
    model, plain = make_model(**shape), make_model(layers=6)
    assert model.shape.owners == (0, 0, 2, 2, 4, 5)
    assert not [name for name in model.state_dict() if re.match(r"blocks\.[13]\.(attention|experts|shared)\.", name)]
    assert [len(router.bias) for router in model.routers] == [8] * 6
    found, whole = count_parameters(model), count_parameters(plain)
    block = sum(
        p.numel() for name in ("attention", "experts", "shared") for p in getattr(model.layers[0], name).parameters()
    )
    assert whole.total - found.total == 2 * block == found.across_layers
    assert found.shared_experts == 4 * 3 * 16 * 8
    _, batch = make_batch([(0, 0, 24)])
    model(batch).hidden.square().sum().backward()
    assert all(p.grad is not None for p in model.layers[0].parameters())


def test_dense_layers_have_no_router_and_the_width_of_what_a_token_uses():
    model = make_model(layers=3, dense_layers=1)
    assert [block.router is None for block in model.layers] == [True, False, False]
    assert model.layers[0].shared.down.shape == (16, 3 * 8)
    assert len(model(make_batch([(0, 0, 24)])[1]).routings) == 2


@pytest.mark.parametrize(
    "shape",
    [{"expert_width": 64}, {"kv_heads": 1}, {"dense_layers": 1, "dense_width": 256}, {"kv_rank": 40, "q_rank": 24}],
)
def test_every_matrix_starts_with_the_spread_of_its_fan_in(shape):
    model = make_model(width=64, heads=4, layers=2, **shape)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and not name.endswith(("embedding", "router.weight")):
            expected = weight.shape[-1] ** -0.5 / (2.0 if name.endswith(("out", "down")) else 1.0)
            assert weight.std().item() == pytest.approx(expected, rel=0.06), name
