"""The experts: SwiGLU networks that run as two grouped GEMMs, whatever the number of experts.

N tokens, D width, E experts, I expert width, K top_k, S choices. Dropless: an expert takes what it is given.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gristmill.trainer.model.exchange import through_ranks
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
        top_k = routing.experts.shape[1]
        order = routing.experts.flatten().argsort(stable=True)  # choices grouped by expert, those of none at the end
        if routing.ragged:
            order = order[: int(routing.counts.sum())]
        token, share, counts = order // top_k, routing.weights.flatten()[order], routing.counts
        if _compiles_shapes(x):
            token, share, counts = in_whole_blocks(token, share, counts)
        rows, share = x.index_select(0, token), share[:, None]
        if self.spread:
            rows = through_ranks(torch.cat((rows, share), 1), counts, self._arrived)
        else:
            rows = self.of_each(rows, share, counts)
        return torch.zeros_like(x).index_add(0, token, rows.to(x.dtype))

    def of_each(self, rows: Tensor, share: Tensor, counts: Tensor) -> Tensor:
        """``rows [S, D]`` through the experts that are here, times ``share [S, 1]``: [S, D].

        The first ``counts[0]`` go through the first expert, the next ``counts[1]`` through the second ...
        """
        ends = counts.cumsum(0).to(torch.int32)
        hidden = swiglu(grouped_linear(rows, self.gate_up, ends))
        hidden = hidden * share.to(hidden.dtype)  # here, and not behind `down`: experts are narrower than the model
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


def _compiles_shapes(x: Tensor) -> bool:
    """Whether every new number of rows costs a compiled kernel: oneDNN's bfloat16 products on a CPU."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def in_whole_blocks(token: Tensor, share: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The choices with each expert's filled up to a multiple of ``BLOCK`` by token 0, whose share is 0.

    A step of 64 experts met some 200 new numbers of rows, and so kernels; with 8 experts it takes 0.4 of the time.

    >>> one = in_whole_blocks(torch.tensor([5, 6]), torch.tensor([0.5, 0.7]), torch.tensor([1, 1]))
    >>> one[0].nonzero().flatten().tolist(), one[2].tolist()
    ([0, 32], [32, 32])
    """
    whole = counts.add(BLOCK - 1) // BLOCK * BLOCK
    behind = (whole.cumsum(0) - whole) - (counts.cumsum(0) - counts)  # places that those of each expert move back
    place = torch.arange(len(token), device=token.device) + behind.repeat_interleave(counts)
    size = int(whole.sum())
    return token.new_zeros(size).index_copy(0, place, token), share.new_zeros(size).index_copy(0, place, share), whole


def grouped_linear(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """``rows [S, D]`` times ``weight [E, I, D]`` transposed, rows ``ends[e-1]`` up to ``ends[e]`` with matrix e."""
    kind = rows.device.type
    if torch.is_autocast_enabled(kind):  # autocast covers linear but not grouped_mm
        dtype = torch.get_autocast_dtype(kind)
        rows, weight = rows.to(dtype), weight.to(dtype)
    if kind == "cpu" and len(rows) < len(weight):  # a token in use: grouped_mm goes over idle experts as well
        return _busy_linear(rows, weight, ends)
    return functional.grouped_mm(rows, weight.mT, offs=ends)


def _busy_linear(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """``grouped_linear`` by a product for each expert that has rows."""
    bounds = [0, *ends.tolist()]
    busy = ((expert, rows[start:stop]) for expert, (start, stop) in enumerate(pairwise(bounds)) if stop > start)
    found = [functional.linear(part, weight[expert]) for expert, part in busy]
    return torch.cat(found) if found else rows.new_zeros(0, weight.shape[1])
