"""Held-out loss and the unigram level, each against a slow computation of its definition."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from gristmill.handoff.reader import ShardReader
from gristmill.trainer.model.packed import pack
from gristmill.trainer.schedules import FLOOR, learning_rate_at
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.session import begin
from gristmill.trainer.training.step import train_step

NAMES = ("books", "code", "web")


@pytest.fixture
def session(config):
    return begin(config)


def slices_of(folder, domain):
    """Token lists of all document slices of a domain."""
    reader = ShardReader(folder / domain)
    rows = np.arange(reader.rows)
    tokens, slices = reader.tokens(rows), reader.slices(rows)
    return [tokens[r, s : s + n].tolist() for r, s, n in zip(*slices, strict=True)]


def naive_losses(model, document):
    """One document alone in a row."""
    batch = pack(np.array([document]), np.array([0]), np.array([0]), np.array([0]), np.array([len(document)]))
    logits = model(batch).hidden[:-1] @ model.embedding.T
    return functional.cross_entropy(logits, torch.tensor(document[1:], dtype=torch.int64), reduction="none").tolist()


@torch.no_grad()
def test_loss_by_domain_equals_document_by_document(run, config, session):
    found = evaluate(session.model, read_heldout(run / "heldout", NAMES, config), config, session.unigrams)
    session.model.eval()
    everything = []
    for name in NAMES:
        losses = [loss for doc in slices_of(run / "heldout", name) for loss in naive_losses(session.model, doc)]
        assert found.domains[name].tokens == len(losses)
        assert found.domains[name].loss == pytest.approx(np.mean(losses), abs=1e-5)
        everything += losses
    assert found.loss == pytest.approx(np.mean(everything), abs=1e-5)
    assert found.tokens == len(everything)


def test_unigram_level_equals_its_definition(run, config, session):
    counts = torch.arange(64) % 7
    found = evaluate(session.model, read_heldout(run / "heldout", NAMES, config), config, counts)
    targets = Counter(token for name in NAMES for doc in slices_of(run / "heldout", name) for token in doc[1:])
    total = int(counts.sum()) + 64
    nats = [n * -math.log((int(counts[token]) + 1) / total) for token, n in targets.items()]
    assert found.unigram == pytest.approx(sum(nats) / sum(targets.values()))


def test_evaluating_changes_nothing(run, config, session):
    heldout = read_heldout(run / "heldout", NAMES, config)
    before = {name: value.clone() for name, value in session.model.state_dict().items()}
    generator = torch.get_rng_state()
    first = evaluate(session.model, heldout, config, session.unigrams)
    assert evaluate(session.model, heldout, config, session.unigrams) == first
    assert session.model.training
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(value, before[name]) for name, value in session.model.state_dict().items())


def test_load_counts_every_token_in_every_layer(run, config, session):
    heldout = read_heldout(run / "heldout", NAMES, config)
    load = evaluate(session.model, heldout, config, session.unigrams).load
    assert 1 <= load.max_over_mean <= config.model.experts / config.model.top_k


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (4, 4), (100, 6), (0, 6)])
def test_heldout_rows_are_spread_and_bounded(run, config, limit, rows):
    found = read_heldout(run / "heldout", NAMES, replace(config, heldout_rows=limit, batch_rows=1))
    assert {name: len(batches) for name, batches in found.items()} == dict.fromkeys(NAMES, rows)


def test_domains_without_heldout_rows_are_left_out(run, config):
    assert list(read_heldout(run / "heldout", ("books", "nowhere"), config)) == ["books"]


def test_norms_and_embedding_do_not_decay(session):
    decay = {id(p): g["weight_decay"] for g in make_optimizer(session.model, 1.0).param_groups for p in g["params"]}
    for name, parameter in session.model.named_parameters():
        assert (decay[id(parameter)] == 0) == (name == "embedding" or "norm" in name)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 20), (5, 5), (50, 7)])
def test_learning_rate_rises_then_falls_to_the_floor(steps, warmup):
    rates = [learning_rate_at(step, steps, warmup, 1.0) for step in range(steps)]
    top = min(warmup, steps)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert all(0 < rate <= 1 for rate in rates)
    if steps > warmup:
        assert rates[-1] == pytest.approx(FLOOR)


@pytest.mark.parametrize("balance", ["switch", "bias", ""])
def test_a_step_moves_every_parameter(run, config, session, balance):
    config = replace(config, balance={balance: 0.01} if balance else {})
    before = {name: value.clone() for name, value in session.model.state_dict().items()}
    (batch,) = read_heldout(run / "heldout", NAMES[:1], replace(config, batch_rows=8))["books"]
    for _ in range(3):  # odd: after an even step these biases happen to be 0
        result = train_step(session.model, session.optimizer, [batch], config)
    assert result.counts.sum(1).tolist() == [config.model.top_k * len(batch.tokens)] * config.model.layers
    for name, value in session.model.state_dict().items():
        moved = not torch.equal(value, before[name])
        assert moved == (balance == "bias" or not name.endswith("router.bias")), name
