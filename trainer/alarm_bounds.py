"""[trainer.alarms]: when a training rings. No torch here."""

from collections.abc import Iterator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer import checks
from gristmill.trainer.checks import value_mistakes


class AlarmBounds(Section):
    """What rings where it is above its bound, once, and again only after it was back; a bound of 0 never rings."""

    load_std: float = 0.15  # of a layer's experts, in units of their mean load, the running median
    dead_experts: float = 0.5  # of a layer, those with less than a tenth of its mean load, the running median
    domain_loss: float = 0.3  # nats a token, above the running median of the domain
    window: int = 20  # steps that a running median is over; before there are as many nothing rings

    def mistakes(self) -> Iterator[Mistake]:
        """What bounds cannot be."""
        bounds = dict.fromkeys(("load_std", "dead_experts", "domain_loss"), checks.WEIGHT)
        yield from value_mistakes(self.model_dump(), {**bounds, "window": checks.POSITIVE}, {})
