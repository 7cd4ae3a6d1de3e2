"""What a tuning chooses from: domains, prior, caps and objective, checked on what was packed, before any proxy runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gristmill.corpus.errors import PlanError, RecipeError
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.tune.counted_proxy import heldout_text
from gristmill.mixing.compile import Packed, given_shares
from gristmill.mixing.curriculum import Phase
from gristmill.mixing.feasibility import EpochCaps
from gristmill.mixing.swarm import capped, expect_room
from gristmill.mixing.tuning import Tune

BELOW_CAP = 0.999  # so that six decimals of a share stay below it too


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Domains in order of name, each with rows and a share in the prior, and what bounds their shares."""

    names: tuple[str, ...]
    prior: np.ndarray  # float[n_domains], within ``most``
    most: np.ndarray  # float[n_domains], the largest share that the caps leave
    measured: tuple[str, ...]  # domains of the objective
    objective: np.ndarray  # float[n_measured], sums to one
    full_tokens: int
    notices: tuple[str, ...]

    def shares(self, weights: np.ndarray) -> dict[str, float]:
        """Six decimals by domain, which sum to one; the largest share takes the difference."""
        found = {name: round(float(share), 6) for name, share in zip(self.names, weights, strict=True)}
        largest = max(found, key=lambda name: found[name])
        return {**found, largest: round(1 - sum(share for name, share in found.items() if name != largest), 6)}


def full_tokens(recipe: Recipe) -> int | None:
    """Tokens of the run that is tuned for; None where the recipe leaves it to what there is."""
    return recipe.mixing.budget or (recipe.curriculum[-1].until_tokens if recipe.curriculum else None)


def section(recipe: Recipe) -> Tune:
    """The recipe's [tune]; RecipeError where it has none."""
    if recipe.tune is None:
        raise RecipeError(f"the recipe {recipe.name!r} has no [tune]; add one, such as: [tune] with runs = 64")
    return recipe.tune


def search_space(recipe: Recipe, packed: Mapping[str, Packed], heldout: Mapping[str, Path]) -> SearchSpace:
    """Check a recipe's [tune] on what was packed.

    Raises
    ------
    PlanError : a domain of the prior has no rows, one of the objective no held-out documents, a proxy run is
        longer than the full one, or no mixture keeps the caps
    """
    tune = section(recipe)
    budget = full_tokens(recipe) or sum(one.tokens for one in packed.values())
    if tune.tokens > budget:
        raise PlanError(
            f"tune.tokens: a proxy run of {tune.tokens:,} is longer than the full run, of {budget:,} tokens"
        )
    caps = EpochCaps(**recipe.mixing.caps.model_dump())
    prior = _prior(tune, packed, recipe.shards.row_tokens, caps, budget)
    names = tuple(sorted(prior))
    by_cap = {name: caps.of(name) * packed[name].tokens / budget for name in names}
    most = np.minimum(BELOW_CAP * np.array([by_cap[name] for name in names]), 1.0)
    expect_room(names, most, {name: caps.of(name) for name in names}, budget)
    wanted = np.array([prior[name] for name in names])
    within = capped(wanted, most)
    measured, notices = _measured(tune, heldout)
    if np.abs(within - wanted).max() > 1e-6:
        notices.append("the prior asks for more epochs than mixing.caps allows; the prior within the caps is used")
    weights = np.array([tune.objective.get(name, 1.0) for name in measured])
    return SearchSpace(names, within, most, measured, weights / weights.sum(), budget, tuple(notices))


def _prior(tune: Tune, packed: Mapping[str, Packed], row_tokens: int, caps: EpochCaps, budget: int) -> dict[str, float]:
    """Shares above 0 by domain."""
    phase = Phase(budget, tune.prior_table, named=tune.prior_name)
    found = {name: share for name, share in given_shares([phase], packed, row_tokens, caps)[0].shares.items() if share}
    for name in found:
        if not packed[name].tokens:
            raise PlanError(
                f"tune.prior: domain {name!r} has a share, but no row of it is left to train on; look at its "
                "[[sources]] and at [decide], or leave it out of tune.prior"
            )
    return found


def _measured(tune: Tune, heldout: Mapping[str, Path]) -> tuple[tuple[str, ...], list[str]]:
    """Domains with documents in both halves of what is held out, of those that the objective names; and notices."""
    halves = {name: heldout_text(path, tune.preset).fitted for name, path in heldout.items()}
    there = {name for name, fitted in halves.items() if len(fitted) and 0 < fitted.sum() < len(fitted)}
    for name in tune.objective:
        if name not in there:
            raise PlanError(
                f"tune.objective: domain {name!r} has too few held-out documents to fit on one half and check on the "
                "other; raise shards.heldout, or leave it out of tune.objective"
            )
    lost = sorted(set(heldout) - there) if not tune.objective else []
    if not there:
        raise PlanError("tune: no domain has enough held-out documents to measure on; raise shards.heldout")
    notices = [f"too few held-out documents to measure: {', '.join(lost)}; raise shards.heldout"] if lost else []
    return tuple(sorted(tune.objective or there)), notices
