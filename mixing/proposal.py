"""The mixture to train on: the one whose predicted loss, and distance from the prior, is least within the caps."""

from collections.abc import Callable, Sequence

import numpy as np

from gristmill.mixing.swarm import capped

Predict = Callable[[np.ndarray], np.ndarray]
# weight of KL(w || prior), in standard deviations of the swarm's objective: olmix takes 0.05 to 0.1 nats, on losses
# that a swarm moves by about 1. Without it the answer goes to a corner that no run came near
PULL = 0.1
STEPS, RATES = 200, (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
_NUDGE = 1e-3


def divergence(weights: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """float[n]: KL(w || prior) in nats of shares float[n, n_domains]; 0 where they are the prior.

    >>> divergence(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0.5, 0.5])).round(3).tolist()
    [0.0, 0.693]
    """
    held = np.maximum(weights, 1e-300)
    return (weights * (np.log(held) - np.log(prior))).sum(axis=1)


def propose(
    predict: Predict, prior: np.ndarray, most: np.ndarray, pull: float, starts: Sequence[np.ndarray]
) -> np.ndarray:
    """Shares that make predict(w) + pull * KL(w || prior) least, float[n_domains].

    Parameters
    ----------
    predict : shares float[n, n_domains] to float[n]
    most : the largest share of each domain; the prior keeps it
    starts : shares to descend from, beside the prior. The log-linear law is convex, and one start would do; a process
        is not

    Source: exponentiated gradient, Kivinen and Warmuth 1997; each step is taken only where it lowers the sum.
    """

    def cost(weights: np.ndarray) -> np.ndarray:
        return predict(weights) + pull * divergence(weights, prior)

    ends = [_descend(cost, capped(start, most), most) for start in (prior, *starts)]
    return ends[int(np.argmin(cost(np.stack(ends))))]


def _descend(cost: Predict, weights: np.ndarray, most: np.ndarray) -> np.ndarray:
    now = float(cost(weights[None])[0])
    for _ in range(STEPS):
        slope = _slopes(cost, weights)
        slope -= slope @ weights
        scale = max(np.abs(slope).max(), 1e-12)
        tried = np.stack([capped(_turned(weights, rate * slope / scale), most) for rate in RATES])
        values = cost(tried)
        if not values.min() < now - 1e-9:
            break
        weights, now = tried[int(values.argmin())], float(values.min())
    return weights


def _turned(weights: np.ndarray, step: np.ndarray) -> np.ndarray:
    moved = np.maximum(weights, 1e-6) * np.exp(-step)
    return moved / moved.sum()


def _slopes(cost: Predict, weights: np.ndarray) -> np.ndarray:
    """float[n_domains]: change of the cost as each domain takes from all others in proportion; one call."""
    corners = np.eye(len(weights))
    return (cost((1 - _NUDGE) * weights + _NUDGE * corners) - cost(weights[None])) / _NUDGE
