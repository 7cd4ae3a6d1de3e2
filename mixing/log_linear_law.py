"""The log-linear mixing law: loss = exp(c) + exp(t . w) for shares w, fitted by damped Gauss-Newton.

It has one number for each domain, so a few dozen runs fit it, and it extrapolates: towards mixtures that no run came
near, and from small models to large. How sure it is: ``mixture_fits``.
"""

from dataclasses import dataclass

import numpy as np

# In units of the values' variance, and more for a domain that runs had little of: its slope is drawn towards the mean
# by RIDGE * mean share of all domains / its mean share. Chosen on RegMix's training runs, never on test runs: of 32
# fitted, by the rank correlation on the other 480, mean of six targets: 0.904 (0.003: 0.898; equal for all: 0.882)
RIDGE = 0.001
LEAST_SHARE = 1e-3
STARTS = (0.7, 0.9)  # shares of the least value that the floor starts from
STEPS, TRIES = 100, 10


@dataclass(frozen=True, slots=True)
class LogLinearLaw:
    """A fitted law: ``floor`` is c, ``slopes`` float[n_domains] is t."""

    floor: float
    slopes: np.ndarray

    @classmethod
    def fit(cls, weights: np.ndarray, values: np.ndarray) -> "LogLinearLaw":
        """The law of runs that were made.

        Parameters
        ----------
        weights : float[n_runs, n_domains], each row sums to one
        values : float[n_runs], above 0, such as nats per token or bits per byte; lower is better

        Source: Liu et al. 2024, RegMix, for the data; Ye et al. 2024, Data mixing laws, for the form. Cost: 2 ms for
        512 runs of 17 domains. Slopes are drawn towards their mean, which few runs need and many outweigh.

        >>> runs = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
        >>> law = LogLinearLaw.fit(runs, 2 + np.exp(runs @ [0.5, -1.0]))
        >>> bool(law.predict(np.array([[0.75, 0.25]]))[0] > law.predict(np.array([[0.5, 0.5]]))[0])
        True
        """
        fitted = [_descend(weights, values, share) for share in STARTS]
        _, floor, slopes = min(fitted, key=lambda one: one[0])
        return cls(floor, slopes)

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n]: what the law expects of shares, float[n, n_domains]."""
        return np.exp(self.floor) + np.exp(weights @ self.slopes)


def _descend(weights: np.ndarray, values: np.ndarray, share: float) -> tuple[float, float, np.ndarray]:
    """Cost, floor and slopes after Levenberg-Marquardt steps from one start."""
    floor, slopes = _start(weights, values, share)
    scale, damping, ridge = float(values.std()) or 1.0, 1e-2, _ridge(weights)
    cost = _cost(weights, values, floor, slopes, scale, ridge)
    for _ in range(STEPS):
        normal, gradient = _normal_equations(weights, values, floor, slopes, scale, ridge)
        for _ in range(TRIES):
            step = np.linalg.solve(normal + damping * np.diag(normal.diagonal() + 1e-9), -gradient)
            tried = _cost(weights, values, floor + step[0], slopes + step[1:], scale, ridge)
            if tried < cost:
                break
            damping *= 4
        else:
            break
        floor, slopes, damping = floor + step[0], slopes + step[1:], max(damping / 5, 1e-9)
        gained, cost = cost - tried, tried
        if gained < 1e-8 * cost:
            break
    return cost, floor, slopes


def _start(weights: np.ndarray, values: np.ndarray, share: float) -> tuple[float, np.ndarray]:
    """The floor at a share of the least value, and slopes by linear ridge regression of what is above it."""
    floor = float(np.log(share * values.min()))
    above = np.log(values - np.exp(floor))
    normal = weights.T @ weights + 0.1 * np.eye(weights.shape[1])
    return floor, np.linalg.solve(normal, weights.T @ (above - above.mean())) + above.mean()


def _ridge(weights: np.ndarray) -> np.ndarray:
    """float[n_domains, n_domains]: what slopes cost, slopes @ ridge @ slopes, by their distance from their mean."""
    shares, n_domains = weights.mean(axis=0), weights.shape[1]
    centred = np.eye(n_domains) - 1 / n_domains
    return centred @ np.diag(RIDGE * shares.mean() / np.maximum(shares, LEAST_SHARE)) @ centred


def _cost(
    weights: np.ndarray, values: np.ndarray, floor: float, slopes: np.ndarray, scale: float, ridge: np.ndarray
) -> float:
    with np.errstate(over="ignore"):
        off = (np.exp(floor) + np.exp(weights @ slopes) - values) / scale
        return float(off @ off + slopes @ ridge @ slopes) / 2


def _normal_equations(
    weights: np.ndarray, values: np.ndarray, floor: float, slopes: np.ndarray, scale: float, ridge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """J^T J and J^T r, ridge included; the first row is that of the floor."""
    above = np.exp(weights @ slopes)
    jacobian = np.column_stack([np.full(len(values), np.exp(floor)), above[:, None] * weights]) / scale
    off = (np.exp(floor) + above - values) / scale
    normal, gradient = jacobian.T @ jacobian, jacobian.T @ off
    normal[1:, 1:] += ridge
    gradient[1:] += ridge @ slopes
    return normal, gradient
