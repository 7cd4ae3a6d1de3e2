"""A Gaussian process over the square roots of shares: the best inside the region where runs were made.

Square roots, since the distance between two mixtures is then that of Hellinger: 1 % more of a rare domain counts for
more than 1 % more of a common one.
"""

from dataclasses import dataclass

import numpy as np

LENGTHS = tuple(np.geomspace(0.2, 8, 14).tolist())
NOISES = tuple(np.geomspace(1e-6, 1, 25).tolist())  # variance of the noise as a share of the process'


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A fitted process with a constant mean and a squared exponential kernel."""

    points: np.ndarray  # float[n_runs, n_domains], square roots of shares
    mean: float
    length: float
    noise: float
    pull: np.ndarray  # float[n_runs]: (K + noise)^-1 (values - mean)

    @classmethod
    def fit(cls, weights: np.ndarray, values: np.ndarray) -> "GaussianProcess":
        """The process of runs that were made; length and noise have the largest marginal likelihood on a grid.

        Parameters
        ----------
        weights : float[n_runs, n_domains], each row sums to one
        values : float[n_runs]

        Source: Rasmussen and Williams 2006, sections 2.2 and 5.4. Cost: 14 eigendecompositions, 1.5 s for 512 runs.
        """
        points, mean = np.sqrt(weights), float(values.mean())
        best = None
        for length in LENGTHS:
            spectrum, vectors = np.linalg.eigh(_kernel(points, points, length))
            turned = vectors.T @ (values - mean)
            for noise in NOISES:
                broad = np.maximum(spectrum, 0) + noise
                unlikely = len(values) * np.log((turned**2 / broad).mean()) + np.log(broad).sum()
                if best is None or unlikely < best[0]:
                    best = unlikely, length, noise, vectors @ (turned / broad)
        assert best is not None
        return cls(points, mean, best[1], best[2], best[3])

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n]: what the process expects of shares, float[n, n_domains]."""
        return self.mean + _kernel(np.sqrt(weights), self.points, self.length) @ self.pull


def _kernel(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    apart = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.exp(-np.maximum(apart, 0) / (2 * length**2))
