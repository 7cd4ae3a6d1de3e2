"""Bits per byte and their errors against slow definitions; the load of experts layer by layer; the tables of both."""

import json
import math
import shutil
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional

from gristmill.handoff.reader import ShardReader
from gristmill.handoff.shards import ShardWriter
from gristmill.trainer.model.packed import pack
from gristmill.trainer.training.bits_per_byte import bits_per_byte, token_bytes
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.evaluation_tables import EVALUATION, LOAD
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train
from gristmill.trainer.training.metrics import layer_figures, load_figures
from gristmill.trainer.training.session import begin
from tests.trainer.conftest import changed

NAMES, END = ("books", "code", "web"), 0


def byte_level(path, texts, vocab):
    """A tokenizer of ``vocab`` tokens with an end token of id 0, saved as tokenizer.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if vocab > 256 else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


@pytest.fixture(scope="module")
def spelled_run(run, tmp_path_factory):
    """The small run with a tokenizer, and held-out documents that lie in several rows and end with the end token."""
    folder = shutil.copytree(run, tmp_path_factory.mktemp("spelled") / "run")
    byte_level(folder / "tokenizer" / "tokenizer.json", ["the mill grinds the grain on and on"] * 9, 64)
    rng = np.random.default_rng(3)
    for name in NAMES:
        shutil.rmtree(folder / "heldout" / name)
        tokens, documents = rng.integers(2, 16, (6, 32)), []
        for row in range(6):
            tokens[row, [10, 29]] = END
            cuts = [(0, 11, f"{name}{row}"), (11, 30, f"{name}-long{row // 2}")]
            documents.append([{"doc_id": doc, "start": a, "length": b - a, "offset": 9 * a} for a, b, doc in cuts])
        with ShardWriter(folder / "heldout" / name, row_tokens=32, vocab_size=64, shard_rows=4, batch_rows=2) as writer:
            writer.write(tokens, documents)
    return folder


@torch.no_grad()
def naive_sums(model, folder, words):
    """Nats and bytes of each document, one slice at a time, from logits and from text."""
    reader, sums = ShardReader(folder), defaultdict(lambda: [0.0, 0])
    for row in range(reader.rows):
        tokens = reader.tokens(np.array([row]))[0]
        for one in reader.documents(np.array([row]))[0]:
            document = tokens[one["start"] : one["start"] + one["length"]].astype(np.int64)
            alone = pack(document[None], np.array([0]), np.array([0]), np.array([0]), np.array([len(document)]))
            logits = model(alone).hidden[:-1] @ model.embedding.T
            loss = functional.cross_entropy(logits, torch.tensor(document[1:]), reduction="sum").item()
            text = "".join(words.id_to_token(token) for token in document[1:].tolist() if token != END)
            sums[one["doc_id"]][0] += loss
            sums[one["doc_id"]][1] += len(words.decoder.decode([text]).encode())
    return np.array(list(sums.values())).T


@pytest.mark.parametrize("batch_rows", [1, 4])
def test_bits_per_byte_equal_those_of_logits_and_text(spelled_run, config, batch_rows):
    config = replace(config, batch_rows=batch_rows)
    session = begin(config)
    found = evaluate(session.model, read_heldout(spelled_run / "heldout", NAMES, config), config, session.unigrams)
    session.model.eval()
    words = Tokenizer.from_file(str(spelled_run / "tokenizer" / "tokenizer.json"))
    for name, domain in found.domains.items():
        nats, n_bytes = naive_sums(session.model, spelled_run / "heldout" / name, words)
        assert (domain.documents, domain.bytes) == (9, n_bytes.sum())
        assert domain.nats == pytest.approx(nats.sum(), abs=1e-3)
        assert domain.bits_per_byte == pytest.approx(nats.sum() / math.log(2) / n_bytes.sum(), rel=1e-5)
        rest = nats - nats.sum() / n_bytes.sum() * n_bytes
        error = math.sqrt(9 / 8 * sum(rest**2)) / n_bytes.sum() / math.log(2)
        assert domain.standard_error == pytest.approx(error, rel=1e-4)


def test_the_standard_error_is_that_of_a_bootstrap():
    rng = np.random.default_rng(1)
    n_bytes = rng.lognormal(5, 1, 400)
    nats = n_bytes * rng.normal(1, 0.2, 400) + rng.exponential(20, 400)
    value, error = bits_per_byte(nats, n_bytes)
    again = [bits_per_byte(nats[at], n_bytes[at]).value for at in rng.integers(0, 400, (2000, 400))]
    assert value == pytest.approx(np.mean(again), rel=0.01)
    assert error == pytest.approx(np.std(again), rel=0.1)


@pytest.mark.parametrize("nats", [[], [1.0]])
def test_no_document_has_no_figure_and_one_has_no_error(nats):
    value, error = bits_per_byte(np.array(nats), np.array(nats))
    assert (value is None, error) == (not nats, None)


@pytest.fixture(scope="module")
def text_tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    return byte_level(path, ["grain und Mühle 磨坊 🌾 на мельнице", "mill"] * 5, 320), token_bytes(path, 320)


@given(st.text(st.characters(codec="utf-8")))
def test_tokens_have_as_many_bytes_as_their_text(text_tokenizer, text):
    tokenizer, spelled = text_tokenizer
    tokenizer.encode_special_tokens = True
    assert spelled[tokenizer.encode(text).ids].sum() == len(text.encode())
    assert spelled[:2].tolist() == [0, 0]


def test_bytes_of_another_kind_of_tokenizer_are_not_guessed(tmp_path, run, config):
    other = {"model": {"vocab": {"▁mill": 0}}, "decoder": {"type": "Metaspace"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(other))
    assert token_bytes(tmp_path / "tokenizer.json", 8) is None
    session = begin(config)
    found = evaluate(session.model, read_heldout(run / "heldout", NAMES, config), config, session.unigrams)
    assert {(one.bytes, one.bits_per_byte, one.standard_error) for one in found.domains.values()} == {(None,) * 3}


def test_the_tables_hold_what_was_measured_before_and_after(spelled_run, config, tmp_path):
    summary = train(spelled_run, tmp_path, config)
    losses, load = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("evaluation", "load"))
    assert losses.schema.equals(EVALUATION)
    assert load.schema.equals(LOAD)
    assert Counter(losses["step"].to_pylist()) == {0: 3, summary.steps: 3}
    last = [row for row in losses.to_pylist() if row["step"] == summary.steps]
    assert {row["domain"]: row["bits_per_byte"] for row in last} == {
        name: one.bits_per_byte for name, one in summary.loss_by_domain.items()
    }
    tokens = 6 * 30 * config.model.top_k  # in six rows of 30 tokens and some padding
    assert load.num_rows == 2 * config.model.layers * 3 * config.model.experts
    sums = load.group_by(["step", "layer", "domain"]).aggregate([("tokens", "sum")])["tokens_sum"].to_pylist()
    assert sums == [tokens] * len(sums)
    shares = [share for one in summary.loss_by_domain.values() for share in one.busiest_share]
    assert len(shares) == 3 * config.model.layers
    assert all(1 / config.model.experts <= share <= 1 / config.model.top_k for share in shares)


def test_a_collapsed_layer_shows_though_the_mean_over_layers_hides_it(spelled_run, config):
    """Of six layers one sends every token to two of four experts; the mean over layers moves by less than 0.2."""
    config = changed(config, layers=6)
    session = begin(config)
    heldout = read_heldout(spelled_run / "heldout", NAMES, config)
    before = evaluate(session.model, heldout, config, session.unigrams)
    session.model.layers[3].router.bias += torch.tensor([9.0, 9.0, 0.0, 0.0])
    after = evaluate(session.model, heldout, config, session.unigrams)
    assert after.load.std - before.load.std < 0.2
    assert [load.dead for load in after.load_by_layer] == [0, 0, 0, 2, 0, 0]
    assert after.load_by_layer[3].std == pytest.approx(1.0)
    assert max(load.std for place, load in enumerate(after.load_by_layer) if place != 3) < 0.7


@given(st.lists(st.lists(st.integers(0, 99), min_size=4, max_size=4), min_size=1, max_size=4))
def test_the_mean_of_layers_is_the_load(counts):
    layers, load = layer_figures(torch.tensor(counts)), load_figures(torch.tensor(counts))
    for name in ("max_over_mean", "min_over_mean", "std", "entropy"):
        assert getattr(load, name) == pytest.approx(np.mean([getattr(layer, name) for layer in layers]))
    assert load.dead == sum(layer.dead for layer in layers)
