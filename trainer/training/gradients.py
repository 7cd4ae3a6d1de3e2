"""The gradient of one step, in parts: micro-batches of this process, and the rows of other ranks.

The loss is the mean over the predicted tokens of the whole step, and so is every balance loss over its tokens: parts
weigh by what they hold, and k parts give the gradient of one batch but for rounding. A balance loss that is a function
of the whole step's loads (``Balance.of_step``) costs a second forward pass where there are several parts.

P predicted tokens of a part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.balance import BALANCES, balance_terms
from gristmill.trainer.model.decoder import Forward, Model
from gristmill.trainer.model.layer_load import Totals, totals_of
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.division import as_many, named_replicated, parted, replicated
from gristmill.trainer.training.int8_sums import add_gradients_in_int8
from gristmill.trainer.training.ranks import ALONE, Ranks


class StepSums(NamedTuple):
    """What a step comes to before its update; its gradient stands in the model."""

    loss: float  # nats a predicted token of the whole step, without balance terms
    counts: Tensor  # int64[layers, E], tokens that each expert took in the whole step
    each: tuple[Tensor, ...]  # float32[P] of every part of this process, loss of each predicted token


def add_gradients(
    model: Model, parts: Sequence[Packed], config: TrainConfig, context: int = 0, ranks: Ranks = ALONE
) -> StepSums:
    """Add the gradient of a step to the model's; ``parts`` are this process's, ``context`` as in ``Model.forward``."""
    own = len(parts)
    if parted(model):
        parts = as_many(parts, ranks)
    sizes = torch.tensor([[len(part.tokens), len(part.targets)] for part in parts]).sum(0)
    tokens, targets = ranks.sum(sizes.to(config.device)).tolist()
    whole = _totals(model, parts, config, context, ranks, tokens) if len(parts) * ranks.world > 1 else None
    loss, losses = torch.zeros((), dtype=torch.float64, device=config.device), []
    counts = torch.zeros(len(model.routers), model.shape.experts, dtype=torch.int64, device=config.device)
    for part in parts:
        mean, each, out = _forward(model, part, config, context)
        mean = mean * (len(part.targets) / max(targets, 1))
        (mean + balance_terms(out.routings, part.positions, config.balance, whole)).backward()
        loss += mean.detach()
        counts += torch.stack([routing.counts for routing in out.routings])
        losses.append(each)
    if ranks.residuals is None:
        ranks.add_gradients(replicated(model))
    else:
        add_gradients_in_int8(named_replicated(model), ranks.residuals, ranks)
    return StepSums(ranks.sum(loss).item(), ranks.sum(counts), tuple(losses[:own]))


def _forward(model: Model, batch: Packed, config: TrainConfig, context: int) -> tuple[Tensor, Tensor, Forward]:
    """Mean loss, the loss of each predicted token, and what the model gave."""
    with matmuls(config.precision, config.device):
        out = model(batch, context, recompute=config.recompute)
        return *cross_entropy(out.hidden.index_select(0, batch.inputs), model.embedding, batch.targets), out


def _totals(
    model: Model, parts: Sequence[Packed], config: TrainConfig, context: int, ranks: Ranks, tokens: int
) -> tuple[Totals, ...]:
    """Loads of the whole step, layer by layer, where a balance loss needs them; else how many tokens it has."""
    sums = torch.zeros(2, len(model.routers), model.shape.experts, dtype=torch.float64, device=config.device)
    if any(weight and BALANCES[name].of_step for name, weight in config.balance.items()):
        before = torch.get_rng_state()  # the second pass must drop what the first one dropped
        with torch.no_grad(), matmuls(config.precision, config.device):
            for part in parts:
                for layer, routing in enumerate(model(part, context).routings):
                    here = totals_of(routing)
                    sums[0, layer] += here.counts
                    sums[1, layer] += here.gates
        torch.set_rng_state(before)
        sums = ranks.sum(sums)
    return tuple(Totals(counts.long(), gates.float(), tokens) for counts, gates in zip(*sums, strict=True))
