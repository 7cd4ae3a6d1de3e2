"""Chunked cross entropy, losses by domain, the unigram level."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.model import loss as loss_module
from gristmill.trainer.model.loss import by_domain, cross_entropy
from gristmill.trainer.model.packed import pack
from gristmill.trainer.training.evaluate import unigram_surprise


@given(st.integers(1, 300), st.integers(0, 100))
def test_value_and_gradients_equal_torch(positions, seed):
    torch.manual_seed(seed)
    hidden = torch.randn(positions, 8, requires_grad=True)
    weight = torch.randn(20, 8, requires_grad=True)
    targets = torch.randint(0, 20, (positions,))
    mean, each = cross_entropy(hidden, weight, targets)
    expected = functional.cross_entropy(hidden @ weight.T, targets)
    assert torch.allclose(each, functional.cross_entropy(hidden @ weight.T, targets, reduction="none"), atol=1e-4)
    assert mean.item() == pytest.approx(expected.item(), abs=1e-5)
    ours = torch.autograd.grad(3 * mean, (hidden, weight))
    for a, b in zip(ours, torch.autograd.grad(3 * expected, (hidden, weight)), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_chunks_do_not_show(monkeypatch):
    hidden, weight, targets = torch.randn(50, 8), torch.randn(20, 8), torch.randint(0, 20, (50,))
    whole = cross_entropy(hidden, weight, targets)[1]
    monkeypatch.setitem(loss_module.CHUNK_LOGITS, "cpu", 7 * 20)
    assert torch.allclose(cross_entropy(hidden, weight, targets)[1], whole, atol=1e-6)


def test_large_logits_stay_finite():
    hidden, weight = 1e4 * torch.eye(4), torch.eye(4)
    mean, each = cross_entropy(hidden, weight, torch.tensor([0, 1, 2, 0]))
    assert each.tolist() == [0, 0, 0, 1e4]
    assert mean.item() == 2500


def test_nothing_to_predict_costs_nothing():
    hidden = torch.randn(3, 4, requires_grad=True)
    mean, each = cross_entropy(hidden[:0], torch.randn(5, 4), torch.empty(0, dtype=torch.int64))
    mean.backward()
    assert mean.item() == 0
    assert len(each) == 0
    assert hidden.grad.abs().max() == 0


def test_bfloat16_is_close_and_has_float32_gradients():
    hidden, weight = torch.randn(40, 8, requires_grad=True), torch.randn(20, 8)
    targets = torch.randint(0, 20, (40,))
    exact = cross_entropy(hidden, weight, targets)[0]
    with torch.autocast("cpu", torch.bfloat16):
        mean, _ = cross_entropy(hidden, weight, targets)
    assert mean.item() == pytest.approx(exact.item(), rel=0.02)
    mean.backward()
    assert hidden.grad.dtype == torch.float32


def test_no_gradient_where_none_is_wanted():
    with torch.no_grad():
        mean, _ = cross_entropy(torch.randn(4, 4), torch.randn(5, 4, requires_grad=True), torch.tensor([1, 2, 3, 4]))
    assert not mean.requires_grad


def test_document_ends_and_padding_are_no_targets():
    tokens = np.array([[1, 2, 3, 4, 5, 9, 9, 9], [9, 6, 7, 8, 9, 9, 9, 9]])
    batch = pack(tokens, np.array([0, 1]), np.array([0, 0, 1]), np.array([0, 3, 1]), np.array([3, 2, 3]))
    pairs = list(zip(batch.tokens[batch.inputs].tolist(), batch.targets.tolist(), strict=True))
    assert pairs == [(1, 2), (2, 3), (4, 5), (6, 7), (7, 8)]
    assert batch.domain[batch.inputs].tolist() == [0, 0, 0, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 10)), max_size=20))
def test_domain_means_equal_their_definition(pairs):
    each = torch.tensor([value for _, value in pairs], dtype=torch.float32)
    domain = torch.tensor([number for number, _ in pairs], dtype=torch.int64)
    for number, mean in enumerate(by_domain(each, domain, 3).tolist()):
        own = [value for d, value in pairs if d == number]
        assert mean == pytest.approx(sum(own) / len(own), abs=1e-4) if own else math.isnan(mean)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_unigram_is_a_distribution(counts):
    surprise = unigram_surprise(torch.tensor(counts))
    assert float((-surprise).exp().sum()) == pytest.approx(1)
    assert surprise[0].item() == pytest.approx(math.log((sum(counts) + len(counts)) / (counts[0] + 1)))
