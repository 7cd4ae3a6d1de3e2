"""Ways to keep every expert at work, by name: losses, each with a weight of its own, and the selection bias.

N tokens, E experts, S documents. What a loss sees stands in ``layer_load``, how the bias moves in ``selection_bias``.
No torch is imported: tensors are only handled, and a recipe is checked by ``BALANCES`` before anything is loaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gristmill.trainer.model.layer_load import LayerLoad, Totals, load_of, totals_of
from gristmill.trainer.model.selection_bias import update_bias

if TYPE_CHECKING:
    from torch import Tensor

    from gristmill.trainer.model.router import Routing


def switch_batch(load: LayerLoad) -> "Tensor":
    """As ``switch``, with the shares of the micro-batch at hand in place of those of the step."""
    own, whole = totals_of(load.routing), load.whole.tokens
    return switch(LayerLoad(load.routing, load.positions, own)) * (own.tokens / max(whole, 1))


def switch(load: LayerLoad) -> "Tensor":
    """E * sum(f * P) - 1: ``f`` the share of choices, ``P`` the mean probability. 0 when balanced, up to E - 1.

    The gradient flows through P alone (counts are piecewise constant). f sums to 1, not to K as in transformers, so
    the balanced value does not depend on top_k. Over the whole step, all ranks and micro-batches.

    Source: Fedus et al., Switch Transformers (arXiv 2101.03961), equations 4 to 6; Qiu et al., Demons in the Detail
    (arXiv 2501.11873), for the global batch.
    """
    return len(load.shares) * (load.shares * load.gates).sum() - 1


def sequence(load: LayerLoad) -> "Tensor":
    """The Switch loss of each document by itself, documents weighted by their tokens; 0 when each is balanced.

    Source: DeepSeek-V3 (arXiv 2412.19437), equations 17 to 20, whose sequences are of one length.
    """
    gates = load.routing.probabilities
    document = (load.positions == 0).cumsum(0) - 1
    size, E = int(document[-1]) + 1 if len(document) else 0, gates.shape[1]
    place = document[:, None] * (E + 1) + load.routing.experts  # E stands for no expert
    counts = place.flatten().bincount(minlength=size * (E + 1)).reshape(size, E + 1)[:, :E]
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    summed = gates.new_zeros(size, E).index_add(0, document, gates)
    return (E * (shares * summed).sum() - len(gates)) / max(load.whole.tokens, 1)


def frequency(load: LayerLoad) -> "Tensor":
    """sum((f / mu - 1)^2), mu = 1 / E the even share: straight-through, with the gradient of P in place of f's.

    0 when balanced. Written with the counts alone it has no gradient, and a training with it equals one without to the
    last digit.

    Source: the sum of squares of the seed documents; Bengio et al. (arXiv 1308.3432) for the straight-through gradient.
    """
    through = load.shares + load.gates - load.gates.detach()
    return (len(through) * through - 1).square().sum()


def gate(load: LayerLoad) -> "Tensor":
    """E^2 * sum((P - 1 / E)^2), of the mean probabilities P: 0 when these are even.

    Source: the second sum of the seed documents; E^2 gives it the scale of ``frequency``.
    """
    return (len(load.gates) * load.gates - 1).square().sum()


def batch_entropy(load: LayerLoad) -> "Tensor":
    """Ln E - H(P), of the mean probabilities P, in nats: 0 when these are even, up to ln E."""
    share = load.gates.clamp_min(SMALLEST)
    return (share * (share * len(share)).log()).sum()


def token_entropy(load: LayerLoad) -> "Tensor":
    """Ln E - H of each token's probabilities, the mean in nats: softens every choice, and balances little.

    No balanced router but the one without a preference makes it 0.
    """
    share = load.routing.probabilities.clamp_min(SMALLEST)
    return (share * (share * share.shape[1]).log()).sum() / max(load.whole.tokens, 1)


def z(load: LayerLoad) -> "Tensor":
    """Mean squared logsumexp of the router's logits: keeps them small. It balances nothing, and is 0 at no balance.

    Source: Zoph et al., ST-MoE (arXiv 2202.08906), equation 5.
    """
    return load.routing.logits.logsumexp(-1).square().sum() / max(load.whole.tokens, 1)


SMALLEST = 1e-20  # whose logarithm is finite


@dataclass(frozen=True, slots=True)
class Balance:
    """One way; its key in [trainer.balance] is its strength.

    Parameters
    ----------
    loss : term of a layer's load, added to the loss with its strength as weight, the mean over layers
    update : called after each step for every layer as ``(bias float32[E], counts int64[E], strength)``
    of_step : whether the loss needs ``whole``: a step of several micro-batches then runs forward twice
    """

    loss: "Callable[[LayerLoad], Tensor] | None" = None
    update: "Callable[[Tensor, Tensor, float], None] | None" = None
    of_step: bool = False


BALANCES: Mapping[str, Balance] = {
    "bias": Balance(update=update_bias),
    "switch": Balance(loss=switch_batch),
    "switch_global": Balance(loss=switch, of_step=True),
    "sequence": Balance(loss=sequence),
    "frequency": Balance(loss=frequency, of_step=True),
    "gate": Balance(loss=gate, of_step=True),
    "batch_entropy": Balance(loss=batch_entropy, of_step=True),
    "token_entropy": Balance(loss=token_entropy),
    "z": Balance(loss=z),
}
DEFAULT: Mapping[str, float] = {"bias": 0.01}


def balance_terms(
    routings: "tuple[Routing, ...]",
    positions: "Tensor",
    weights: Mapping[str, float],
    whole: tuple[Totals, ...] | None = None,
) -> "Tensor | float":
    """Weighted losses of ``weights``, by name: the mean over layers; 0.0 where no loss has a weight."""
    total: Tensor | float = 0.0
    for layer, routing in enumerate(routings):
        load = load_of(routing, positions, whole[layer] if whole else None)
        for name, weight in weights.items():
            if weight and (loss := BALANCES[name].loss):
                total = total + weight * loss(load)
    return total / len(routings)


def update_biases(biases: "list[Tensor]", counts: "Tensor", weights: Mapping[str, float]) -> None:
    """Move the selection bias of every layer by the ``counts int64[layers, E]`` of a whole step, in place."""
    for name, weight in weights.items():
        if weight and (update := BALANCES[name].update):
            for bias, used in zip(biases, counts, strict=True):
                update(bias, used, weight)
