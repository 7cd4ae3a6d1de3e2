"""How even held-out loads can be where only training rows are balanced, for bench/balance.py.

The router's last weights stand still here. ``seen``: the load of the rows of the last steps, which is what a bias can
know of; ``mixed``: held-out rows with every domain weighted as in those steps; ``fitted``: held-out rows as they are,
with a bias that balances the rows of those steps exactly: below it no rule comes that learns from them.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.scores import SCORES

LAST_STEPS = 40
ROUNDS, STEP, FALL = 60, 0.05, 0.93  # of a fit: the move of a load that is off by its mean, and how it falls


@torch.no_grad()
def floors(model: Model, seen: Sequence[Packed], heldout: Mapping[str, Iterable[Packed]], names: Sequence[str]):
    """The worst layer's standard deviation of ``seen``, ``mixed`` and ``fitted``; biases are put back."""
    model.eval()
    domains = torch.cat([batch.domain for batch in seen]).bincount(minlength=len(names)).double()
    loads = {name: _choices(model, rows) for name, rows in heldout.items()}
    mixed = sum(one / one.sum(1, keepdim=True) * domains[names.index(name)] for name, one in loads.items())
    found = {"seen": _worst(_choices(model, seen)), "mixed": _worst(mixed)}
    before = [router.bias.clone() for router in model.routers]
    for layer in range(len(before)):  # in order: a layer's scores depend on the choices below it
        _fit(model, layer, seen)
    found["fitted"] = _worst(sum(_choices(model, rows) for rows in heldout.values()))
    for router, bias in zip(model.routers, before, strict=True):
        router.bias.copy_(bias)
    return found


def _choices(model: Model, rows: Iterable[Packed]) -> Tensor:
    """Choices of each layer's experts, float64[layers, E]."""
    return sum(torch.stack([one.counts for one in model(batch).routings]) for batch in rows).double()


def _worst(counts: Tensor) -> float:
    return (counts / counts.mean(1, keepdim=True)).std(1, correction=0).max().item()


def _fit(model: Model, layer: int, rows: Iterable[Packed]) -> None:
    """Move a layer's bias until its load on ``rows`` is even, or nearly so."""
    router = model.routers[layer]
    scores = torch.cat([SCORES[model.shape.score](model(batch).routings[layer].logits) for batch in rows])
    for number in range(ROUNDS):
        chosen = (scores + router.bias).topk(model.shape.top_k, dim=-1).indices
        load = torch.bincount(chosen.flatten(), minlength=model.shape.experts).double()
        router.bias += (STEP * FALL**number * (1 - load / load.mean()).clamp(-1, 1)).float()
