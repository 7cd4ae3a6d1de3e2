"""What the report page of a tuning draws, in numbers: predictions beside measurements, slices, regret, noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.flows.tune.proxy_runs import Finished, bits
from gristmill.flows.tune.search_space import SearchSpace
from gristmill.flows.tune.tune_answer import Fitted
from gristmill.mixing.mixture_fits import FITS, cross_validated
from gristmill.mixing.objective_fit import ObjectiveFit, Runs

SLICE_POINTS, TRIANGLE_STEPS = 25, 16


@dataclass(frozen=True, slots=True)
class Slice:
    """The fit along one domain's share, all others in the proportions of the chosen mixture: bits per byte."""

    domain: str
    shares: tuple[float, ...]
    predicted: tuple[float, ...]
    chosen: float
    prior: float


@dataclass(frozen=True, slots=True)
class Triangle:
    """The fit over the shares of three domains, the others as chosen: points (a, b) in parts of their sum."""

    domains: tuple[str, str, str]
    points: tuple[tuple[float, float], ...]
    predicted: tuple[float, ...]
    chosen: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures; runs in the order in which they were tried, bits per byte.

    ``predicted`` of each run is of a fit that did not see its mixture. ``regret``: the least measured so far, less
    what the fit expects of the chosen mixture. ``repeats``: measurements of each mixture that was run more than once.
    """

    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    half_width: float
    slices: tuple[Slice, ...]
    triangle: Triangle | None
    regret: tuple[float, ...]
    repeats: tuple[tuple[float, ...], ...]


def figures_of(space: SearchSpace, finished: Sequence[Finished], fitted: Fitted) -> Figures:
    """From finished runs and the kind of fit that was chosen."""
    weights = np.array([one.trial.weights for one in finished])
    runs, name = Runs(weights, bits(finished, space.measured, "fit"), space.objective), fitted.report.kinds[0].name
    off = np.stack([cross_validated(FITS[name], weights, column) for column in runs.values.T], axis=1) @ space.objective
    fit = ObjectiveFit.of(runs, name)
    kinds = np.unique(weights, axis=0, return_inverse=True)[1].reshape(-1)
    repeated = [runs.totals[kinds == kind] for kind in np.flatnonzero(np.bincount(kinds) > 1)]
    return Figures(
        measured=_plain(runs.totals),
        predicted=_plain(runs.totals - off),
        half_width=fitted.proposal.half_width,
        slices=tuple(_slice(fit, space, fitted.chosen, place) for place in range(len(space.names))),
        triangle=_triangle(fit, space, fitted.chosen) if len(space.names) > 2 else None,
        regret=_plain(np.minimum.accumulate(runs.totals) - fitted.proposal.predicted),
        repeats=tuple(_plain(values) for values in repeated),
    )


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(one), 6) for one in values)


def _slice(fit: ObjectiveFit, space: SearchSpace, chosen: np.ndarray, place: int) -> Slice:
    shares = np.linspace(0, min(1.0, float(space.most[place])), SLICE_POINTS)
    others = np.where(np.arange(len(chosen)) == place, 0, chosen)
    others = others / others.sum() if others.sum() else np.where(others == 0, 1 / max(len(chosen) - 1, 1), 0)
    mixtures = (1 - shares)[:, None] * others
    mixtures[:, place] = shares
    at = (float(chosen[place]), float(space.prior[place]))
    return Slice(space.names[place], _plain(shares), _plain(fit.predict(mixtures)), *at)


def _triangle(fit: ObjectiveFit, space: SearchSpace, chosen: np.ndarray) -> Triangle:
    """Of the three domains with the largest shares; their sum stays."""
    top = np.sort(np.argsort(-chosen, kind="stable")[:3])
    n, total = TRIANGLE_STEPS, float(chosen[top].sum())
    grid = [(a / n, b / n) for a in range(n + 1) for b in range(n + 1 - a)]
    mixtures = np.tile(chosen, (len(grid), 1))
    for place, column in zip(top, zip(*((a, b, 1 - a - b) for a, b in grid), strict=True), strict=True):
        mixtures[:, place] = np.maximum(column, 0) * total
    names = tuple(space.names[place] for place in top)
    at = (float(chosen[top[0]] / total), float(chosen[top[1]] / total))
    return Triangle((names[0], names[1], names[2]), tuple(grid), _plain(fit.predict(mixtures)), at)
