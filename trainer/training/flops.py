"""Arithmetic of a step, and what this machine does of it: model FLOPs utilisation.

Operations of the model's matrix products, forward and backward (twice as many), as the batch asks for them: choices of
experts, predicted tokens and pairs of tokens that attention sees are counted, not taken for the most there can be.
Norms, softmax and the router's choice are left out.

Source: Chowdhery et al., PaLM (arXiv 2204.02311), appendix B.
"""

import time
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from gristmill.trainer.model.ahead import further_targets
from gristmill.trainer.model.compressed_memory import left_blocks
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.model.shape import Shape, narrower

PASSES = 3  # one forward, two backward: by the input and by the weight
PER_PRODUCT = 2  # a multiplication and an addition
SIDES = {"cpu": 1024}  # of the square matmul that speed is measured with
DEVICE_SIDE, ROUNDS = 8192, 5


def token_products(shape: Shape) -> int:
    """Multiplications of a token that every token takes: all layers without routed experts, without the output.

    >>> token_products(Shape(layers=1, width=8, heads=1, experts=4, expert_width=8, shared_experts=0))
    288
    """
    width = shape.width
    moe = width * shape.experts + 3 * width * shape.expert_width * shape.shared_experts
    dense = 3 * width * shape.dense_hidden
    return shape.layers * attention_products(shape) + shape.moe_layers * moe + shape.dense_layers * dense


def attention_products(shape: Shape) -> int:
    """Multiplications of a token in the projections of one layer's attention.

    >>> attention_products(Shape(width=8, heads=1)), attention_products(Shape(width=8, heads=1, kv_rank=2))
    (256, 240)
    """
    width, inner, long = shape.width, shape.heads * shape.head_width, shape.head_width + shape.rotary_width
    if not shape.kv_rank:
        return width * (2 * inner + 2 * shape.kv * shape.head_width)
    query = (shape.q_rank or width) * shape.heads * long + shape.q_rank * width
    return query + width * (shape.kv_rank + shape.rotary_width) + shape.kv_rank * 2 * inner + inner * width


def step_flops(shape: Shape, parts: Sequence[Packed], choices: int, vocab_size: int, context: int = 0) -> float:
    """Operations of a step on ``parts`` of it.

    Parameters
    ----------
    choices : tokens that experts took in these parts, over all layers
    context : as in ``Model.forward``
    """
    window = narrower(context, shape.window)
    tokens, targets = (sum(len(column) for column in columns) for columns in _columns(parts))
    pairs = sum(_seen(part.positions, window, shape.memory_block) for part in parts)
    products = tokens * token_products(shape) + choices * 3 * shape.width * shape.expert_width
    products += targets * vocab_size * shape.width
    turned = shape.rotary_width if shape.kv_rank else 0
    products += sum(
        tokens * head_products(shape) + ahead * vocab_size * shape.width for ahead in _further(shape, parts)
    )
    products += shape.layers * pairs * shape.heads * (2 * shape.head_width + turned)  # scores, and sums of values
    return float(PASSES * PER_PRODUCT * products)


def head_products(shape: Shape) -> int:
    """Multiplications of a token in a head for a further token, without the output.

    >>> head_products(Shape(width=8, dense_width=16))
    512
    """
    return shape.width * (2 * shape.width + 3 * shape.dense_hidden)


def _further(shape: Shape, parts: Sequence[Packed]) -> list[int]:
    """Tokens that each head predicts in all parts."""
    return [sum(of_parts) for of_parts in zip(*(further_targets(part, shape.ahead) for part in parts), strict=True)]


def _columns(parts: Sequence[Packed]) -> tuple[list[Tensor], list[Tensor]]:
    return [part.tokens for part in parts], [part.targets for part in parts]


def _seen(positions: Tensor, window: int, memory_block: int) -> int:
    """Tokens that attention sees from all of these, themselves among them, and blocks of tokens."""
    seen = positions + 1
    if window and memory_block:
        seen = seen - left_blocks(positions, window, memory_block) * (memory_block - 1)
    elif window:
        seen = seen.clamp(max=window)
    return int(seen.sum())


@cache
def matmul_speed(precision: str, device: str, threads: int) -> float:  # noqa: ARG001  threads: part of the key
    """Operations a second of one large matmul on this machine, with the threads that torch now has; 0.2 CPU seconds."""
    side = SIDES.get(torch.device(device).type, DEVICE_SIDE)
    square = torch.ones(side, side, device=device)
    with torch.no_grad(), matmuls(precision, device):
        best = min(_seconds(square) for _ in range(ROUNDS))
    return PER_PRODUCT * side**3 / best


def _seconds(square: Tensor) -> float:
    """Of one product; reading a number of it waits for a device."""
    began = time.perf_counter()
    (square @ square)[0, 0].item()
    return time.perf_counter() - began
