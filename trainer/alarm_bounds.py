"""[trainer.alarms]: when a training rings. No torch here."""

from collections.abc import Iterator

import numpy as np

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer import checks
from gristmill.trainer.checks import value_mistakes


class AlarmBounds(Section):
    """What rings where it is above its bound, once, and again only after it was back; a bound of 0 never rings."""

    load_std: float = 0.15  # of a layer's experts in the last `window` steps, in units of their mean; more than chance
    dead_experts: float = 0.5  # of a layer, those with less than a tenth of its mean load in the last `window` steps
    domain_loss: float = 0.3  # nats a token, above the running median of the domain
    window: int = 20  # steps that loads and a running median are over; before there are as many nothing rings

    def mistakes(self) -> Iterator[Mistake]:
        """What bounds cannot be."""
        bounds = dict.fromkeys(("load_std", "dead_experts", "domain_loss"), checks.WEIGHT)
        yield from value_mistakes(self.model_dump(), {**bounds, "window": checks.POSITIVE}, {})


def beyond_chance(choices: np.ndarray) -> float:
    """Standard deviation of the load of experts, in units of its mean, without what chance makes of so few choices.

    An even router's n choices among E experts have a variance of (E - 1) / n in these units, or less.

    >>> round(beyond_chance(np.array([300, 100])), 3), beyond_chance(np.array([3, 1]))
    (0.497, 0.0)
    """
    total = max(float(choices.sum()), 1.0)
    load = choices * (len(choices) / total)
    return max(float(load.var()) - (len(choices) - 1) / total, 0.0) ** 0.5
