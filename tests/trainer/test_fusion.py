"""Fusion with a graph: nothing where it is off, the formula where it is on, no mention is known before it is read."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.handoff.neighbours import EntitySpans
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.entity_mentions import NONE, Names, mentions_of
from gristmill.trainer.model.fusion import FusionShape, Kind
from gristmill.trainer.model.shape import Shape
from tests.trainer.test_packed_attention import ROW, make_batch, rows_of_documents

NAMES = Names.of([[3, 4], [5], [], [6, 7, 8], [9]])
VOCAB, RELATIONS, NEAR = 32, 3, 3
SMALL = Shape(layers=2, width=16, heads=2, expert_width=8)


def drawn_spans(slices, seed=0) -> EntitySpans:
    """Mentions of two tokens at most in some documents and across some of their borders, one of them an answer."""
    rng, found = np.random.default_rng(seed), []
    for row in range(max(one[0] for one in slices) + 1):
        for start in range(0, ROW - 2, 5):
            near = rng.integers(0, len(NAMES.lengths), NEAR)
            near[rng.integers(0, NEAR + 1) :] = NONE
            relation = np.where(near == NONE, NONE, rng.integers(0, RELATIONS, NEAR))
            found.append((row, start, int(rng.integers(1, 3)), 0, not len(found), near, relation))
    columns = [np.array(column) for column in zip(*found, strict=True)]
    return EntitySpans(*columns)


def with_mentions(slices, spans=None):
    _, batch = make_batch(slices)
    spans = drawn_spans(slices) if spans is None else spans
    return batch._replace(mentions=mentions_of(batch.slices.numpy(), ROW, spans, NAMES))


def model_of(kind: Kind) -> Model:
    torch.manual_seed(0)
    model = Model(SMALL, VOCAB, FusionShape(kind, RELATIONS)).eval()
    for parameter in model.fusion.parameters():  # zeros would hide a fault
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@settings(max_examples=20)
@given(rows_of_documents(), st.integers(0, 9))
def test_mentions_stand_where_their_last_token_does(slices, seed):
    spans = drawn_spans(slices, seed)
    found = with_mentions(slices, spans).mentions
    place, document, at = {}, [], 0
    for number, (row, start, length) in enumerate(slices):
        for column in range(start, start + length):
            place[row, column], at = at, at + 1
            document.append(number)
    wanted = []
    for n in range(len(spans.row)):
        last = place.get((int(spans.row[n]), int(spans.start[n] + spans.length[n] - 1)))
        if last is not None and (spans.neighbours[n] >= 0).any():
            wanted.append((last, n))
    wanted.sort()
    assert found.at.tolist() == [at for at, _ in wanted]
    for mine, (_, n) in zip(range(len(wanted)), wanted, strict=True):
        for near, theirs in zip(found.neighbours[mine].tolist(), spans.neighbours[n].tolist(), strict=True):
            name = [] if near == NONE else found.names[near, : found.lengths[near]].tolist()
            assert name == ([] if theirs == NONE else NAMES.tokens[theirs, : NAMES.lengths[theirs]].tolist())
            assert (near == NONE) == (theirs == NONE)
        assert found.relations[mine].tolist() == spans.relations[n].tolist()
    for token in range(at):
        before = [n for n, (last, _) in enumerate(wanted) if last <= token and document[last] == document[token]]
        assert int(found.latest[token]) == (before[-1] if before else NONE)


@pytest.mark.parametrize("kind", ["attention", "mean", "constant"])
def test_what_is_fused_is_the_formula_neighbour_by_neighbour(kind):
    model, batch = model_of(kind), with_mentions([(0, 0, 20), (1, 3, 20)])
    mentions, fusion = batch.mentions, model.fusion
    x = torch.randn(len(batch.tokens), 16)
    found = fusion(x, mentions, model.embed)
    assert len(found) > 5
    for m in range(len(found)):
        nodes, names = [], []
        for near, relation in zip(mentions.neighbours[m].tolist(), mentions.relations[m].tolist(), strict=True):
            if near == NONE:
                continue
            tokens = mentions.names[near, : mentions.lengths[near]]
            name = model.embed(tokens).mean(0) if len(tokens) else torch.zeros(16)
            names.append(fusion.constant if kind == "constant" else name)
            nodes.append(fusion.constant if kind == "constant" else name + fusion.relation[relation])
        q, mixed, shares = fusion.query @ x[mentions.at[m]], [], []
        for head in range(2):
            part = slice(8 * head, 8 * head + 8)
            scores = torch.stack([q[part] @ (fusion.key @ node)[part] / math.sqrt(8) for node in nodes])
            share = scores.softmax(0) if kind == "attention" else torch.full((len(nodes),), 1 / len(nodes))
            mixed.append(sum(s * (fusion.value @ node)[part] for s, node in zip(share, nodes, strict=True)))
            shares.append(share)
        share = torch.stack(shares).mean(0)
        wanted = sum(s * name for s, name in zip(share, names, strict=True)) + fusion.out @ torch.cat(mixed)
        assert torch.allclose(found[m], wanted, atol=1e-5)


def test_without_fusion_or_without_mentions_nothing_changes():
    """All weights but its own are those of a model without, and so is every number to the bit."""
    torch.manual_seed(0)
    plain = Model(SMALL, VOCAB).eval()
    torch.manual_seed(0)
    fused = Model(SMALL, VOCAB, FusionShape("attention", RELATIONS)).eval()
    assert all(torch.equal(value, fused.state_dict()[name]) for name, value in plain.state_dict().items())
    batch = with_mentions([(0, 0, 20), (0, 20, 4), (1, 3, 20)])
    bare = batch._replace(mentions=None)
    assert torch.equal(plain(bare).hidden, plain(batch).hidden)
    assert torch.equal(plain(bare).hidden, fused(bare).hidden)
    assert not torch.equal(fused(bare).hidden, fused(batch).hidden)


@pytest.mark.parametrize("kind", ["attention", "mean"])
def test_a_mention_is_known_from_its_last_token_on_and_in_its_document_alone(kind):
    slices = [(0, 0, 12), (0, 12, 12), (1, 0, 20)]
    model, spans = model_of(kind), drawn_spans(slices)
    spans = spans._replace(neighbours=np.zeros_like(spans.neighbours), relations=np.zeros_like(spans.relations))
    for n in (1, 3, 7):
        other = spans.neighbours.copy()
        other[n] = 3
        one, two = (with_mentions(slices, spans._replace(neighbours=near)) for near in (spans.neighbours, other))
        moved = (model(one).hidden - model(two).hidden).abs().amax(1) > 1e-6
        row, last = int(spans.row[n]), int(spans.start[n] + spans.length[n] - 1)
        at = {(0, last): last, (1, last): 24 + last}[row, last]
        stop = 12 if at < 12 else 24 if at < 24 else 44
        assert moved.nonzero().flatten().tolist() == list(range(at, stop))


def test_every_parameter_has_a_gradient_with_attention():
    model, batch = model_of("attention").train(), with_mentions([(0, 0, 20), (1, 3, 20)])
    model(batch).hidden.square().sum().backward()
    named = dict(model.fusion.named_parameters())
    assert [name for name, one in named.items() if one.grad is None or not one.grad.any()] == ["constant"]
