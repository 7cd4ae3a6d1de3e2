"""Fits of a loss over mixtures, by name, and how sure they are: by cross-validation, never by errors on fitted runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gristmill.mixing.gaussian_process import GaussianProcess
from gristmill.mixing.log_linear_law import LogLinearLaw

FOLDS = 8


class Fit(Protocol):
    """What a fit can do."""

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n] for shares, float[n, n_domains]."""
        ...


Fitter = Callable[[np.ndarray, np.ndarray], Fit]


@dataclass(frozen=True, slots=True)
class Both:
    """The mean of the law, which extrapolates, and of the process, which is closer where runs are."""

    law: LogLinearLaw
    process: GaussianProcess

    @classmethod
    def fit(cls, weights: np.ndarray, values: np.ndarray) -> "Both":
        """Both fits of the same runs."""
        return cls(LogLinearLaw.fit(weights, values), GaussianProcess.fit(weights, values))

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n]."""
        return (self.law.predict(weights) + self.process.predict(weights)) / 2


FITS: Mapping[str, Fitter] = {"law": LogLinearLaw.fit, "process": GaussianProcess.fit, "both": Both.fit}


def cross_validated(fitter: Fitter, weights: np.ndarray, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Value less prediction for each run, float[n_runs], by a fit that saw no run of the same mixture."""
    mixtures = np.unique(weights, axis=0, return_inverse=True)[1].reshape(-1)
    fold = np.random.default_rng(seed).permutation(mixtures.max() + 1)[mixtures] % FOLDS
    off = np.empty(len(values))
    for number in np.unique(fold):
        out = fold == number
        off[out] = values[out] - fitter(weights[~out], values[~out]).predict(weights[out])
    return off


def half_width(errors: np.ndarray, level: float = 0.9) -> float:
    """Half of an interval around a prediction that holds a new run's value with this probability.

    The quantile of absolute errors of runs that the fits did not see, with the correction for their number; right for
    mixtures drawn as those of the runs were, and for the same size of model.

    >>> half_width(np.arange(-10.0, 10.0))
    9.0
    """
    n = len(errors)
    return float(np.sort(np.abs(errors))[min(n - 1, int(np.ceil((n + 1) * level)) - 1)])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, -1 to 1; ties have the mean of their ranks.

    >>> spearman(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 40]))
    0.8
    """
    return float(np.round(np.corrcoef(_ranks(a), _ranks(b))[0, 1], 12))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
