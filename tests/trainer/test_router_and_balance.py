"""Router, balance terms and load figures."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gristmill.trainer.balance import switch_loss, update_bias, z_loss
from gristmill.trainer.metrics import last_steps, load_figures
from gristmill.trainer.router import Router

SHAPES = {"width": 8, "experts": 4, "top_k": 2}


def make_router(score="sigmoid", **changes):
    torch.manual_seed(0)
    return Router(**{**SHAPES, **changes}, score=score)


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_weights_are_the_chosen_scores_renormalised(score):
    router, x = make_router(score), torch.randn(10, 8)
    routing = router(x)
    logits = x @ router.weight.T
    scores = logits.softmax(-1) if score == "softmax" else logits.sigmoid()
    for token in range(10):
        best = sorted(range(4), key=lambda e: -scores[token, e])[:2]
        assert set(routing.experts[token].tolist()) == set(best)
        own = torch.stack([scores[token, e] for e in routing.experts[token]])
        assert torch.allclose(routing.weights[token], own / own.sum())
    assert routing.counts.tolist() == [int((routing.experts == e).sum()) for e in range(4)]
    assert torch.allclose(routing.probabilities.sum(-1), torch.ones(10))


def test_bias_moves_the_choice_and_not_the_weights():
    router, x = make_router(top_k=4), torch.randn(10, 8)
    plain = router(x)
    router.bias.copy_(torch.tensor([3.0, -1.0, 0.0, 5.0]))
    biased = router(x)
    order_a, order_b = plain.experts.argsort(-1), biased.experts.argsort(-1)  # top_k = E: only the order may differ
    assert torch.allclose(plain.weights.gather(-1, order_a), biased.weights.gather(-1, order_b))
    router.top_k = 1
    assert router(x).experts.flatten().tolist() == [3] * 10


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("depth", [0.0, 80.0, 104.0, 160.0, 1e4])
def test_scores_that_underflow_still_share_a_token(score, depth):
    """All logits far below zero, and a bias that chooses the two experts which are the furthest below the others."""
    router, x = make_router(score), torch.ones(3, 8)
    levels = torch.tensor([-depth, -depth - 1, -2 * depth - 2, -2 * depth - 3])
    router.weight.data = levels[:, None].expand(4, 8) / 8
    router.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 5.0]))
    routing = router(x)
    assert torch.allclose(routing.weights.sum(-1), torch.ones(3))
    assert torch.allclose(routing.probabilities.sum(-1), torch.ones(3))
    if depth:  # far out, both kinds of score weigh by exp(logit)
        first = 1 / (1 + math.exp(-1))
        assert torch.allclose(
            routing.weights.sort(-1, descending=True).values[0], torch.tensor([first, 1 - first]), atol=1e-3
        )
    (routing.weights[:, 0].sum() + routing.probabilities[:, 0].sum()).backward()
    assert router.weight.grad.isfinite().all()


def test_bias_is_saved_and_not_trained():
    router = make_router()
    assert "bias" in router.state_dict()
    assert [name for name, _ in router.named_parameters()] == ["weight"]


def test_router_computes_in_float32_under_autocast():
    router, x = make_router(), torch.randn(10, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(router(x).logits, router(x.clone()).logits)
        assert router(x).logits.dtype == torch.float32
    assert torch.equal(router(x).logits, x @ router.weight.T)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any))
def test_switch_loss_is_e_times_f_dot_p(counts):
    counts = torch.tensor(counts)
    probabilities = torch.rand(5, len(counts)).softmax(-1)
    expected = sum(
        len(counts) * int(c) / int(counts.sum()) * float(probabilities[:, e].mean()) for e, c in enumerate(counts)
    )
    assert float(switch_loss(counts, probabilities)) == pytest.approx(expected, rel=1e-5)


def test_switch_loss_is_one_when_balanced_and_more_when_the_busy_are_likely():
    even = torch.full((6, 4), 0.25)
    assert float(switch_loss(torch.tensor([3, 3, 3, 3]), even)) == 1
    likely = torch.tensor([[0.7, 0.1, 0.1, 0.1]]).expand(6, 4)
    assert float(switch_loss(torch.tensor([12, 0, 0, 0]), likely)) == pytest.approx(2.8)


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_switch_and_z_loss_have_gradients_on_the_router(score):
    for term in (lambda r: switch_loss(r.counts, r.probabilities), lambda r: z_loss(r.logits)):
        router, x = make_router(score), torch.randn(64, 8) + 1
        router.weight.data *= 20
        term(router(x)).backward()
        assert router.weight.grad.abs().max() > 1e-4


def test_switch_gradient_lowers_the_busy_expert():
    logits = torch.zeros(4, 3, requires_grad=True)
    switch_loss(torch.tensor([8, 0, 0]), logits.softmax(-1)).backward()
    assert (logits.grad[:, 0] > 0).all()
    assert (logits.grad[:, 1:] < 0).all()


def test_z_loss_equals_its_definition():
    logits = torch.randn(7, 3)
    expected = sum(math.log(sum(math.exp(v) for v in row)) ** 2 for row in logits.tolist()) / 7
    assert float(z_loss(logits)) == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.integers(0, 100), min_size=2, max_size=8))
def test_bias_update_raises_the_idle_and_keeps_the_mean(counts):
    bias = torch.zeros(len(counts))
    update_bias(bias, torch.tensor(counts), 0.1)
    assert abs(float(bias.mean())) < 1e-6
    mean = sum(counts) / len(counts)
    for a, load_a in zip(bias.tolist(), counts, strict=True):
        for b, load_b in zip(bias.tolist(), counts, strict=True):
            if load_a < mean < load_b:
                assert a > b


def _toy(balance, steps=200):
    """Inputs that mostly point one way, so that the experts nearest to it take almost everything unless helped."""
    torch.manual_seed(1)
    router = make_router(experts=8)
    router.weight.data *= 25
    direction = torch.randn(8)
    optimizer = torch.optim.SGD(router.parameters(), lr=0.3)
    for _ in range(steps):
        routing = router(direction + 0.5 * torch.randn(256, 8))
        if balance == "switch":
            switch_loss(routing.counts, routing.probabilities).backward()
            optimizer.step()
            optimizer.zero_grad()
        if balance == "bias":
            update_bias(router.bias, routing.counts, 0.01)
    return load_figures(routing.counts[None])


def test_balancing_prevents_collapse():
    none, bias, switch = (_toy(balance) for balance in ("none", "bias", "switch"))
    assert none.dead >= 2
    assert bias.dead == 0
    assert bias.max_over_mean < 0.7 * none.max_over_mean
    assert switch.dead == 0
    assert switch.max_over_mean < 0.7 * none.max_over_mean


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6).filter(any))
def test_load_figures_equal_their_definitions(counts):
    figures = load_figures(torch.tensor([counts]))
    total, mean = sum(counts), sum(counts) / len(counts)
    shares = [c / total for c in counts if c]
    assert figures.max_over_mean == pytest.approx(max(counts) / mean)
    assert figures.min_over_mean == pytest.approx(min(counts) / mean)
    assert figures.std == pytest.approx(math.sqrt(sum((c / mean - 1) ** 2 for c in counts) / len(counts)))
    assert figures.entropy == pytest.approx(-sum(p * math.log(p) for p in shares) / math.log(len(counts)))
    assert figures.dead == sum(c < 0.1 * mean for c in counts)


def test_load_of_one_expert_is_even():
    assert load_figures(torch.tensor([[5]])).entropy == 1.0


def test_last_steps_is_the_mean_of_the_last_tenth():
    import pyarrow as pa

    assert last_steps(pa.table({"loss": list(range(200))}), ["loss"]) == {"loss": 189.5}
    assert last_steps(pa.table({"loss": [1.0, 2.0]}), ["loss"]) == {"loss": 1.5}
