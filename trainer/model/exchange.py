"""Rows sent to the process that has their expert, and back: experts spread over the ranks of a process group.

S choices of this rank, E experts, W ranks, D width. Rank r has experts r E / W up to (r + 1) E / W. Every rank calls as
often as the others, with rows or without.

Source: Lepikhin et al., GShard (arXiv 2006.16668), section 3.2.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed


def through_ranks(rows: Tensor, counts: Tensor, run: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What the experts of all ranks make of ``rows [S, D]``, grouped by expert as ``counts int64[E]`` say: [S, D].

    ``run`` gives the rows of this rank's own experts, grouped likewise, to them: ``(rows, counts int64[E / W])``.
    """
    coming = torch.empty_like(counts)
    distributed.all_to_all_single(coming, counts)
    from_each = coming.unflatten(0, (distributed.get_world_size(), -1))  # [W, E / W]
    sent, got = counts.view_as(from_each).sum(1).tolist(), from_each.sum(1).tolist()
    arrived = all_to_all(rows, sent, got)
    expert = torch.arange(from_each.shape[1], device=rows.device).repeat(len(got))
    order = expert.repeat_interleave(coming).argsort(stable=True)  # by expert, and then by rank
    done = run(arrived.index_select(0, order), from_each.sum(0))
    return all_to_all(done.index_select(0, order.argsort()), got, sent)


def all_to_all(rows: Tensor, sent: list[int], got: list[int]) -> Tensor:
    """The first ``sent[0]`` of ``rows [S, D]`` to rank 0, the next to rank 1 ...; what comes from each, in that order.

    The gradient goes the same way back.
    """
    return _AllToAll.apply(rows, sent, got)  # type: ignore[return-value]


class _AllToAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], got: list[int]) -> Tensor:
        ctx.sent, ctx.got = sent, got
        return _exchanged(rows, sent, got)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _exchanged(grad, ctx.got, ctx.sent), None, None


def _exchanged(rows: Tensor, sent: list[int], got: list[int]) -> Tensor:
    out = rows.new_empty(sum(got), *rows.shape[1:])
    # detached: gloo lets go of what it sent some time later, and must not keep a graph, which knows shapes of weights
    distributed.all_to_all_single(out, rows.detach().contiguous(), got, sent)
    return out
