"""From finished proxy runs to an answer: the fit, the mixture, and what the paired runs say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.flows.tune.proxy_runs import Finished, bits
from gristmill.flows.tune.search_space import SearchSpace
from gristmill.mixing.comparison import Comparison
from gristmill.mixing.mixture_fits import FITS
from gristmill.mixing.objective_fit import ObjectiveFit, Quality, Runs, best_fit, noise
from gristmill.mixing.proposal import PULL, propose
from gristmill.mixing.tuning import PAIRS_PART

FEW = 3  # mixtures for each domain; with fewer the fit follows noise into a corner, as 8 mixtures of 8 domains did
NEAR = 0.25  # of the swarm's mixtures, those that the fit likes best: there the next run may still change the answer


@dataclass(frozen=True, slots=True)
class Proposal:
    """The chosen mixture, and the fit that chose it.

    ``predicted`` lies within ``half_width`` with 90 % (both of the fit half, bits per byte); ``others`` holds the
    predicted difference from the prior by each kind of fit.
    """

    shares: Mapping[str, float]
    predicted: float
    half_width: float
    difference_from_prior: float
    others: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class NextRun:
    """A mixture to run next, how often, and what it would settle."""

    shares: Mapping[str, float]
    runs: int
    why: str


@dataclass(frozen=True, slots=True)
class FitReport:
    """How far the fit can be trusted: kinds by cross-validated error, and the noise of repeats, bits per byte."""

    kinds: tuple[Quality, ...]
    noise: float
    noise_freedom: int
    swarm_deviation: float  # of the objective over the swarm: what there was to find


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit of the swarm, and what it proposes."""

    report: FitReport
    proposal: Proposal
    chosen: np.ndarray
    mixtures: int  # different ones


def fit_swarm(space: SearchSpace, finished: Sequence[Finished]) -> Fitted:
    """Fit the swarm on the fit half and propose a mixture within the caps."""
    runs = Runs(
        np.array([one.trial.weights for one in finished]), bits(finished, space.measured, "fit"), space.objective
    )
    fit, kinds = best_fit(runs)
    deviation = float(runs.totals.std())
    best = runs.weights[int(runs.totals.argmin())]
    found = propose(fit.predict, space.prior, space.most, PULL * deviation, [best])
    shares = space.shares(found)
    chosen = np.array([shares[name] for name in space.names])
    both = np.stack([chosen, space.prior])
    expected = fit.predict(both)
    others = {name: float(-np.diff(ObjectiveFit.of(runs, name).predict(both))[0]) for name in FITS}
    report = FitReport(tuple(kinds), *noise(runs), deviation)
    proposal = Proposal(shares, float(expected[0]), kinds[0].half_width, float(expected[0] - expected[1]), others)
    return Fitted(report, proposal, chosen, len(np.unique(runs.weights, axis=0)))


def doubts(fitted: Fitted, compared: Comparison, n_domains: int) -> list[str]:
    """Why not to trust the fit: too few mixtures, or a gain that the paired runs did not find."""
    found, expected = [], fitted.proposal.difference_from_prior
    if fitted.mixtures < FEW * n_domains:
        found.append(f"{fitted.mixtures} mixtures are few for {n_domains} domains: raise tune.runs")
    if abs(expected - compared.difference) > fitted.proposal.half_width + compared.half_width:
        found.append(
            f"the fit expected {expected:+.4f} from the prior, the paired runs found {compared.difference:+.4f}: "
            "trust the runs, and raise tune.runs"
        )
    return found


def next_runs(
    space: SearchSpace, finished: Sequence[Finished], fitted: Fitted, compared: Comparison
) -> tuple[NextRun, ...]:
    """Runs that would settle what is open: more pairs, and the good mixture on which two kinds of fit disagree most."""
    found = []
    if not compared.distinguished and compared.pairs_needed:
        more = compared.pairs_needed - compared.pairs
        why = f"with as many of the prior, tells the two apart: tune.runs = {PAIRS_PART * compared.pairs_needed}"
        found.append(NextRun(fitted.proposal.shares, more, why))
    runs = Runs(
        np.array([one.trial.weights for one in finished]), bits(finished, space.measured, "fit"), space.objective
    )
    law, process = (ObjectiveFit.of(runs, name).predict(runs.weights) for name in ("law", "process"))
    good = np.argsort(law + process)[: max(1, int(NEAR * len(law)))]
    most = good[int(np.abs(law - process)[good].argmax())]
    gap = abs(law[most] - process[most])
    why = f"law and process differ by {gap:.4f} bits per byte there, the most among the better mixtures"
    found.append(NextRun(space.shares(runs.weights[most]), 1, why))
    return tuple(found)
