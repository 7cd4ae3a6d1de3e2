"""Heads for further tokens: what they are given and asked, what they see, what they teach, and what stays without."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.handoff.loader import Loader
from gristmill.trainer.model import decoder
from gristmill.trainer.model.ahead import ahead_loss, further
from gristmill.trainer.model.decoder import Model, count_parameters
from gristmill.trainer.model.fused import rms_norm
from gristmill.trainer.model.packed import pack, pack_batch
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.flops import head_products, step_flops
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.step import train_step
from tests.trainer.conftest import VOCAB, changed
from tests.trainer.test_packed_attention import ROW, make_batch, rows_of_documents

SMALL: dict[str, Any] = {"width": 16, "heads": 2, "layers": 1, "expert_width": 8}


@given(rows_of_documents(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_further_tokens_are_those_of_the_document_that_count(slices, distance, chance):
    tokens, batch = make_batch(slices)
    counts = np.array([[chance.random() < 0.6 for _ in range(ROW)] for _ in tokens])
    row, start, length = (np.array(column) for column in zip(*slices, strict=True))
    batch = pack(tokens, np.zeros(len(tokens)), row, start, length, counts)
    expected, first = [], 0
    for row, start, length in slices:
        for at in range(length - 1 - distance):
            then = start + at + 1 + distance
            expected += [(first + at, int(tokens[row, then]))] if counts[row, then] else []
        first += length
    inputs, targets = further(batch, distance)
    assert list(zip(inputs.tolist(), targets.tolist(), strict=True)) == expected


def naive_head(model, head, x, known):
    """One token ``x [D]`` of what came before and the token that is known, in plain formulas."""

    def norm(x):
        return x * (x.square().mean() + 1e-6) ** -0.5

    merged = head.merge @ torch.cat((x, norm(model.embedding[known])))
    gate, up = (head.dense.gate_up @ (norm(merged) * head.dense_norm.weight)).chunk(2)
    return norm(merged + head.dense.down @ (functional.silu(gate) * up)) * head.norm.weight


def test_a_head_is_given_what_the_one_before_it_made_and_the_token_that_is_known():
    torch.manual_seed(0)
    model = Model(Shape(**SMALL, ahead=2), VOCAB).eval()
    _, batch = make_batch([(0, 0, 9), (0, 9, 5), (1, 0, 2)])
    out, each = model(batch, ahead=True), []
    for distance in (1, 2):
        inputs, targets = further(batch, distance)
        nats = []
        for at, target in zip(inputs.tolist(), targets.tolist(), strict=True):
            x = out.hidden[at]
            for step, head in enumerate(list(model.heads)[:distance], 1):
                x = naive_head(model, head, x, batch.tokens[at + step])
            nats.append(-(model.embedding @ x).log_softmax(0)[target])
        each.append(torch.stack(nats).mean())
    found = ahead_loss(out.ahead, model.embedding, batch, [len(further(batch, distance)[0]) for distance in (1, 2)])
    assert torch.allclose(torch.stack(found), torch.stack(each), atol=1e-5)


def leaks(model):
    """(head, token) that is asked for a further token and sees it, a later one, or one of another document."""
    _, batch = make_batch([(0, 0, 9), (0, 9, 6), (1, 1, 12)])
    given = rms_norm(model.embedding[batch.tokens], None, 1e-6).detach().requires_grad_(True)
    calls = iter([lambda _: given])
    model.embed = lambda tokens: next(calls, lambda _: None)(tokens) if tokens is batch.tokens else shifted(tokens)

    def shifted(tokens):
        distance = next(d for d in range(1, 5) if torch.equal(tokens, batch.tokens.roll(-d)))
        return given.roll(-distance, 0)

    out, document, found = model(batch, ahead=True), (batch.positions == 0).cumsum(0), []
    for head, hidden in enumerate(out.ahead, 1):
        for at in further(batch, head)[0].tolist():
            (slope,) = torch.autograd.grad(hidden[at].sum(), given, retain_graph=True)
            seen = slope.abs().sum(1).nonzero().flatten()
            found += [(head, at)] if bool((seen > at + head).any() or (document[seen] != document[at]).any()) else []
    return found


def test_no_head_sees_what_it_is_asked_for(monkeypatch):
    torch.manual_seed(0)
    shape = Shape(**SMALL, ahead=2)
    assert not leaks(Model(shape, VOCAB).eval())

    def one_too_many(model, x, batch):
        found = [x]
        for distance, head in enumerate(model.heads, 2):
            found.append(head(found[-1], model.embed(batch.tokens.roll(-distance))))
        return tuple(found[1:])

    monkeypatch.setattr(decoder.Model, "_ahead", one_too_many)
    assert leaks(Model(shape, VOCAB).eval())


def test_all_other_weights_and_what_the_model_predicts_are_as_without():
    _, batch = make_batch([(0, 0, 9), (0, 9, 5)])
    models = []
    for heads in (0, 2):
        torch.manual_seed(0)
        models.append(Model(Shape(**SMALL, ahead=heads), VOCAB).eval())
    plain, taught = models
    weights = taught.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.state_dict().items())
    assert torch.equal(plain(batch).hidden, taught(batch, ahead=True).hidden)
    assert taught(batch).ahead == ()
    assert count_parameters(plain).active == count_parameters(taught).active
    assert count_parameters(plain).total < count_parameters(taught).total


def test_heads_teach_the_model_by_their_weight(run, config):
    config = changed(config, dropout=0.0, ahead=1)
    packed = [pack_batch(next(iter(Loader(run, batch_rows=4))))]
    gradients = []
    for weight in (0.0, 0.3, 0.6):
        torch.manual_seed(0)
        model = Model(config.model, VOCAB)
        sums = add_gradients(model, packed, replace(config, ahead_weight=weight))
        gradients.append((sums.loss, model.layers[0].attention.qkv.grad, model.heads[0].merge.grad))
    (loss, none, of_head), (_, some, some_of_head), (other_loss, more, _) = gradients
    assert loss == other_loss
    assert not of_head.any()
    assert some_of_head.any()
    assert torch.allclose(more - none, 2 * (some - none), atol=1e-6)
    assert (some - none).abs().max() > 1e-4


def test_heads_learn_a_batch_by_heart(run, config):
    config = changed(config, dropout=0.0, ahead=2)
    packed, model = [pack_batch(next(iter(Loader(run, batch_rows=4))))], begin(config).model
    optimizer = make_optimizer(model, 0.01)
    losses = [train_step(model, optimizer, packed, config).ahead for _ in range(60)]
    assert min(losses[0]) > 4
    assert max(losses[-1]) < 2.5


def test_flops_count_heads(run, config):
    batch = pack_batch(next(iter(Loader(run, batch_rows=4))))
    shape = changed(config, ahead=2).model
    more = sum(
        len(batch.tokens) * head_products(shape) + len(further(batch, distance)[0]) * VOCAB * shape.width
        for distance in (1, 2)
    )
    assert step_flops(shape, [batch], 9, VOCAB) - step_flops(config.model, [batch], 9, VOCAB) == 3 * 2 * more
