"""Kernels of what has an exponential: SwiGLU with a share, and the slopes of cross entropy."""

import numpy as np

from gristmill.trainer.model._kernels_numbers import exponential, kernel, number, put


@kernel
def gate(gate_up, share, one, out):
    """``out [N, I]`` = silu(gate) * up * share of ``gate_up [N, 2I]``, ``share [N]``; ``one`` is 1 as sums are."""
    inner = out.shape[1]
    for n in range(out.shape[0]):
        opens, ups, to, weight = gate_up[n, :inner], gate_up[n, inner:], out[n], share[n]
        for j in range(inner):
            a = number(opens[j])
            put(to, j, a / (one + exponential(-a)) * number(ups[j]) * weight)


@kernel
def gate_back(grad, gate_up, share, one, of_gate_up, of_share):
    """The gradient of ``gate``: ``of_gate_up [N, 2I]``, ``of_share [N]``."""
    inner = grad.shape[1]
    for n in range(grad.shape[0]):
        opens, ups, up, weight = gate_up[n, :inner], gate_up[n, inner:], grad[n], share[n]
        to_open, to_up, total = of_gate_up[n, :inner], of_gate_up[n, inner:], share[n] - share[n]
        for j in range(inner):
            a, b, g = number(opens[j]), number(ups[j]), number(up[j])
            s = one / (one + exponential(-a))
            silu = a * s
            total += g * silu * b
            g *= weight
            put(to_up, j, g * silu)
            put(to_open, j, g * b * (s + silu - silu * s))
        of_share[n] = total


@kernel
def slopes(logits, target, peaks, share, learns, spare, each):
    """The loss of each position, ``each [P]``, and where ``learns`` its gradient times ``share`` over ``logits [P, V]``.

    -log softmax(logits)[target], and softmax minus one-hot; ``peaks [P]`` are the largest logits, ``spare [V]`` is lent.
    Both are in the format of ``share``.
    """
    for n in range(logits.shape[0]):
        row, own, total = logits[n], number(logits[n, target[n]]), share - share
        peak = peaks[n]
        for j in range(row.shape[0]):
            spare[j] = exponential(number(row[j]) - peak)
            total += spare[j]
        each[n] = np.log(total) + peak - own
        if learns:
            scale = share / total
            spare[target[n]] -= total
            for j in range(row.shape[0]):
                put(row, j, spare[j] * scale)
