"""Baselines: shares from sizes alone, for those who have no curriculum (yet)."""

from collections.abc import Mapping

from gristmill.corpus.errors import PlanError


def proportional(rows: Mapping[str, float]) -> dict[str, float]:
    """Shares in proportion to size: w_d = n_d / sum n.

    >>> proportional({"web": 3, "math": 1})
    {'web': 0.75, 'math': 0.25}
    """
    return temperature(rows, 1.0)


def temperature(rows: Mapping[str, float], T: float) -> dict[str, float]:
    """w_d ~ n_d^(1/T): T = 1 is proportional, large T uniform over the domains that have rows.

    Source: Arivazhagan et al. 2019, Massively multilingual NMT in the wild, section 3.

    >>> temperature({"web": 9, "math": 1}, 2.0)
    {'web': 0.75, 'math': 0.25}
    """
    if not T > 0:
        raise PlanError(f"temperature {T} is not above 0")
    weights = {name: n ** (1 / T) if n else 0.0 for name, n in rows.items()}
    return _normalised(weights)


def unimax(rows: Mapping[str, int], budget: float, max_epochs: float) -> dict[str, float]:
    """As uniform as ``max_epochs`` allows: from the smallest up, each domain takes its part or its cap.

    Parameters
    ----------
    rows : rows of each domain
    budget : rows to train on; beyond ``max_epochs`` of everything the shares are proportional
    max_epochs : how often a row may be repeated

    Source: Chung et al. 2023, UniMax, algorithm 1.

    >>> unimax({"web": 1000, "math": 10}, 100, 4)
    {'web': 0.6, 'math': 0.4}
    """
    return level({name: max_epochs * n for name, n in rows.items()}, budget)


def level(capacity: Mapping[str, float], budget: float) -> dict[str, float]:
    """UniMax with a capacity of its own for each domain, in the unit of ``budget``.

    >>> level({"web": 4000.0, "math": 10.0}, 100)
    {'web': 0.9, 'math': 0.1}
    """
    left, taken = float(budget), dict.fromkeys(capacity, 0.0)
    waiting = sorted(capacity, key=lambda name: (capacity[name], name))
    for number, name in enumerate(waiting):
        taken[name] = min(left / (len(waiting) - number), capacity[name])
        left -= taken[name]
    return _normalised(taken)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    if not total > 0:
        raise PlanError("no domain has a row to train on: nothing was kept; see sources and decide in the recipe")
    return {name: weight / total for name, weight in weights.items()}
