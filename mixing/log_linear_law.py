"""The log-linear mixing law: loss = exp(c) + exp(t . w) for shares w, fitted by damped Gauss-Newton.

It has one number for each domain, so a few dozen runs fit it, and it extrapolates: towards mixtures that no run came
near, and from small models to large. How sure it is: ``mixture_fits``.
"""

from dataclasses import dataclass

import numpy as np

# in units of the values' variance. Chosen on RegMix's training runs: of 32 fitted, by the rank correlation on the other
# 480 (0.887; 0.003 gives 0.886, 0.03 gives 0.881), never on test runs
RIDGE = 0.01
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
    scale, damping = float(values.std()) or 1.0, 1e-2
    cost = _cost(weights, values, floor, slopes, scale)
    for _ in range(STEPS):
        normal, gradient = _normal_equations(weights, values, floor, slopes, scale)
        for _ in range(TRIES):
            step = np.linalg.solve(normal + damping * np.diag(normal.diagonal() + 1e-9), -gradient)
            tried = _cost(weights, values, floor + step[0], slopes + step[1:], scale)
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


def _cost(weights: np.ndarray, values: np.ndarray, floor: float, slopes: np.ndarray, scale: float) -> float:
    with np.errstate(over="ignore"):
        off = (np.exp(floor) + np.exp(weights @ slopes) - values) / scale
        return float(off @ off + RIDGE * ((slopes - slopes.mean()) ** 2).sum()) / 2


def _normal_equations(
    weights: np.ndarray, values: np.ndarray, floor: float, slopes: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """J^T J and J^T r, ridge included; the first row is that of the floor."""
    above, n_domains = np.exp(weights @ slopes), weights.shape[1]
    jacobian = np.column_stack([np.full(len(values), np.exp(floor)), above[:, None] * weights]) / scale
    off = (np.exp(floor) + above - values) / scale
    normal, gradient = jacobian.T @ jacobian, jacobian.T @ off
    normal[1:, 1:] += RIDGE * (np.eye(n_domains) - 1 / n_domains)
    gradient[1:] += RIDGE * (slopes - slopes.mean())
    return normal, gradient
