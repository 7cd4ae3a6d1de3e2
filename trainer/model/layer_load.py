"""What a balance loss sees of a layer: where the tokens at hand went, and what the whole step adds up to.

N tokens, E experts. Padding never enters the model, and neither do pieces that are masked in a plan, so nothing here
needs a mask. No torch is imported: tensors are only handled.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from gristmill.trainer.model.router import Routing


class Totals(NamedTuple):
    """Sums over a whole step, of one layer: all micro-batches of all ranks."""

    counts: "Tensor"  # int64[E], choices of each expert
    gates: "Tensor"  # float32[E], probabilities added up, without gradient
    tokens: int


@dataclass(frozen=True, slots=True)
class LayerLoad:
    """What a loss sees of one layer: the tokens at hand, and what the whole step that they belong to adds up to.

    Losses are means over the step's tokens, of which those at hand give their part; the parts of all micro-batches
    have the gradient of the whole.
    """

    routing: "Routing"
    positions: "Tensor"  # int64[N], 0 where a document begins
    whole: Totals

    @property
    def shares(self) -> "Tensor":
        """Share of each expert in the choices of the step: float[E], sums to 1, without gradient."""
        return self.whole.counts / self.whole.counts.sum().clamp_min(1)

    @property
    def gates(self) -> "Tensor":
        """Mean probability of each expert in the step: float32[E], sums to 1; its gradient is of the tokens here."""
        own = self.routing.probabilities.sum(0)
        return (self.whole.gates + own - own.detach()) / max(self.whole.tokens, 1)


def totals_of(routing: "Routing") -> Totals:
    """What a step of one batch adds up to in one layer."""
    return Totals(routing.counts, routing.probabilities.detach().sum(0), len(routing.experts))


def load_of(routing: "Routing", positions: "Tensor", whole: Totals | None = None) -> LayerLoad:
    """The load of a layer; the step is this batch where ``whole`` says no more."""
    return LayerLoad(routing, positions, whole or totals_of(routing))
