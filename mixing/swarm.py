"""The mixtures that proxy runs try: a swarm around a prior, within caps, some of them more than once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.corpus.errors import PlanError
from gristmill.corpus.seeds import derive_seed

# Dirichlet(prior * n_domains * s): near the prior at 5, at the corners at 0.5. RegMix draws 0.1 to 5 around prior^0.5;
# from 0.1 on most of its mixtures are one domain alone, which few recipes would train on
CONCENTRATIONS = tuple(np.geomspace(0.5, 5, 8).tolist())
REPEATS_PART = 6  # of the swarm's runs, one in so many repeats a mixture: these measure the noise
SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Trial:
    """One proxy run: its mixture, float[n_domains], and the seed that chooses rows and weights."""

    weights: tuple[float, ...]
    seed: int


def capped(weights: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Shares at most ``most``: what is above passes to the others, in proportion to their shares.

    Parameters
    ----------
    weights : float[n_domains], sums to one
    most : float[n_domains], 0 and up; sums to one or more

    >>> capped(np.array([0.7, 0.2, 0.1]), np.array([0.4, 1.0, 1.0])).round(3).tolist()
    [0.4, 0.4, 0.2]
    """
    found, full = np.minimum(weights, most), weights >= most
    for _ in range(len(weights)):
        left = 1 - found[full].sum()
        free = ~full
        base = weights[free] if weights[free].sum() > 0 else most[free]
        found[free] = base * (left / max(base.sum(), 1e-300))
        if not (over := free & (found > most + SLACK)).any():
            break
        found[over], full = most[over], full | over
    return found / found.sum()


def expect_room(names: Sequence[str], most: np.ndarray, caps: Mapping[str, float], budget: int) -> None:
    """Refuse caps that leave no mixture for a budget.

    Raises
    ------
    PlanError : all domains together may give less than ``budget`` tokens
    """
    if most.sum() < 1:
        given = ", ".join(f"{name} {share * budget:,.0f} ({caps[name]:g} epochs)" for name, share in zip(names, most))  # noqa: B905
        raise PlanError(
            f"mixing.caps: no mixture of {budget:,} tokens keeps the caps; all domains give at most "
            f"{int(most.sum() * budget):,}: {given}. Raise mixing.caps.max_epochs or lower mixing.budget"
        )


def swarm(prior: np.ndarray, most: np.ndarray, runs: int, seed: int) -> list[Trial]:
    """Trials around a prior, which is the first.

    Parameters
    ----------
    prior : float[n_domains], above 0, sums to one, within ``most``
    most : float[n_domains], the largest share that the caps leave a domain
    runs : trials in all; one in ``REPEATS_PART`` repeats a mixture, the prior first

    Source: Liu et al. 2024, RegMix, for a Dirichlet swarm of several concentrations.
    """
    rng = np.random.default_rng(derive_seed(seed, "swarm"))
    repeats = max(2, runs // REPEATS_PART)
    found = [prior]
    while len(found) < runs - repeats:
        strength = CONCENTRATIONS[len(found) % len(CONCENTRATIONS)]
        drawn = rng.dirichlet(np.maximum(prior * len(prior) * strength, 1e-3))
        found.append(capped(drawn, most))
    # half of the repeats are of the prior, the others each of another mixture: noise may differ over the simplex
    again = [0 if number % 2 == 0 else 1 + number // 2 for number in range(repeats)]
    found += [found[number] for number in again]
    return [Trial(tuple(map(float, one)), derive_seed(seed, "trial", number)) for number, one in enumerate(found)]
