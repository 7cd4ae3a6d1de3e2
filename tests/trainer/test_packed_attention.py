"""Packing rows into a stream, and attention that stays inside documents."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.attention import Attention, rotary, rotate
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.data import pack
from gristmill.trainer.model import Model, count_parameters

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


def naive_attention(layer, x, slices):
    """Each document alone, an explicit mask."""
    out, at = [], 0
    for _, _, length in slices:
        here = x[at : at + length]
        q, k, v = functional.linear(here, layer.qkv).view(length, 3, layer.heads, -1).unbind(1)
        rope = rotary(torch.arange(length), q.shape[-1])
        q, k = rotate(layer.q_norm(q), rope), rotate(layer.k_norm(k), rope)
        scores = torch.einsum("thc,shc->hts", q, k) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
        out.append(torch.einsum("hts,shc->thc", scores.softmax(-1), v).flatten(1))
        at += length
    return functional.linear(torch.cat(out), layer.out)


@given(rows_of_documents())
def test_attention_equals_document_by_document(slices):
    torch.manual_seed(0)
    layer, (_, batch) = Attention(16, 2, 0.3), make_batch(slices)
    x = torch.randn(len(batch.tokens), 16, requires_grad=True)
    ours = layer(x, rotary(batch.positions, 8), batch)
    naive = naive_attention(layer, x, slices)
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
        scores.append(float((rotate(q, rope[:1]) * rotate(k, rope[1:])).sum()))
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def make_model(**changes):
    torch.manual_seed(0)
    small = {"vocab_size": 32, "row_tokens": ROW, "layers": 2, "width": 16, "heads": 2, "expert_width": 8}
    return Model(TrainConfig(**(small | changes)))


def test_no_document_sees_another():
    slices = [(0, 0, 10), (0, 10, 9), (1, 2, 17)]
    tokens, batch = make_batch(slices)
    tokens[0, 4] = (tokens[0, 4] + 1) % 32
    row, start, length = (np.array(column) for column in zip(*slices, strict=True))
    changed = pack(tokens, np.arange(2), row, start, length)
    model = make_model()
    before, after = model(batch).hidden, model(changed).hidden
    assert torch.allclose(before[:4], after[:4], atol=1e-6), "a token changed the past of its document"
    assert not torch.allclose(before[4:10], after[4:10], atol=1e-3)
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
    total, active = count_parameters(model)
    one = 16 * 16 + 16 * 8
    assert total == sum(p.numel() for p in model.parameters())
    assert total - active == 2 * 3 * one


def test_dropout_acts_in_training_only():
    _, batch = make_batch([(0, 0, 24)])
    model = make_model(dropout=0.5)
    assert not torch.equal(model(batch).hidden, model(batch).hidden)
    model.eval()
    assert torch.equal(model(batch).hidden, model(batch).hidden)
