"""The router: scores, choice, weights."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gristmill.trainer.model.router import Router
from gristmill.trainer.model.shape import Shape


def make_router(**changes):
    torch.manual_seed(0)
    return Router(Shape(**({"width": 8, "experts": 4, "top_k": 2} | changes)))


def naive_route(router, x, token):
    """Experts of one token, by weight: sorted lists and plain numbers."""
    shape, logits = router.shape, (x[token] @ router.weight.T).double()
    scores = (logits.softmax(-1) if shape.score == "softmax" else logits.sigmoid()).tolist()
    biased = [score + float(bias) for score, bias in zip(scores, router.bias, strict=True)]
    size = shape.experts // shape.groups
    groups = [range(at, at + size) for at in range(0, shape.experts, size)]
    best = sorted(groups, key=lambda group: -sum(sorted(biased[e] for e in group)[-2:]))[: shape.kept_groups or None]
    chosen = sorted((e for group in best for e in group), key=lambda e: -biased[e])[: shape.top_k]
    if shape.top_k > 1 and not shape.mass:
        return {e: scores[e] / sum(scores[e] for e in chosen) * shape.route_scale for e in chosen}
    found, reached = {}, 0.0
    for e in sorted(chosen, key=lambda e: -scores[e]):
        if not shape.mass or reached < shape.mass:
            found[e] = scores[e] / sum(scores) * shape.route_scale
        reached += scores[e] / sum(scores)
    return found


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"top_k": 1},
        {"top_k": 4},
        {"route_scale": 2.5},
        {"experts": 12, "groups": 4, "kept_groups": 2, "top_k": 3},
        {"experts": 6, "groups": 6, "kept_groups": 3},
        {"experts": 8, "top_k": 5, "mass": 0.3},
        {"experts": 8, "top_k": 3, "mass": 0.4, "groups": 2, "kept_groups": 1},
    ],
    ids=str,
)
def test_experts_and_weights_equal_plain_numbers(score, changes):
    router, x = make_router(score=score, **changes), torch.randn(20, 8)
    router.weight.data *= 20
    router.bias.copy_(torch.rand_like(router.bias) / 4)
    routing, experts = router(x), router.shape.experts
    for token in range(20):
        pairs = zip(routing.experts[token].tolist(), routing.weights[token].tolist(), strict=True)
        found = {e: weight for e, weight in pairs if e < experts}
        assert found == pytest.approx(naive_route(router, x, token), rel=1e-4)
    assert routing.counts.tolist() == [int((routing.experts == e).sum()) for e in range(experts)]
    assert torch.allclose(routing.probabilities.sum(-1), torch.ones(20))
    assert not routing.ragged or 20 <= int(routing.counts.sum()) < 20 * router.shape.top_k


def test_bias_moves_the_choice_and_not_the_weights():
    router, x = make_router(top_k=4), torch.randn(10, 8)
    plain = router(x)
    router.bias.copy_(torch.tensor([3.0, -1.0, 0.0, 5.0]))
    biased = router(x)
    order_a, order_b = plain.experts.argsort(-1), biased.experts.argsort(-1)  # top_k = E: only the order may differ
    assert torch.allclose(plain.weights.gather(-1, order_a), biased.weights.gather(-1, order_b))
    router.shape = router.shape.model_copy(update={"top_k": 1})
    assert router(x).experts.flatten().tolist() == [3] * 10


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("depth", [0.0, 80.0, 104.0, 160.0, 1e4])
def test_scores_that_underflow_still_share_a_token(score, depth):
    """All logits far below zero, and a bias that chooses the two experts which are the furthest below the others."""
    router, x = make_router(score=score), torch.ones(3, 8)
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


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("changes", [{"top_k": 1}, {"top_k": 2, "mass": 0.01}, {"top_k": 2}], ids=str)
def test_the_weights_teach_the_router_with_one_expert_as_well(score, changes):
    """With one expert renormalised to 1 the gradient is 0, and the router stays as it began."""
    router, x = make_router(score=score, **changes), torch.randn(64, 8)
    weights = router(x).weights
    (weights * torch.randn_like(weights)).sum().backward()
    assert router.weight.grad.abs().max() > 0.01


def test_a_dropped_expert_is_chosen_only_where_too_few_are_left():
    torch.manual_seed(1)
    router, x = make_router(experts=8, expert_dropout=0.5), torch.randn(400, 8)
    best = router.eval()(x).experts
    assert torch.equal(best, router(x).experts)
    routing = router.train()(x)
    kept = (routing.experts[:, :, None] == best[:, None]).any(1).float().mean()
    assert 0.4 < kept < 0.65
    assert all(len(set(row)) == 2 for row in routing.experts.tolist())
    assert make_router(experts=4, top_k=4, expert_dropout=0.9).train()(x).experts.sort(-1).values.unique(
        dim=0
    ).tolist() == [[0, 1, 2, 3]]


def test_forced_balance_is_even_whatever_the_router_says():
    router, x = make_router(experts=8, forced_balance=True), torch.randn(40, 8)
    router.bias[0] = 99
    assert router(x).counts.tolist() == [10] * 8
    assert torch.allclose(router(x).weights.sum(-1), torch.ones(40))
    assert router(x[:0]).experts.shape == (0, 2)


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


@given(st.integers(1, 30), st.sampled_from([1, 2, 3]), st.floats(0.05, 0.95))
def test_a_mass_is_reached_by_no_fewer_experts(tokens, top_k, mass):
    routing = make_router(top_k=top_k, mass=mass)(torch.randn(tokens, 8))
    kept = (routing.experts < 4).sum(-1)
    assert int(kept.min()) >= 1
    summed = routing.weights.sum(-1)
    assert ((summed >= mass) | (kept == top_k)).all()
    smallest = routing.weights.where(routing.weights > 0, torch.inf).amin(-1)
    assert (summed - smallest < mass).all()
