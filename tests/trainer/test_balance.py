"""Balance: every loss turns the router towards even loads, sees no padding, and is zero where loads are even."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gristmill.trainer.model.balance import BALANCES
from gristmill.trainer.model.layer_load import Totals, load_of, totals_of
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.router import Router, Routing
from gristmill.trainer.model.selection_bias import update_bias
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.metrics import last_steps, load_figures

LOSSES = {name: one.loss for name, one in BALANCES.items() if one.loss}
ZERO_WHEN_EVEN = sorted(LOSSES.keys() - {"token_entropy", "z"})  # no balance makes these two zero
E = 4


def make_router(**changes):
    torch.manual_seed(0)
    return Router(Shape(**({"width": 8, "experts": E, "top_k": 2} | changes)))


def routing_of(choices, probabilities):
    """A routing of given choices [N][K] and probabilities [N][E]."""
    chosen, gates = torch.tensor(choices), torch.tensor(probabilities, requires_grad=True)
    counts = torch.bincount(chosen.flatten(), minlength=E)
    return Routing(torch.ones(chosen.shape) / chosen.shape[1], chosen, counts, gates, gates.log())


def skewed(score="softmax", lengths=(20, 30, 14)):
    """A router that most tokens of some documents pull one way, and its inputs."""
    router, x = make_router(score=score), torch.randn(sum(lengths), 8) + 1
    router.weight.data *= 20
    return router, x, torch.cat([torch.arange(n) for n in lengths])


NAIVE = {  # of a document's choices c[e] and mean probabilities P[e], N tokens
    "switch": lambda f, P: E * sum(a * b for a, b in zip(f, P, strict=True)) - 1,
    "switch_global": lambda f, P: E * sum(a * b for a, b in zip(f, P, strict=True)) - 1,
    "frequency": lambda f, P: sum((a * E - 1) ** 2 for a in f),
    "gate": lambda f, P: E**2 * sum((b - 1 / E) ** 2 for b in P),
    "batch_entropy": lambda f, P: math.log(E) + sum(b * math.log(b) for b in P if b),
}


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_equals_its_definition(name, score):
    router, x, positions = skewed(score)
    routing = router(x)
    gates, n = routing.probabilities.tolist(), len(x)

    def of(rows):
        f = [sum(e in routing.experts[t] for t in rows) / 2 / len(rows) for e in range(E)]
        return f, [sum(gates[t][e] for t in rows) / len(rows) for e in range(E)]

    documents = np.split(np.arange(n), [20, 50])
    if name == "sequence":
        expected = sum(len(rows) / n * NAIVE["switch"](*of(rows)) for rows in documents)
    elif name == "token_entropy":
        expected = math.log(E) + sum(p * math.log(p) for row in gates for p in row) / n
    elif name == "z":
        expected = sum(math.log(sum(math.exp(v) for v in row)) ** 2 for row in routing.logits.tolist()) / n
    else:
        expected = NAIVE[name](*of(range(n)))
    assert LOSSES[name](load_of(routing, positions)).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"z"}))
def test_a_descent_step_lowers_the_imbalance(name, score):
    """Shares of choices for what sees them, mean probabilities for what sees these; z is of logits alone."""
    router, x, positions = skewed(score)

    @torch.no_grad()
    def imbalance():
        routing = router(x)
        spread = routing.probabilities.mean(0) * E - 1
        return float(load_figures(routing.counts[None]).std), float(spread.square().mean().sqrt())

    before = imbalance()
    for _ in range(40):
        router.zero_grad()
        LOSSES[name](load_of(router(x), positions)).backward()
        assert router.weight.grad.norm() > 1e-4
        router.weight.data -= 0.1 * router.weight.grad / router.weight.grad.norm()
    after = imbalance()
    assert after[1] < 0.7 * before[1], (before, after)
    assert name == "token_entropy" or after[0] < 0.7 * before[0], (before, after)


def test_z_lowers_the_logits():
    router, x, positions = skewed()
    before = LOSSES["z"](load_of(router(x), positions))
    before.backward()
    router.weight.data -= 0.1 * router.weight.grad
    assert 0 < LOSSES["z"](load_of(router(x), positions)) < before


def test_the_squared_frequency_of_counts_alone_has_no_gradient():
    """As the seed documents write it: counts are whole numbers, and a training with it equals one without."""
    router, x, positions = skewed()
    routing = router(x)
    literal = (E * routing.counts / routing.counts.sum() - 1).square().sum()
    assert float(literal) == pytest.approx(LOSSES["frequency"](load_of(routing, positions)).item())
    assert not literal.requires_grad
    assert LOSSES["frequency"](load_of(routing, positions)).requires_grad


@pytest.mark.parametrize("name", ZERO_WHEN_EVEN)
def test_a_loss_and_its_gradient_are_zero_where_loads_are_even(name):
    """Each document chooses every expert equally often; single tokens prefer one, and so token_entropy is no zero."""
    sharp = np.full((E, E), 0.1) + np.eye(E) * 0.6
    logits = torch.tensor(np.log(sharp), dtype=torch.float64, requires_grad=True)
    order = [0, 1, 2, 3, 2, 0, 3, 1]
    gates = logits.softmax(-1)[order]
    routing = Routing(gates, torch.tensor(order)[:, None], torch.tensor([2] * E), gates, gates.log() + 1)
    positions = torch.tensor([0, 1, 2, 3] * 2)
    loss = LOSSES[name](load_of(routing, positions))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert logits.grad.abs().max() < 1e-12
    assert all(LOSSES[other](load_of(routing, positions)) > 0.01 for other in LOSSES.keys() - {*ZERO_WHEN_EVEN})


@pytest.mark.parametrize("name", LOSSES)
def test_padding_and_pieces_taken_out_of_a_row_are_not_seen(name):
    """Rows with padding and a piece that no slice covers, against the documents alone."""
    router, embedding = make_router(), torch.randn(64, 8) + 1
    router.weight.data *= 20
    rng, found = np.random.default_rng(0), []
    tokens = rng.integers(0, 64, (2, 24))
    for filler in (3, 60):
        tokens[0, 9:14], tokens[1, 20:] = filler, filler
        batch = pack(tokens, np.zeros(2), np.array([0, 0, 1]), np.array([0, 14, 0]), np.array([9, 10, 20]))
        found.append(LOSSES[name](load_of(router(embedding[batch.tokens]), batch.positions)).item())
    alone = np.concatenate([tokens[0, :9], tokens[0, 14:], tokens[1, :20]])
    positions = torch.cat([torch.arange(n) for n in (9, 10, 20)])
    found.append(LOSSES[name](load_of(router(embedding[alone]), positions)).item())
    assert found[0] == found[1] == pytest.approx(found[2], rel=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"switch"}))
def test_parts_of_a_step_have_the_gradient_of_the_whole(name):
    router, x, positions = skewed()
    LOSSES[name](load_of(router(x), positions)).backward()
    whole, gradient = totals_of(router(x)), router.weight.grad.clone()
    router.zero_grad()
    parts = [slice(0, 20), slice(20, 64)]
    assert sum(totals_of(router(x[part])).tokens for part in parts) == whole.tokens
    for part in parts:
        LOSSES[name](load_of(router(x[part]), positions[part], whole)).backward()
    assert torch.allclose(router.weight.grad, gradient, atol=1e-6)
    router.zero_grad()
    for part in parts:  # without the counts of the whole, another step
        LOSSES[name](load_of(router(x[part]), positions[part])).backward()
    assert not torch.allclose(router.weight.grad, gradient, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_tokens_has_a_loss_of_zero_and_no_trap(name):
    router, empty = make_router(), torch.zeros(0, 8)
    whole = Totals(torch.tensor([1, 2, 3, 4]), torch.ones(E), 10)
    loss = LOSSES[name](load_of(router(empty), torch.zeros(0, dtype=torch.int64), whole))
    loss.backward()
    assert loss.isfinite()
    assert not router.weight.grad.any()


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


def _toy(name, weight, steps=100):
    """Inputs that mostly point one way, so that the experts nearest to it take almost everything unless helped."""
    torch.manual_seed(1)
    router = make_router(experts=8)
    router.weight.data *= 25
    direction = torch.randn(8)
    optimizer = torch.optim.SGD(router.parameters(), lr=0.3)
    for _ in range(steps):
        routing = router(direction + 0.5 * torch.randn(128, 8))
        if name in LOSSES:
            (weight * LOSSES[name](load_of(routing, torch.arange(128)))).backward()
            optimizer.step()
            optimizer.zero_grad()
        if name == "bias":
            update_bias(router.bias, routing.counts, weight)
    return load_figures(routing.counts[None])


def test_balancing_prevents_collapse():
    none = _toy("none", 0)
    assert none.dead >= 2
    for name, weight in (("bias", 0.01), ("switch", 1.0), ("sequence", 1.0), ("frequency", 0.1), ("gate", 0.1)):
        found = _toy(name, weight)
        assert found.dead == 0, name
        assert found.max_over_mean < 0.7 * none.max_over_mean, name


def test_the_bias_takes_load_from_its_expert_without_a_gradient():
    router, x, _ = skewed()
    busiest = int(router(x).counts.argmax())
    loads = []
    for _ in range(30):
        routing = router(x)
        loads.append(int(routing.counts[busiest]))
        update_bias(router.bias, routing.counts, 0.01)
    assert loads[-1] < 0.8 * loads[0]
    assert not router.bias.requires_grad
    assert router.weight.grad is None


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
