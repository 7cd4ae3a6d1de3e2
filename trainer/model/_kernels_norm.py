"""Kernels of RMS norm, and of heads that are normalised and turned; each row is read once from memory."""

import numpy as np

from gristmill.trainer.model._kernels_numbers import kernel, number, put


@kernel
def norm(x, weight, width, epsilon, out):
    """``out [N, D]`` = x * sqrt(width / (sum of x^2 + epsilon)) * weight; ``width`` is D, ``epsilon`` times D."""
    for n in range(x.shape[0]):
        row, to, total = x[n], out[n], epsilon
        for j in range(x.shape[1]):
            total += row[j] * row[j]
        scale = np.sqrt(width / total)
        for j in range(x.shape[1]):
            to[j] = row[j] * scale * weight[j]


@kernel
def norm_back(grad, x, weight, width, epsilon, of_x, of_weight):
    """The gradient of ``norm``: ``of_x [N, D]``; ``of_weight [D]`` is added to."""
    for n in range(x.shape[0]):
        row, up, to, total, along = x[n], grad[n], of_x[n], epsilon, epsilon - epsilon
        for j in range(x.shape[1]):
            total += row[j] * row[j]
            along += up[j] * weight[j] * row[j]
        scale = np.sqrt(width / total)
        along = along / total
        for j in range(x.shape[1]):
            of_weight[j] += up[j] * row[j] * scale
            to[j] = (up[j] * weight[j] - row[j] * along) * scale


@kernel
def turn(heads, first, weight, rope, width, epsilon, out):
    """Heads ``first`` and behind of ``heads [N, A, C]``, normalised and turned by ``rope [N, 2, C/2]``: out [N, H, C]."""
    half = out.shape[2] // 2
    for n in range(out.shape[0]):
        cos, sin = rope[n, 0], rope[n, 1]
        for h in range(out.shape[1]):
            row, to, total = heads[n, first + h], out[n, h], epsilon
            for j in range(row.shape[0]):
                total += number(row[j]) * number(row[j])
            scale = np.sqrt(width / total)
            for j in range(row.shape[0]):
                to[j] = number(row[j]) * scale * weight[j]
            left, right = to[:half], to[half:]
            for j in range(half):
                a, b = left[j], right[j]
                left[j] = a * cos[j] - b * sin[j]
                right[j] = a * sin[j] + b * cos[j]


@kernel
def turn_back(grad, heads, first, weight, rope, width, epsilon, of_heads, of_weight, spare):
    """The gradient of ``turn``, into the same heads of ``of_heads``; ``of_weight [C]`` is added to, ``spare [C]`` lent."""
    half = grad.shape[2] // 2
    left, right = spare[:half], spare[half:]
    for n in range(grad.shape[0]):
        cos, sin = rope[n, 0], rope[n, 1]
        for h in range(grad.shape[1]):
            row, up_left, up_right, to = (
                heads[n, first + h],
                grad[n, h, :half],
                grad[n, h, half:],
                of_heads[n, first + h],
            )
            for j in range(half):
                a, b = up_left[j], up_right[j]
                left[j] = a * cos[j] + b * sin[j]
                right[j] = b * cos[j] - a * sin[j]
            total, along = epsilon, epsilon - epsilon
            for j in range(row.shape[0]):
                a = number(row[j])
                total += a * a
                along += spare[j] * weight[j] * a
            scale = np.sqrt(width / total)
            along = along / total
            for j in range(row.shape[0]):
                a, up = number(row[j]), spare[j]
                of_weight[j] += up * a * scale
                put(to, j, (up * weight[j] - a * along) * scale)


@kernel
def copy_heads(heads, first, out):
    """``out [N, H, C]``: heads ``first`` and behind of ``heads [N, A, C]``."""
    for n in range(out.shape[0]):
        for h in range(out.shape[1]):
            row, to = heads[n, first + h], out[n, h]
            for j in range(out.shape[2]):
                put(to, j, number(row[j]))


@kernel
def copy_heads_back(grad, first, of_heads):
    """The gradient of ``copy_heads``, into the same heads of ``of_heads``."""
    for n in range(grad.shape[0]):
        for h in range(grad.shape[1]):
            row, to = grad[n, h], of_heads[n, first + h]
            for j in range(grad.shape[2]):
                put(to, j, number(row[j]))
