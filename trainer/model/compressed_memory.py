"""Compressed memory: tokens that have left the window of attention are kept as means of blocks.

G documents of a group, T its longest, K heads of keys and values, C head width, B tokens of a block, M blocks.

Blocks begin at multiples of B in their document and leave the window whole. So a token sees ``window`` to ``window`` +
B - 1 tokens one by one, and one mean key and value of every block before these. A product is linear: the score of a
mean key is the mean of the scores of its tokens. With log B added to it a block weighs as much as B tokens of that
score, which makes blocks of one token, or of tokens that are alike, attention without a window.

Source: Rae et al., Compressive Transformers (arXiv 1911.05507), section 3.1, mean pooling; keys and values are pooled
here in place of hidden states, so that the memory has no weights of its own.
"""

import math

import torch
from torch import Tensor


def left_blocks(positions: Tensor, window: int, block: int) -> Tensor:
    """How many blocks have left the window of the token at each of ``positions``, int64 of the same shape.

    >>> left_blocks(torch.tensor([3, 4, 5, 6, 9]), window=3, block=2).tolist()
    [0, 1, 1, 2, 3]
    """
    return (positions - window + 1).clamp(min=0) // block


def block_means(x: Tensor, block: int) -> Tensor:
    """Means of the whole blocks of ``x [G, T, K, C]``: [G, T // B, K, C]."""
    blocks = x.shape[1] // block
    return x[:, : blocks * block].unflatten(1, (blocks, block)).mean(2)


def memory_scores(length: int, window: int, block: int, like: Tensor) -> Tensor:
    """What is added to the scores of each of ``length`` tokens, [T, M + T] of the kind of ``like``; blocks go first.

    >>> added = memory_scores(4, window=1, block=2, like=torch.zeros(()))
    >>> added[3].exp().tolist()  # the first block as two tokens; of the second both
    [2.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    at = torch.arange(length, device=like.device)
    left = left_blocks(at, window, block)[:, None]
    of_blocks = added_scores(torch.arange(length // block, device=like.device) < left, like, block)
    return torch.cat((of_blocks, added_scores((at <= at[:, None]) & (at >= left * block), like)), 1)


def added_scores(seen: Tensor, like: Tensor, block: int = 1) -> Tensor:
    """Log of the ``block`` tokens that each stands for where ``seen``, else minus infinity; of the kind of ``like``."""
    return torch.full_like(seen, -math.inf, dtype=like.dtype).masked_fill(seen, math.log(block))
