"""Bits per byte by domain fitted over mixtures, and their weighted sum: what a tuning makes small; how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.mixing.mixture_fits import FITS, Fit, cross_validated, half_width, spearman


@dataclass(frozen=True, slots=True)
class Runs:
    """Finished proxy runs: shares float[n_runs, n_domains], bits per byte float[n_runs, n_measured]."""

    weights: np.ndarray
    values: np.ndarray
    objective: np.ndarray  # float[n_measured], sums to one

    @property
    def totals(self) -> np.ndarray:
        """float[n_runs]: the objective of each."""
        return self.values @ self.objective


@dataclass(frozen=True, slots=True)
class ObjectiveFit:
    """One fit for each measured domain."""

    fits: Sequence[Fit]
    objective: np.ndarray

    @classmethod
    def of(cls, runs: Runs, name: str) -> "ObjectiveFit":
        """Fit by the name of a table entry of ``mixture_fits.FITS``."""
        return cls([FITS[name](runs.weights, column) for column in runs.values.T], runs.objective)

    def by_domain(self, weights: np.ndarray) -> np.ndarray:
        """float[n, n_measured] for shares float[n, n_domains]."""
        return np.stack([fit.predict(weights) for fit in self.fits], axis=1)

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n]: the objective that is expected of shares."""
        return self.by_domain(weights) @ self.objective


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a fit is, by mixtures that it did not see.

    ``error``: root mean square, ``half_width``: of the 90 % interval of a new run, ``rank_correlation`` of predicted
    and measured, -1 to 1; all of the objective, in bits per byte.
    """

    name: str
    error: float
    half_width: float
    rank_correlation: float


def quality(runs: Runs, name: str) -> Quality:
    """Cross-validate one kind of fit."""
    off = np.stack([cross_validated(FITS[name], runs.weights, column) for column in runs.values.T], axis=1)
    errors = off @ runs.objective
    ranks = spearman(runs.totals - errors, runs.totals) if np.ptp(runs.totals) > 0 else 0.0
    return Quality(name, float(np.sqrt(np.mean(errors**2))), half_width(errors), ranks)


def best_fit(runs: Runs) -> tuple[ObjectiveFit, list[Quality]]:
    """The kind of fit with the smallest cross-validated error, and the quality of all kinds, the best first."""
    found = sorted((quality(runs, name) for name in FITS), key=lambda one: one.error)
    return ObjectiveFit.of(runs, found[0].name), found


def noise(runs: Runs) -> tuple[float, int]:
    """Standard deviation of the objective between runs of one mixture, and its degrees of freedom.

    >>> runs = Runs(np.array([[1.0], [1.0], [0.5]]), np.array([[2.0], [4.0], [9.0]]), np.ones(1))
    >>> noise(runs)
    (1.4142135623730951, 1)
    """
    mixture = np.unique(runs.weights, axis=0, return_inverse=True)[1].reshape(-1)
    count = np.bincount(mixture)
    mean = np.bincount(mixture, weights=runs.totals) / np.maximum(count, 1)
    freedom = int((count[count > 0] - 1).sum())
    return float(np.sqrt(((runs.totals - mean[mixture]) ** 2).sum() / max(freedom, 1))), freedom
