"""Compressed memory: equal to a walk over tokens and blocks, blind to other documents and to what comes."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model import attention, compressed_memory
from gristmill.trainer.model.attention import causal
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.flops import step_flops
from tests.trainer.test_packed_attention import make_batch, rows_of_documents

SMALL: dict[str, Any] = {"width": 16, "heads": 2, "layers": 1, "expert_width": 8}
VOCAB = 32


def one_token(q, k, v, t, window, block):
    """What token t of one document sees, for one head; ``q``, ``k``, ``v [T, C]``."""
    left = max(t - window + 1, 0) // block
    keys = [k[at * block : (at + 1) * block].mean(0) for at in range(left)]
    values = [v[at * block : (at + 1) * block].mean(0) for at in range(left)]
    more = [math.log(block)] * left + [0.0] * (t + 1 - left * block)
    keys, values = keys + list(k[left * block : t + 1]), values + list(v[left * block : t + 1])
    scores = torch.stack(keys) @ q[t] / math.sqrt(q.shape[1]) + torch.tensor(more)
    return scores.softmax(0) @ torch.stack(values)


sizes = {"length": st.integers(1, 20), "window": st.integers(1, 9), "block": st.integers(1, 7)}


@given(**sizes, shared=st.sampled_from([1, 2]), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_attention_equals_a_walk_over_tokens(length, window, block, shared, seed):
    made = torch.Generator().manual_seed(seed)
    q = torch.randn(1, length, 2, 4, generator=made)
    k, v = (torch.randn(1, length, 2 // shared, 4, generator=made) for _ in "kv")
    ours = causal(q, k, v, window, block)
    for head in (0, 1):
        parts = (q[0, :, head], k[0, :, head // shared], v[0, :, head // shared])
        expected = torch.stack([one_token(*parts, t, window, block) for t in range(length)])
        assert torch.allclose(ours[:, head], expected, atol=1e-5)


@given(**sizes, seed=st.integers(0, 99))
def test_blocks_of_one_token_and_blocks_of_equal_tokens_are_attention_without_a_window(length, window, block, seed):
    made = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, length, 2, 4, generator=made) for _ in "qkv")
    assert torch.allclose(causal(q, k, v, window, 1), causal(q, k, v), atol=1e-5)
    of_block = torch.arange(length) // block * block
    k, v = k[:, of_block], v[:, of_block]
    assert torch.allclose(causal(q, k, v, window, block), causal(q, k, v), atol=1e-5)


def leaks(shape):
    """Tokens whose output has a gradient by a token of another document or by a later one of their own."""
    torch.manual_seed(0)
    model = Model(shape, VOCAB).eval()
    _, batch = make_batch([(0, 0, 13), (0, 13, 11), (1, 2, 20)])
    given = torch.randn(len(batch.tokens), shape.width, requires_grad=True)
    model.embed = lambda _: given
    hidden, found = model(batch).hidden, []
    document = (batch.positions == 0).cumsum(0)
    for at in range(len(hidden)):
        (slope,) = torch.autograd.grad(hidden[at].sum(), given, retain_graph=True)
        of = slope.abs().sum(1).nonzero().flatten()
        found += [at] if bool((document[of] != document[at]).any() or (of > at).any()) else []
    return found


@pytest.mark.parametrize("more", [{}, {"kv_rank": 6}])
def test_no_token_sees_another_document_or_what_comes(more, monkeypatch):
    shape = Shape(**SMALL, **more, window=3, memory_block=4)
    assert not leaks(shape)
    early = compressed_memory.left_blocks
    monkeypatch.setattr(compressed_memory, "left_blocks", lambda at, window, block: early(at, window, block) + 1)
    assert leaks(shape)


@given(rows_of_documents())
@settings(max_examples=12)
def test_a_batch_is_document_by_document(slices):
    torch.manual_seed(0)
    model, (_, batch) = Model(Shape(**SMALL, window=4, memory_block=3), VOCAB).eval(), make_batch(slices)
    alone = [make_batch([(0, 0, length)])[1] for _, _, length in slices]
    parts = batch.tokens.split([length for _, _, length in slices])
    alone = [one._replace(tokens=part) for one, part in zip(alone, parts, strict=True)]
    assert torch.allclose(model(batch).hidden, torch.cat([model(one).hidden for one in alone]), atol=1e-5)


def test_what_left_the_window_is_remembered(monkeypatch):
    """The last token of 24 changes with the first one: without memory it cannot, in one layer."""
    _, batch = make_batch([(0, 0, 24)])
    other = batch._replace(tokens=torch.cat(((batch.tokens[:1] + 1) % VOCAB, batch.tokens[1:])))

    def moved(**more):
        torch.manual_seed(0)
        model = Model(Shape(**SMALL, window=4, **more), VOCAB).eval()
        return bool((model(batch).hidden[-1] != model(other).hidden[-1]).any())

    assert moved(memory_block=4)
    assert not moved()
    monkeypatch.setattr(attention, "block_means", lambda x, block: compressed_memory.block_means(x, block) * 0)
    assert not moved(memory_block=4)


def test_flops_count_tokens_and_blocks_that_are_seen():
    _, batch = make_batch([(0, 0, 24), (1, 0, 9)])
    shape = Shape(**SMALL, window=4, memory_block=3)
    pairs = 0
    for at in batch.positions.tolist():
        left = max(at - 3, 0) // 3
        pairs += left + at + 1 - 3 * left
    none = step_flops(shape, [batch._replace(positions=batch.positions[:0])], 0, VOCAB)
    assert step_flops(shape, [batch], 0, VOCAB) - none == 3 * 2 * 2 * pairs * shape.width


def test_a_memory_wants_a_window():
    with pytest.raises(TrainError, match=r"trainer.model.memory_block is 4, expected 0 without trainer.model.window"):
        TrainConfig(vocab_size=64, row_tokens=32, model=Shape(memory_block=4))
