"""Kernels of one pass against formulas: in float64 with gradients, in bfloat16 to its rounding, and on two threads."""

from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.model.expert_rows import Rows, from_rows, to_rows
from gristmill.trainer.model.fused import rms_norm, swiglu
from gristmill.trainer.model.loss import _slopes, cross_entropy
from gristmill.trainer.model.one_pass import fits
from gristmill.trainer.model.turned_heads import turned


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def numbers(seed, *size, dtype=torch.float64):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def naive_heads(heads, of_q, of_k, rope, sizes):
    q, k, v = heads.split((*sizes, sizes[1]), 1)
    cos, sin = rope.unbind(1)

    def one(x, weight):
        a, b = (x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight).chunk(2, -1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)

    return one(q, of_q), one(k, of_k), v


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(0, 99))
def test_heads_are_normalised_and_turned(n, of_q, of_k, half, seed):
    heads, rope = numbers(seed, n, of_q + 2 * of_k, 2 * half).requires_grad_(), numbers(seed + 1, n, 2, 1, half)
    weights = numbers(seed + 2, 2 * half).requires_grad_(), numbers(seed + 3, 2 * half).requires_grad_()
    ours = turned(heads, *weights, rope, (of_q, of_k), 1e-6)
    wanted = naive_heads(heads, *weights, rope, (of_q, of_k))
    assert all(torch.allclose(*pair, atol=1e-12) for pair in zip(ours, wanted, strict=True))
    upstream = [numbers(seed + 4, *one.shape) for one in ours]
    found, expected = (torch.autograd.grad(one, (heads, *weights), upstream) for one in (ours, wanted))
    assert all(torch.allclose(*pair, atol=1e-10) for pair in zip(found, expected, strict=True))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 4), st.integers(0, 99))
def test_rows_go_to_experts_and_back(n, top_k, filling, seed):
    """Some choices have no row, and ``filling`` rows are of no choice."""
    order = torch.randperm(n * top_k, generator=torch.Generator().manual_seed(seed))
    chosen = order[: len(order) - seed % 2]
    place = torch.full((n * top_k,), -1).index_copy(0, chosen, torch.arange(len(chosen)))
    rows = Rows(torch.cat((chosen // top_k, torch.zeros(filling, dtype=torch.int64))), place.view(n, top_k))
    x, given_back = numbers(seed, n, 5).requires_grad_(), numbers(seed + 1, len(rows.token), 5).requires_grad_()
    assert to_rows(x, rows, x.dtype).equal(x[rows.token])
    wanted = torch.zeros(n, 5, dtype=torch.float64).index_add(0, rows.token[: len(chosen)], given_back[: len(chosen)])
    assert torch.allclose(from_rows(rows, given_back, x.dtype), wanted)
    there, back = to_rows(x, rows, x.dtype), from_rows(rows, given_back, x.dtype)
    upstream = numbers(seed + 2, len(rows.token), 5)
    (of_x,) = torch.autograd.grad(there, x, upstream)
    assert torch.allclose(of_x, from_rows(rows, upstream, x.dtype))
    (of_rows,) = torch.autograd.grad(back, given_back, x.detach())
    assert of_rows.equal(x.detach()[rows.token])


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(1, 40), st.floats(0.1, 60), st.integers(0, 99))
def test_slopes_are_softmax_minus_one_hot(n, vocab, spread, seed):
    logits, targets = (spread * numbers(seed, n, vocab)).requires_grad_(), torch.arange(n) % vocab
    each = functional.cross_entropy(logits, targets, reduction="none")
    (wanted,) = torch.autograd.grad(each.sum() * 0.25, logits)
    for dtype, near in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        found, slopes = _slopes(logits.detach().to(dtype, copy=True), targets, 0.25, True)
        assert torch.allclose(found.double(), each, rtol=near, atol=near)
        assert torch.allclose(slopes.double(), wanted, atol=near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_kernel_gives_what_torch_gives_on_two_threads(dtype):
    rows = Rows(torch.tensor([2, 0, 1, 2]), torch.tensor([[1, -1], [2, -1], [0, 3]]))
    x, gate_up, share = numbers(0, 3, 16, dtype=torch.float32), numbers(1, 4, 32, dtype=dtype), numbers(2, 4, 1).float()
    logits, targets = numbers(3, 3, 16, dtype=dtype), torch.tensor([0, 5, 15])

    def all_of_them():
        learnt = [one.clone().requires_grad_() for one in (x, gate_up, share)]
        spread = to_rows(rms_norm(learnt[0], torch.ones(16), 1e-6), rows, dtype)
        mixed = from_rows(rows, swiglu(learnt[1], learnt[2]) * spread, torch.float32)
        each, slopes = _slopes(logits.clone(), targets, 0.5, True)
        return mixed.detach(), *torch.autograd.grad(mixed.square().sum(), learnt), each, slopes

    ours = all_of_them()
    with threads(2):
        assert not fits(x)
        torchs = all_of_them()
    near = 1e-5 if dtype == torch.float32 else 0.03
    for found, wanted in zip(ours, torchs, strict=True):
        assert found.dtype == wanted.dtype
        assert torch.allclose(found.float(), wanted.float(), rtol=near, atol=near * wanted.abs().max().item())


def test_bfloat16_is_rounded_as_torch_rounds_it():
    values = torch.cat((numbers(0, 4, 64), torch.tensor([[1 + 2**-8, 1 + 3 * 2**-8, -0.0, 3e38] * 16]))).float()
    rows = Rows(torch.arange(5), torch.arange(5)[:, None])
    assert to_rows(values, rows, torch.bfloat16).equal(values.bfloat16())
    assert from_rows(rows, values.bfloat16(), torch.float32).equal(values.bfloat16().float())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_comes_through(bad, dtype):
    """Or an update with a gradient that is not finite would be made."""
    gate_up, logits = torch.ones(2, 8, dtype=dtype), torch.ones(2, 8, dtype=dtype)
    gate_up[1, 2] = logits[1, 3] = bad
    assert not torch.isfinite(swiglu(gate_up)[1]).all()
    assert not torch.isfinite(rms_norm(gate_up.float(), None, 1e-6)[1]).all()
    assert torch.isfinite(_slopes(logits.clone(), torch.zeros(2, dtype=torch.int64), 1.0, True)[0]).tolist()[0]
    assert not torch.isfinite(_slopes(logits, torch.zeros(2, dtype=torch.int64), 1.0, True)[0][1])
    mean, _ = cross_entropy(gate_up.float(), torch.ones(3, 8), torch.tensor([0, 1]))
    assert not torch.isfinite(mean)
