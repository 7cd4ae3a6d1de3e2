"""The grouped experts against a loop over experts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.trainer.model.experts import Experts
from gristmill.trainer.model.router import Router
from gristmill.trainer.model.shape import Shape


def naive_experts(experts, x, routing):
    """Expert by expert, token by token."""
    out = torch.zeros_like(x)
    for e in range(len(experts.gate_up)):
        token, place = torch.where(routing.experts == e)
        gate, up = (x[token] @ experts.gate_up[e].T).chunk(2, -1)
        y = (functional.silu(gate) * up) @ experts.down[e].T
        out = out.index_add(0, token, routing.weights[token, place, None] * y)
    return out


def both(n_tokens, n_experts, top_k, seed):
    torch.manual_seed(seed)
    shape = Shape(width=16, experts=n_experts, expert_width=8, top_k=top_k, score="softmax", layers=1)
    experts, router = Experts(shape), Router(shape)
    x = torch.randn(n_tokens, 16)
    return experts, router, x


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_values_equal_the_loop(n_tokens, n_experts, top_k, seed):
    experts, router, x = both(n_tokens, n_experts, min(top_k, n_experts), seed)
    routing = router(x)
    assert torch.allclose(experts(x, routing), naive_experts(experts, x, routing), atol=1e-5)


@pytest.mark.parametrize("skew", [0.0, 50.0])
def test_gradients_equal_the_loop(skew):
    experts, router, x = both(33, 5, 2, 0)
    router.bias[0] = skew  # all tokens to expert 0, and some experts may get none
    gradients = []
    for compute in (experts.__call__, lambda x, routing: naive_experts(experts, x, routing)):
        x = x.detach().requires_grad_()
        for parameter in (*experts.parameters(), *router.parameters()):
            parameter.grad = None
        compute(x, router(x)).square().sum().backward()
        gradients.append([x.grad, experts.gate_up.grad, experts.down.grad, router.weight.grad])
    for ours, naive in zip(*gradients, strict=True):
        assert torch.allclose(ours, naive, atol=1e-4)
        assert ours.abs().max() > 0


def test_bfloat16_is_close_to_float32():
    experts, router, x = both(64, 4, 2, 0)
    routing = router(x)
    exact = experts(x, routing)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = experts(x, routing)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert torch.allclose(exact, rounded, atol=0.02 * exact.abs().max().item() + 0.02)


def test_a_token_of_no_weight_leaves_no_trace():
    experts, router, x = both(8, 4, 2, 0)
    routing = router(x)
    weights = routing.weights.clone()
    weights[3] = 0
    assert experts(x, routing._replace(weights=weights))[3].abs().max() == 0
