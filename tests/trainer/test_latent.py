"""Attention over latents: equal to a walk over documents, heads and pairs, and kept in use as latents alone."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.generate.cache import Cache
from gristmill.trainer.model.attention import ROPE_BASE, rotary
from gristmill.trainer.model.decoder import Model, count_parameters
from gristmill.trainer.model.latent import LatentAttention
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.flops import attention_products
from tests.trainer.test_generation import GREEDY, NEW, PROMPTS, grown, naive
from tests.trainer.test_layouts import model_of
from tests.trainer.test_packed_attention import make_batch, rows_of_documents

LATENT: dict[str, Any] = {"width": 16, "heads": 2, "kv_rank": 6, "q_rank": 5, "rope_width": 4}


def turned(x, at):
    """Pairs of halves of ``x [R]``, turned one by one."""
    half = len(x) // 2
    out = torch.empty_like(x)
    for pair in range(half):
        angle = at * ROPE_BASE ** (-2 * pair / len(x))
        a, b = x[pair], x[half + pair]
        out[pair] = a * math.cos(angle) - b * math.sin(angle)
        out[half + pair] = b * math.cos(angle) + a * math.sin(angle)
    return out


def one_head(layer, here, head, window):
    """One document ``here [T, D]`` through one head, token by token: [T, C]."""
    plain, added, length = layer.plain, layer.turned, len(here)
    source = here if layer.q_latent is None else layer.q_norm(functional.linear(here, layer.q_latent))
    q = functional.linear(source, layer.q).unflatten(1, (layer.heads, -1))[:, head]
    both = functional.linear(here, layer.kv_latent)
    latent, bearing = layer.kv_norm(both[:, :-added]), both[:, -added:]
    keys, values = functional.linear(latent, layer.kv).unflatten(1, (layer.heads, 2, plain))[:, head].unbind(1)
    q = torch.stack([torch.cat((q[t, :plain], turned(q[t, plain:], t))) for t in range(length)])
    keys = torch.stack([torch.cat((keys[t], turned(bearing[t], t))) for t in range(length)])
    out = []
    for t in range(length):
        first = max(0, t - window + 1) if window else 0
        scores = keys[first : t + 1] @ q[t] / math.sqrt(plain + added)
        out.append(scores.softmax(0) @ values[first : t + 1])
    return torch.stack(out)


@settings(max_examples=12)
@given(rows_of_documents(), st.sampled_from([0, 3]), st.sampled_from([0, 5]))
def test_attention_equals_document_by_document(slices, q_rank, window):
    torch.manual_seed(0)
    layer, (_, batch) = LatentAttention(Shape(**LATENT | {"q_rank": q_rank})), make_batch(slices)
    x = torch.randn(len(batch.tokens), 16, requires_grad=True)
    ours = layer(x, rotary(batch.positions, 4), batch, window)
    documents = x.split([length for _, _, length in slices])
    heads = [torch.cat([one_head(layer, one, head, window) for head in (0, 1)], 1) for one in documents]
    expected = functional.linear(torch.cat(heads), layer.out)
    assert torch.allclose(ours, expected, atol=1e-5)
    weight = torch.randn_like(ours)
    found = torch.autograd.grad((ours * weight).sum(), [x, layer.kv, layer.kv_latent])
    wanted = torch.autograd.grad((expected * weight).sum(), [x, layer.kv, layer.kv_latent])
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(found, wanted, strict=True))


def test_the_cache_holds_a_latent_and_a_turned_key_of_each_token():
    cache = Cache(Shape(**LATENT, layers=3), 2, 9, torch.device("cpu"))
    held = {layer._keys.untyped_storage().data_ptr(): layer._keys.untyped_storage().nbytes() for layer in cache.layers}
    held |= {one._values.untyped_storage().data_ptr(): one._values.untyped_storage().nbytes() for one in cache.layers}
    assert sum(held.values()) == 4 * 3 * 2 * 9 * (6 + 4)


@pytest.mark.parametrize("fault", ["a position less", "no norm", "another scale"])
def test_a_latent_that_is_kept_wrong_is_seen(monkeypatch, fault):
    model = model_of("deepseekv3", kv_rank=6, q_rank=5, rope_width=4)
    wanted, attend = [naive(model, prompt, NEW) for prompt in PROMPTS], LatentAttention._among_latents
    assert grown(model, PROMPTS, GREEDY) == wanted

    def wrong(layer, q, latent, bearing, past):
        if fault == "a position less":
            bearing = bearing.roll(1, 0)
        elif fault == "no norm":
            latent = latent * 3
        else:
            q = q * 2
        return attend(layer, q, latent, bearing, past)

    monkeypatch.setattr(LatentAttention, "_among_latents", wrong)
    assert grown(model, PROMPTS, GREEDY) != wanted


def test_parameters_and_products_are_those_of_the_paper():
    shape = Shape(**LATENT, layers=1, experts=4)
    plain = Shape(width=16, heads=2, layers=1, experts=4)
    latent = 5 * 16 + 5 + 2 * (8 + 4) * 5 + (6 + 4) * 16 + 6 + 2 * 2 * 8 * 6 + 16 * 16
    grouped = 3 * 16 * 16 + 16 * 16 + 2 * 8
    found, other = (count_parameters(Model(one, 8)) for one in (shape, plain))
    assert found.total - other.total == found.active - other.active == latent - grouped
    assert attention_products(shape) == latent - 5 - 6
    assert attention_products(plain) == grouped - 2 * 8


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kv_rank": -1}, "kv_rank is -1, expected a whole number, 0 or more"),
        ({"kv_rank": 8, "kv_heads": 3}, "kv_heads is 3, expected 0: with trainer.model.kv_rank 8 one latent"),
        ({"q_rank": 8}, "q_rank is 8, expected 0 without trainer.model.kv_rank"),
        ({"rope_width": 8}, "rope_width is 8, expected 0 without trainer.model.kv_rank"),
        ({"kv_rank": 8, "rope_width": 7}, "rope_width is 7, expected an even number"),
        (
            {"kv_rank": 8, "width": 48, "heads": 8},
            r"rope_width is 0, expected an even number \(0 is half of a head of 6",
        ),
    ],
)
def test_a_latent_that_cannot_be_is_refused_by_its_key(changes, text):
    with pytest.raises(TrainError, match=f"trainer.model.{text}"):
        TrainConfig(vocab_size=64, row_tokens=32, model=Shape.model_validate(changes))
