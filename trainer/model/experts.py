"""The experts: SwiGLU networks that run as two grouped GEMMs, whatever the number of experts.

N tokens, D width, E experts, I expert width, K top_k, S choices. Dropless: an expert takes what it is given.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.exchange import through_ranks
from gristmill.trainer.model.expert_rows import Rows, from_rows, to_rows
from gristmill.trainer.model.fused import swiglu
from gristmill.trainer.model.router import Routing
from gristmill.trainer.model.shape import Shape

BLOCK = 32  # rows


class Experts(nn.Module):
    """``gate_up [E, 2I, D]`` and ``down [E, D, I]``, the fused layout of transformers.

    One stable sort puts each expert's tokens side by side, so that every expert is one group of one GEMM: 67 to 84 %
    of the speed of a plain matmul of the same work, where a loop over 64 experts reaches 30 %. Where they are
    ``spread`` over ranks, this rank holds its share of each tensor (``trainer.training.spread_experts``).
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.spread = False
        width, inner = shape.width, shape.expert_width
        self.gate_up = nn.Parameter(torch.randn(shape.experts, 2 * inner, width) * width**-0.5)
        self.down = nn.Parameter(torch.randn(shape.experts, width, inner) * (2 * shape.layers * inner) ** -0.5)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Sum over each token's experts of weight * expert(``x [N, D]``)."""
        order = routing.experts.flatten().argsort(stable=True)  # choices grouped by expert, those of none at the end
        if routing.ragged:
            order = order[: int(routing.counts.sum())]
        at, counts = torch.arange(len(order), device=x.device), routing.counts
        reduced = torch.is_autocast_enabled(x.device.type)
        if reduced and x.device.type == "cpu":
            at, counts = in_whole_blocks(counts)
        rows, share = _rows(routing, order, at, int(counts.sum()))
        if self.spread:
            sent = torch.cat((to_rows(x, rows, x.dtype), share), 1)
            given = through_ranks(sent, counts, self._arrived)
        else:
            dtype = torch.get_autocast_dtype(x.device.type) if reduced else x.dtype
            given = self.of_each(to_rows(x, rows, dtype), share, counts)
        return from_rows(rows, given, x.dtype)

    def of_each(self, rows: Tensor, share: Tensor, counts: Tensor) -> Tensor:
        """``rows [S, D]`` through the experts that are here, times ``share [S, 1]``: [S, D].

        The first ``counts[0]`` go through the first expert, the next ``counts[1]`` through the second ...
        """
        ends = counts.cumsum(0).to(torch.int32)
        # shares weigh here, and not behind `down`: experts are narrower than the model
        hidden = swiglu(grouped_linear(rows, self.gate_up, ends), share)
        return grouped_linear(hidden, self.down, ends)

    def _arrived(self, rows: Tensor, counts: Tensor) -> Tensor:
        """Rows from other ranks, each with its share behind it: [S, D + 1]."""
        return self.of_each(rows[:, :-1].contiguous(), rows[:, -1:], counts)


class Dense(nn.Module):
    """A SwiGLU network that sees every token: all shared experts of a layer side by side, or a dense layer's."""

    def __init__(self, shape: Shape, hidden: int):
        super().__init__()
        self.gate_up = nn.Parameter(torch.randn(2 * hidden, shape.width) * shape.width**-0.5)
        self.down = nn.Parameter(torch.randn(shape.width, hidden) * (2 * shape.layers * hidden) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``x [N, D]`` -> [N, D]."""
        return functional.linear(swiglu(functional.linear(x, self.gate_up)), self.down)


def in_whole_blocks(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Where choices stand that are sorted by expert, once each expert's ``counts [E]`` are a multiple of ``BLOCK``.

    oneDNN compiles bfloat16 products on a CPU for every new number of rows: a step of 64 experts met some 200, and with
    8 experts it takes 0.4 of the time in blocks.

    Returns
    -------
    int64[S], the row of each choice; int64[E], rows of each expert

    >>> [one.tolist() for one in in_whole_blocks(torch.tensor([1, 2]))]
    [[0, 32, 33], [32, 32]]
    """
    whole = counts.add(BLOCK - 1) // BLOCK * BLOCK
    behind = (whole.cumsum(0) - whole) - (counts.cumsum(0) - counts)  # places that those of each expert move back
    moved = behind.repeat_interleave(counts)
    return torch.arange(len(moved), device=counts.device) + moved, whole


def _rows(routing: Routing, order: Tensor, at: Tensor, n_rows: int) -> tuple[Rows, Tensor]:
    """Whose row is which, and the share of each, float32[R, 1]; choice ``order[i]`` has row ``at[i]``."""
    token = order.new_zeros(n_rows).index_copy(0, at, order // routing.experts.shape[1])
    place = order.new_full((routing.experts.numel(),), -1).index_copy(0, order, at)
    share = routing.weights.new_zeros(n_rows).index_copy(0, at, routing.weights.flatten()[order])
    return Rows(token, place.view_as(routing.experts)), share[:, None]


def grouped_linear(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """``rows [S, D]`` times ``weight [E, I, D]`` transposed, rows ``ends[e-1]`` up to ``ends[e]`` with matrix e."""
    kind = rows.device.type
    if torch.is_autocast_enabled(kind):  # autocast covers linear but not grouped_mm
        dtype = torch.get_autocast_dtype(kind)
        rows, weight = rows.to(dtype), weight.to(dtype)
    in_use = kind == "cpu" and not torch.is_grad_enabled()  # what learns keeps its graph, with rows and without
    if in_use and len(rows) < len(weight):  # a token in use: grouped_mm goes over idle experts as well
        return _busy_linear(rows, weight, ends)
    return functional.grouped_mm(rows, weight.mT, offs=ends)


def _busy_linear(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """``grouped_linear`` by a product for each expert that has rows."""
    bounds = [0, *ends.tolist()]
    busy = ((expert, rows[start:stop]) for expert, (start, stop) in enumerate(pairwise(bounds)) if stop > start)
    found = [functional.linear(part, weight[expert]) for expert, part in busy]
    return torch.cat(found) if found else rows.new_zeros(0, weight.shape[1])
