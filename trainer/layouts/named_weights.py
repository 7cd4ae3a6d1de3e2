"""The weights of a model by the names that transformers gives them, by a layout.

D width, V vocabulary, E experts, I width of an expert or of a dense network; of a latent, letters as in
``trainer.model.latent``.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gristmill.trainer.layouts.layout import Layout
from gristmill.trainer.model.attention import Attention
from gristmill.trainer.model.block import Block
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.latent import LatentAttention


def named_weights(layout: Layout, model: Model) -> Iterator[tuple[str, Tensor]]:
    """Weights by the names that transformers gives them, each expert for itself.

    The norm of the embedding has no weight, so it is taken into embed_tokens once for all.
    """
    vocabulary = torch.arange(len(model.embedding), device=model.embedding.device)
    yield "model.embed_tokens.weight", model.embed(vocabulary)
    yield "lm_head.weight", model.embedding
    yield "model.norm.weight", model.norm.weight
    for number, block in enumerate(model.layers):
        for name, tensor in _of_block(layout, block):
            yield f"model.layers.{number}.{name}", tensor


def _of_block(layout: Layout, block: Block) -> Iterator[tuple[str, Tensor]]:
    assert block.attention is not None
    yield "input_layernorm.weight", block.attention_norm.weight
    yield "post_attention_layernorm.weight", block.experts_norm.weight
    if isinstance(block.attention, LatentAttention):
        yield from _of_latent(block.attention)
    else:
        yield from _of_attention(block.attention)
    dense = "mlp" if block.experts is None else "mlp.shared_experts"
    if block.shared is not None:
        yield from _swiglu(dense, block.shared.gate_up, block.shared.down)
    if block.experts is not None and block.router is not None:
        yield "mlp.gate.weight", block.router.weight
        if layout.biased:
            yield "mlp.gate.e_score_correction_bias", block.router.bias
        for expert, pair in enumerate(zip(block.experts.gate_up, block.experts.down, strict=True)):
            yield from _swiglu(f"mlp.experts.{expert}", *pair)


def _of_attention(attention: Attention) -> Iterator[tuple[str, Tensor]]:
    head_width = attention.q_norm.weight.numel()
    sizes = [heads * head_width for heads in (attention.heads, attention.kv, attention.kv)]
    for letter, tensor in zip("qkv", attention.qkv.split(sizes), strict=True):
        yield f"self_attn.{letter}_proj.weight", tensor
    yield "self_attn.o_proj.weight", attention.out
    yield "self_attn.q_norm.weight", attention.q_norm.weight
    yield "self_attn.k_norm.weight", attention.k_norm.weight


def _of_latent(attention: LatentAttention) -> Iterator[tuple[str, Tensor]]:
    width = attention.turned
    query = attention.q.unflatten(0, (attention.heads, -1))
    interleaved = torch.cat((query[:, :-width], _neighbours(query[:, -width:])), 1).flatten(0, 1)
    if attention.q_latent is not None and attention.q_norm is not None:
        yield "self_attn.q_a_proj.weight", attention.q_latent
        yield "self_attn.q_a_layernorm.weight", attention.q_norm.weight
    yield f"self_attn.q_{'proj' if attention.q_latent is None else 'b_proj'}.weight", interleaved
    latent, bearing = attention.kv_latent[:-width], attention.kv_latent[None, -width:]
    yield "self_attn.kv_a_proj_with_mqa.weight", torch.cat((latent, _neighbours(bearing)[0]))
    yield "self_attn.kv_a_layernorm.weight", attention.kv_norm.weight
    yield "self_attn.kv_b_proj.weight", attention.kv
    yield "self_attn.o_proj.weight", attention.out


def _neighbours(rows: Tensor) -> Tensor:
    """``rows [H, R, D]`` whose halves are turned as pairs, as rows whose neighbours are."""
    return rows.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


def _swiglu(name: str, gate_up: Tensor, down: Tensor) -> Iterator[tuple[str, Tensor]]:
    """``gate_up [2I, D]`` and ``down [D, I]`` of one network."""
    gate, up = gate_up.chunk(2)
    yield f"{name}.gate_proj.weight", gate
    yield f"{name}.up_proj.weight", up
    yield f"{name}.down_proj.weight", down
