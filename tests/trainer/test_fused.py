"""Norm, gate and rotation against their formulas under autograd, and blocks of rows against none."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.model.experts import BLOCK, Experts, in_whole_blocks
from gristmill.trainer.model.fused import RmsNorm, rms_norm, rotate, swiglu
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.model.router import Router
from gristmill.trainer.model.shape import Shape


def naive_norm(x, weight, epsilon):
    unit = x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt()
    return unit if weight is None else unit * weight


def naive_swiglu(gate_up):
    gate, up = gate_up.chunk(2, -1)
    return functional.silu(gate) * up


def naive_rotation(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


def same(ours, theirs, *inputs):
    """Values and gradients, in float64."""
    inputs = [one.requires_grad_() if one is not None else None for one in inputs]
    out, wanted = ours(*inputs), theirs(*inputs)
    assert torch.allclose(out, wanted, atol=1e-12)
    upstream = torch.randn_like(out)
    learnt = [one for one in inputs if one is not None]
    for found, expected in zip(*(torch.autograd.grad(one, learnt, upstream) for one in (out, wanted)), strict=True):
        assert torch.allclose(found, expected, atol=1e-10)
    assert torch.autograd.gradcheck(ours, inputs)


SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


def numbers(seed, *size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=25)
@given(SIZES, st.booleans(), st.sampled_from([1e-6, 0.5]), st.integers(0, 99))
def test_norm(sizes, weighted, epsilon, seed):
    n, heads, width = sizes
    weight = numbers(seed + 1, 2 * width) if weighted else None
    same(
        lambda x, w: rms_norm(x, w, epsilon),
        lambda x, w: naive_norm(x, w, epsilon),
        numbers(seed, n, heads, 2 * width),
        weight,
    )


@settings(deadline=None, max_examples=25)
@given(SIZES, st.integers(0, 99))
def test_gate_and_rotation(sizes, seed):
    n, heads, width = sizes
    same(swiglu, naive_swiglu, numbers(seed, n, heads, 2 * width))
    angle = numbers(seed + 1, n, 1, width)
    cos, sin = angle.cos(), angle.sin()
    x = numbers(seed, n, 2 * heads, 2 * width)[:, ::2]  # a view of a larger tensor, as queries are
    same(lambda x: rotate(x, cos, sin), lambda x: naive_rotation(x, cos, sin), x)


@pytest.mark.parametrize("piece", ["norm", "gate", "rotation"])
def test_a_gradient_that_forgets_a_term_would_be_seen(piece):
    """The derivative of the scale, of the gate, and the sign of the turn back."""
    wrong = {
        "norm": lambda x: x * naive_norm(x, None, 1e-6).detach() / x.detach(),
        "gate": lambda x: naive_swiglu(torch.cat([x.chunk(2, -1)[0].detach(), x.chunk(2, -1)[1]], -1)),
        "rotation": lambda x: naive_rotation(x, torch.ones(1), -torch.ones(1)),
    }[piece]
    right = {
        "norm": lambda x: rms_norm(x, None, 1e-6),
        "gate": swiglu,
        "rotation": lambda x: rotate(x, torch.ones(1), torch.ones(1)),
    }[piece]
    with pytest.raises(AssertionError):
        same(right, wrong, numbers(3, 2, 2, 4))


def test_a_norm_is_torchs_own_by_name_and_value():
    ours, theirs = RmsNorm(6, 1e-6), torch.nn.RMSNorm(6, 1e-6)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert torch.allclose(ours(torch.ones(2, 6) * 3), theirs(torch.ones(2, 6) * 3))


def test_no_tokens_have_no_values_and_no_gradient():
    none = torch.zeros(0, 2, 4, requires_grad=True)
    (
        swiglu(rms_norm(none, torch.ones(4), 1e-6)).sum() + rotate(none, torch.ones(0, 1, 2), torch.ones(0, 1, 2)).sum()
    ).backward()
    assert none.grad.shape == none.shape


@settings(deadline=None)
@given(st.lists(st.integers(0, 70), min_size=1, max_size=6))
def test_blocks_keep_every_choice_in_its_place(counts):
    at, whole = in_whole_blocks(torch.tensor(counts))
    assert all(
        size % BLOCK == 0 and 0 <= size - count < BLOCK for size, count in zip(whole.tolist(), counts, strict=True)
    )
    begin, wanted = 0, []
    for size, count in zip(whole.tolist(), counts, strict=True):
        wanted += range(begin, begin + count)
        begin += size
    assert at.tolist() == wanted


def test_experts_in_blocks_give_what_they_give_without():
    """bfloat16 on a CPU is where rows come in blocks; in float32 they do not."""
    torch.manual_seed(2)
    shape = Shape(width=16, experts=4, expert_width=16)
    layer, x = Experts(shape), torch.randn(75, 16)
    routing = Router(shape)(x)
    routing = routing._replace(weights=routing.weights.detach())
    found = {}
    for precision in ("float32", "bfloat16"):
        layer.zero_grad()
        with matmuls(precision, "cpu"):
            out = layer(x, routing)
        out.backward(torch.ones_like(out))
        found[precision] = [out.detach(), *(one.grad.clone() for one in layer.parameters())]
    for exact, reduced in zip(*found.values(), strict=True):
        assert float((exact - reduced).norm() / exact.norm()) < 0.02
